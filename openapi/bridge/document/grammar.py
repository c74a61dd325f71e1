"""What stands where in an OpenAPI 3.1 document, by the specification's own grammar."""

from collections.abc import Iterable, Iterator
from typing import Any

from openapi.bridge.document.places import Place

# HEAD stands first, since whoever declares it means another answer than that of GET without its body.
METHODS = ("head", "get", "put", "post", "delete", "options", "patch", "trace")
# The sections of `components`; each is named after the kind of its objects.
SECTIONS = (
    *("schemas", "responses", "parameters", "examples", "requestBodies", "headers"),
    *("securitySchemes", "links", "callbacks", "pathItems"),
)
_PARAMETER = {"schema": "schemas", "examples": "{examples}", "content": "{mediaTypes}"}
# The kinds of objects by the keys below which they stand: {} is a map of them by names of any form, <> one in which
# those that begin with x- are extensions, and [] a list.
_BELOW: dict[str, dict[str, str]] = {
    "document": {
        "servers": "[servers]",
        "paths": "<pathItems>",
        "webhooks": "{pathItems}",
        "components": "components",
    },
    "components": {section: f"{{{section}}}" for section in SECTIONS},
    "pathItems": {
        **dict.fromkeys(METHODS, "operations"),
        "servers": "[servers]",
        "parameters": "[parameters]",
    },
    "operations": {
        "parameters": "[parameters]",
        "requestBody": "requestBodies",
        "responses": "<responses>",
        "callbacks": "{callbacks}",
        "servers": "[servers]",
    },
    "parameters": _PARAMETER,
    "headers": _PARAMETER,
    "requestBodies": {"content": "{mediaTypes}"},
    "mediaTypes": {"schema": "schemas", "examples": "{examples}", "encoding": "{encodings}"},
    "encodings": {"headers": "{headers}"},
    "responses": {"headers": "{headers}", "content": "{mediaTypes}", "links": "{links}"},
    "links": {"server": "servers"},
    "schemas": {
        **dict.fromkeys(
            ("additionalProperties", "propertyNames", "unevaluatedProperties", "unevaluatedItems"), "schemas"
        ),
        **dict.fromkeys(("items", "contains", "contentSchema", "not", "if", "then", "else"), "schemas"),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), "[schemas]"),
        **dict.fromkeys(("properties", "patternProperties", "dependentSchemas"), "{schemas}"),
        **dict.fromkeys(("$defs", "definitions"), "{schemas}"),
    },
}
# The keywords below which a schema holds others.
SCHEMA_KEYWORDS = _BELOW["schemas"]


def parts(node: Any, kind: str = "document", pointer: str = "") -> Iterator[tuple[str, Place]]:
    """Each object of the grammar at and below `node`, with its kind; data and extensions are passed over.

    The names of the kinds are those of the sections of `components`, and `document`, `components`, `operations`,
    `servers`, `mediaTypes` and `encodings`. What is not of the form that its kind has is yielded all the same.

    Args:
        kind: of `node`.
        pointer: the JSON pointer to it.
    """
    place = Place(pointer, node)
    yield kind, place
    if not isinstance(node, dict) or ("$ref" in node and kind not in ("schemas", "pathItems")):
        return
    if kind == "callbacks":
        yield from _parts_below(place, "<pathItems>")
    for key, below in _BELOW.get(kind, {}).items():
        if key in node:
            yield from _parts_below(place / key, below)


def schemas_in(objects: Iterable[tuple[str, Place]]) -> Iterator[Place]:
    """Of objects as `parts` finds them the schemas, true and false left out."""
    return (place for kind, place in objects if kind == "schemas" and isinstance(place.node, dict))


def relative_to_document(objects: Iterable[tuple[str, Place]]) -> Iterator[tuple[str, Place]]:
    """Of objects in the order of `parts` those whose references are relative to the document, not to an `$id`."""
    identified = None
    for kind, place in objects:
        if identified is not None and f"{place.pointer}/".startswith(identified):
            continue
        if kind == "schemas" and isinstance(place.node, dict) and isinstance(place.node.get("$id"), str):
            identified = f"{place.pointer}/"
        else:
            yield kind, place


def _parts_below(place: Place, kind: str) -> Iterator[tuple[str, Place]]:
    if kind[0] in "{<" and isinstance(place.node, dict):
        for name, node in place.node.items():
            if kind[0] == "{" or not name.startswith("x-"):
                yield from parts(node, kind[1:-1], (place / name).pointer)
    elif kind[0] == "[" and isinstance(place.node, list):
        for index, node in enumerate(place.node):
            yield from parts(node, kind[1:-1], (place / index).pointer)
    elif kind[0] not in "{<[":
        yield from parts(place.node, kind, place.pointer)
