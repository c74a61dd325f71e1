"""A document's schemas as one direction sees them: what a request may hold, and what an answer may; and as whoever
says what is wrong with a value does."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from openapi.bridge.document.grammar import SCHEMA_KEYWORDS, parts, schemas_in
from openapi.bridge.document.places import BASE, REFERENCES, Json, copy_of, look_up
from openapi.bridge.document.schemas import CHOICES, LAID_OVER, Schema, Schemas, members_of

REQUEST, ANSWER = "readOnly", "writeOnly"

_INT32, _INT64 = 2**31, 2**63
_FLOAT, _DOUBLE = 3.4028234663852886e38, 1.7976931348623157e308
# The smallest and the largest number of each format (OpenAPI 3.1, "Data Types").
_RANGES = {
    "int32": (-_INT32, _INT32 - 1),
    "int64": (-_INT64, _INT64 - 1),
    "float": (-_FLOAT, _FLOAT),
    "double": (-_DOUBLE, _DOUBLE),
}
# The schemas below these apply to the same value, so a member that one names is a member in all.
_SAME_VALUE = {"allOf", *CHOICES, "if", "then", "else"}
# The names by which a schema is found, which what is made of it must not have as well.
_OWN_NAMES = {"$id", "$anchor", "$dynamicAnchor"}
# Schemas that are needed once more without requiring some members, by whose names each is followed.
Further = list[tuple[Schema, set[str]]]


def view(document: Json, schemas: Schemas, barred: str) -> Schemas:
    """The schemas of the document with rules that OpenAPI adds to JSON Schema's.

    The formats of numbers are rules. Members that are `readOnly` are neither required nor taken in a request, those
    that are `writeOnly` in an answer: with `dependentSchemas`, so that whoever refers to the member's own schema still
    finds it.

    Args:
        barred: `readOnly` for requests, `writeOnly` for answers.
    """
    seen: Json = copy_of(document)
    seen.setdefault("components", {}).setdefault("schemas", {})
    further: Further = []
    for pointer in schemas.outermost:
        if isinstance(node := look_up(seen, pointer), dict):
            node.update(copy_of(_rewritten(schemas.at(pointer), barred, set(), further)))
    # The list grows meanwhile: one may need others.
    for number, (target, names) in enumerate(further):
        written = _rewritten(target, barred, names, further)
        unnamed = {keyword: rule for keyword, rule in written.items() if keyword not in _OWN_NAMES}
        seen["components"]["schemas"][f"{barred}:{number}"] = replace(target, node=unnamed).absolute()
    return Schemas(seen)


def view_of_faults(schemas: Schemas) -> Schemas:
    """The same schemas, whose validators say of a broken choice no more than that it is broken.

    The library lists what is wrong by each branch: with 50 branches that takes a second for 10 KB of a value. Each
    choice is a condition here, of which it lists nothing.
    """
    seen: Json = copy_of(schemas.document)
    nodes = [*schemas_in(parts(seen))]
    references = (str(place.node.get(keyword)) for place in nodes for keyword in REFERENCES)
    # What a reference leads to has to stay where it is; one that is relative to an `$id` names the end of the way.
    kept = {way for reference in references for way in _ways_to_choices(reference)}
    for pointer, node in nodes:
        for keyword in sorted(CHOICES & node.keys()):
            way = f"{pointer}/{keyword}".replace("~1", "/")
            if kept.isdisjoint(way[slash.start() :] for slash in re.finditer("/", way)):
                condition = {"if": {keyword: node.pop(keyword)}, "else": {keyword: [False]}}
                node["allOf"] = [*node.get("allOf", ()), condition]
    return Schemas(seen)


def _ways_to_choices(reference: str) -> Iterator[str]:
    """The pointers, without `~1`, to each choice through which a reference may lead."""
    # Some lead by way of what `Schemas` has put below `$defs` of the document.
    way = re.sub(r"^/\$defs/(?=/)", "", unquote(reference.partition("#")[2]).replace("~1", "/"))
    return (way[: choice.end()] for choice in re.finditer("/(anyOf|oneOf)(?=/)", way))


def _rewritten(schema: Schema, barred: str, above: set[str], further: Further) -> Any:
    if not isinstance(schema.node, dict):
        return schema.node
    node: Json = dict(schema.node)
    # In a branch of `anyOf` and `oneOf` a member may be barred that another branch takes.
    names = above | _barred(schema.layers(LAID_OVER), barred)
    for keyword, kind in SCHEMA_KEYWORDS.items():
        if keyword not in node:
            continue
        inner = names if keyword in _SAME_VALUE else set()
        children = schema.children(keyword)
        made = {key: _rewritten(branch, barred, inner, further) for key, branch in children.items()}
        node[keyword] = made
        if kind == "schemas":
            node[keyword] = made[None]
        elif kind == "[schemas]":
            node[keyword] = [*made.values()]
    if names and "$ref" in node:
        # What is marked here and required there is required of nobody: the target is needed without requiring it.
        target = schema.follow(node["$ref"])
        if (names - _barred(target.layers(), barred)) & target.required():
            if (target, names) not in further:
                further.append((target, names))
            node["$ref"] = f"{BASE}#/components/schemas/{barred}:{further.index((target, names))}"
    if "required" in node:
        somewhere = names | _barred(schema.layers(), barred)
        node["required"] = [name for name in node["required"] if name not in somewhere]
    if own := names & node.get("properties", {}).keys():
        node["dependentSchemas"] = {**node.get("dependentSchemas", {}), **dict.fromkeys(sorted(own), False)}
    if "dependentRequired" in node:
        node["dependentRequired"] = {
            name: [other for other in others if other not in names]
            for name, others in node["dependentRequired"].items()
        }
    if node.get("format") in _RANGES:
        smallest, largest = _RANGES[node["format"]]
        node["minimum"] = max(smallest, node.get("minimum", smallest))
        node["maximum"] = min(largest, node.get("maximum", largest))
        if node["format"].startswith("int") and node.get("type") != "integer":
            node.setdefault("multipleOf", 1)
    return node


def _barred(layers: Iterable[Schema], barred: str) -> set[str]:
    """The names of the members that layers declare as `readOnly` or `writeOnly`."""
    members = members_of(layers).items()
    return {name for name, found in members if any(each.is_marked(barred, LAID_OVER) for each in found)}
