"""An OpenAPI document as data: its places, JSON pointers and `$ref`s."""

from typing import Any, NamedTuple
from urllib.parse import unquote

Json = dict[str, Any]
REFERENCES = ("$ref", "$dynamicRef")
BASE = "contract:/openapi.yaml"
"""The URI of the document, to which references are relative."""


class ContractError(Exception):
    """The contract cannot be served.

    Args:
        problems: one line for each thing that is wrong, which names the place and the fault.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Place(NamedTuple):
    """A node of the document and the JSON pointer that leads to it."""

    pointer: str
    node: Any

    def __truediv__(self, key: str | int) -> "Place":
        return Place(pointer_to(self.pointer, key), self.node[key])


def pointer_to(pointer: str, *keys: object) -> str:
    """The JSON pointer (RFC 6901, section 3) to what stands below `pointer` by some keys."""
    return pointer + "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def keys_of(pointer: str) -> list[str]:
    """The keys that a JSON pointer names, the outermost first."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def look_up(document: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) leads to; raises KeyError, IndexError, ValueError or TypeError if nothing."""
    for key in keys_of(pointer):
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


def schema_holder(parameter: Place) -> Place:
    """What holds the schema and the examples of a parameter or header: itself, or its one media type."""
    return next((parameter / "content" / key for key in parameter.node.get("content", ())), parameter)


def follow(document: Json, place: Place) -> Place:
    """`place`, or the place that its `$ref` leads to in the same document.

    Raises:
        ContractError: for a `$ref` that leads out of the document, nowhere or back to itself.
    """
    seen = {place.pointer}
    while isinstance(place.node, dict) and "$ref" in place.node:
        reference = place.node["$ref"]
        fault = f"#{place.pointer}: the $ref {reference!r} leads"
        if not reference.startswith("#/"):
            raise ContractError(f"{fault} out of the document, which is not followed")
        pointer = unquote(reference.removeprefix("#"))
        try:
            place = Place(pointer, look_up(document, pointer))
        except (KeyError, IndexError, ValueError, TypeError):
            raise ContractError(f"{fault} nowhere") from None
        if pointer in seen:
            raise ContractError(f"{fault} back to itself")
        seen.add(pointer)
    return place


def copy_of(value: Any) -> Any:
    """A copy of a JSON value that its receiver may change."""
    if isinstance(value, dict):
        return {key: copy_of(member) for key, member in value.items()}
    return [copy_of(item) for item in value] if isinstance(value, list) else value
