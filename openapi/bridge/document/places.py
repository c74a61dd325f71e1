"""An OpenAPI document as data: JSON pointers, `$ref`s, and what stands where by OpenAPI's grammar."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

Json = dict[str, Any]

# Below these keys the next key is a name that an author chose, so it has no meaning of its own.
_NAME_MAPS = {
    *("paths", "webhooks", "schemas", "responses", "parameters", "examples", "requestBodies", "headers"),
    *("securitySchemes", "links", "callbacks", "pathItems", "content", "encoding", "variables"),
    *("properties", "patternProperties", "dependentSchemas", "$defs"),
}
# What stands below these keys, or below an extension, is data and no part of the grammar.
_DATA = {"example", "examples", "default", "const", "enum", "value"}


class ContractError(Exception):
    """The contract cannot be served; the message is one line that names the place and the fault."""


class Place(NamedTuple):
    """A node of the document and the JSON pointer that leads to it."""

    pointer: str
    node: Any

    def __truediv__(self, key: str | int) -> "Place":
        return Place(pointer_to(self.pointer, key), self.node[key])


def pointer_to(pointer: str, *keys: object) -> str:
    """The JSON pointer (RFC 6901, section 3) to what stands below `pointer` by some keys."""
    return pointer + "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def look_up(document: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) leads to; raises KeyError, IndexError, ValueError or TypeError if nothing."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


def follow(document: Json, place: Place) -> Place:
    """`place`, or the place that its `$ref` leads to in the same document.

    Raises:
        ContractError: for a `$ref` that leads out of the document, nowhere or back to itself.
    """
    seen = {place.pointer}
    while "$ref" in place.node:
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


def entries(node: Any, pointer: str = "", names: bool = False) -> Iterator[tuple[str, str, Any]]:
    """Every key to which OpenAPI's grammar gives a meaning: its mapping's pointer, the key and its value.

    Args:
        names: whether the keys of `node` are names that an author chose.
    """
    if isinstance(node, list):
        for index, value in enumerate(node):
            yield from entries(value, pointer_to(pointer, index))
    elif isinstance(node, dict):
        for key, value in node.items():
            if not names:
                yield pointer, key, value
                # `examples` is a map in OpenAPI's own objects and a list of values in a schema.
                data = key.startswith("x-") or (
                    key in _DATA and not (key == "examples" and isinstance(value, dict))
                )
                if data:
                    continue
            yield from entries(value, pointer_to(pointer, key), not names and key in _NAME_MAPS)


def schema_pointers(document: Json) -> Iterator[str]:
    """The pointer of each schema that a parameter, header or media type holds, and of each named one."""
    for pointer, key, value in entries(document):
        if key == "schema":
            yield pointer_to(pointer, key)
        elif (pointer, key) == ("/components", "schemas"):
            yield from (pointer_to(pointer, key, name) for name in value)


def copy_of(value: Any) -> Any:
    """A copy of a JSON value that its receiver may change."""
    if isinstance(value, dict):
        return {key: copy_of(member) for key, member in value.items()}
    return [copy_of(item) for item in value] if isinstance(value, list) else value
