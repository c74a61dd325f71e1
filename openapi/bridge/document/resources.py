"""Schema resources (JSON Schema 2020-12, "Schema Resources"): which schemas have a base URI of their own."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from openapi.bridge.document.grammar import parts, schemas_in
from openapi.bridge.document.places import BASE, REFERENCES, Json, Place


def divide(document: Json) -> None:
    """Gives an `$id` to each schema that has or uses dynamic anchors, since a resource has each name once, and each
    operation may bind the `$dynamicRef` of a template in a way of its own; without a binding it allows any value.

    A reference that leads nowhere below an `$id` is looked up in the whole document.
    """
    families: list[list[Place]] = []
    for place in schemas_in(parts(document)):
        is_inner = families and place.pointer.startswith(f"{families[-1][0].pointer}/")
        families[-1].append(place) if is_inner else families.append([place])
    schemas = {place.pointer: place.node for family in families for place in family}
    anchors = _names(schemas.values(), "$dynamicAnchor")
    known = {f"#{name}" for name in _names(schemas.values(), "$anchor")} | {f"#{each}" for each in schemas}
    for number, family in enumerate(families):
        root, nodes = family[0].node, [place.node for place in family]
        free = {name[1:] for name in _names(nodes, "$dynamicRef")} & (
            anchors - _names(nodes, "$dynamicAnchor")
        )
        if free and isinstance(held := root.setdefault("$defs", {}), dict):
            held |= {f"any {name}": {"$dynamicAnchor": name} for name in sorted(free)}
        if free or _names(nodes, "$dynamicAnchor"):
            root.setdefault("$id", f"{BASE}-{number}")
        _lead_out(family, known)


def _names(nodes: Any, keyword: str) -> set[str]:
    return {node[keyword] for node in nodes if isinstance(node.get(keyword), str)}


def _lead_out(family: Sequence[Place], known: set[str]) -> None:
    resources: list[Place] = []
    for place in family:
        while resources and not place.pointer.startswith(f"{resources[-1].pointer}/"):
            resources.pop()
        if isinstance(place.node.get("$id"), str):
            resources.append(place)
        for key in REFERENCES if resources else ():
            reference = place.node.get(key)
            if (
                isinstance(reference, str)
                and unquote(reference) in known
                and not _has_anchor(resources[-1].node, reference)
            ):
                place.node[key] = BASE + reference


def _has_anchor(resource: Json, reference: str) -> bool:
    return reference[1:] in _names(
        (place.node for place in schemas_in(parts(resource, "schemas"))), "$anchor"
    )
