"""Schemas in older words, those of JSON Schema's drafts and of OpenAPI 3.0, rewritten into those of 2020-12."""

import re
from typing import Any
from urllib.parse import quote

from openapi.bridge.document.grammar import parts
from openapi.bridge.document.patterns import WRITTEN, compilable, spelt
from openapi.bridge.document.places import REFERENCES, Json, copy_of, pointer_to
from openapi.bridge.document.resources import divide

_DRAFT = re.compile(r"https?://json-schema\.org/draft(?:-0([4-7])|/2019-09)/schema#?")
_KNOWN = re.compile(
    r"https://spec\.openapis\.org/oas/3\.1/dialect/(base|[0-9]{4}-[0-9]{2}-[0-9]{2})#?"
    r"|https?://json-schema\.org/draft/2020-12/schema#?"
)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
# What a fragment may have (RFC 3986, section 3.5), and a percent sign that encodes nothing.
_IN_FRAGMENT = "/%:?@!$&'()*+,;=~"
_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_APPLIED = ("$ref", "allOf", "anyOf", "oneOf", "discriminator")
_LIMITS = (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))


def in_2020_12(document: Any) -> tuple[Any, list[str]]:
    """The document with its schemas in the words of JSON Schema 2020-12, and a line for each dialect that is not known.

    A schema is of the dialect that it names itself, or else of that of the schema around it, or of the document
    (OpenAPI 3.1, "Specifying Schema Dialects"). What is no URI is left for the checks to refuse. A parameter of a
    media type without a schema gets one that takes everything. Patterns are in the words of the library that matches
    them, and what a pointer to `/paths/~1things~1{id}` for example has to encode in a URI is encoded.
    """
    if not isinstance(document, dict):
        return document, []
    notes: list[str] = []
    document = copy_of(document)
    outermost = _taken(document, "jsonSchemaDialect", "", notes)
    above: list[tuple[str, str | None]] = []
    for kind, (pointer, node) in parts(document):
        if not isinstance(node, dict):
            continue
        for key in REFERENCES:
            if isinstance(reference := node.get(key), str) and reference.startswith("#/"):
                node[key] = "#" + quote(_PERCENT.sub("%25", reference[1:]), safe=_IN_FRAGMENT)
        if kind == "schemas":
            while above and not pointer.startswith(f"{above[-1][0]}/"):
                above.pop()
            dialect = _taken(node, "$schema", pointer, notes) or (above[-1][1] if above else outermost)
            above.append((pointer, dialect))
            _allow_null(node)
            _divide_dependencies(node)
            if isinstance(named := node.get("patternProperties"), dict):
                node["patternProperties"] = {
                    pattern if (new := spelt(pattern)) in named else new: member
                    for pattern, member in named.items()
                }
            if draft := _DRAFT.fullmatch(dialect or ""):
                _rewrite(node, int(draft[1] or 8))
            # A keyword of ours, which says nothing where an author has it.
            node.pop(WRITTEN, None)
            node.update(compilable(node))
        elif kind == "parameters":
            contents = node.get("content")
            for content in contents.values() if isinstance(contents, dict) else ():
                if isinstance(content, dict):
                    content.setdefault("schema", {})
    divide(document)
    return document, notes


def _taken(node: Json, key: str, pointer: str, notes: list[str]) -> str | None:
    dialect = node.get(key)
    if not isinstance(dialect, str) or not _URI.fullmatch(dialect):
        return None
    del node[key]
    if not _KNOWN.fullmatch(dialect) and not _DRAFT.fullmatch(dialect):
        notes.append(
            f"#{pointer_to(pointer, key)}: this dialect is not known, so it is read as JSON Schema 2020-12"
        )
    return dialect


def _allow_null(schema: Json) -> None:
    """Gives `nullable` the meaning that it had in OpenAPI 3.0, since whoever writes it today means nothing else."""
    if schema.get("nullable") is not True:
        return
    del schema["nullable"]
    if isinstance(schema.get("type"), str):
        schema["type"] = [*dict.fromkeys((schema["type"], "null"))]
    laid_over = {key: schema.pop(key) for key in _APPLIED if key in schema}
    if laid_over:
        schema["anyOf"] = [laid_over, {"type": "null"}]


def _rewrite(schema: Json, draft: int) -> None:
    """Changes what the draft, 8 for 2019-09, has other words for; what stands in the words of 2020-12 stays."""
    if "$ref" in schema and draft < 8:
        # "All other properties in a "$ref" object MUST be ignored."
        for key in schema.keys() - {"$ref", "$defs", "definitions"}:
            del schema[key]
    if draft < 6 and isinstance(schema.get("id"), str):
        schema["$id"] = schema.pop("id")
    if str(schema.get("$id", "")).startswith("#"):
        schema["$anchor"] = schema.pop("$id")[1:]
    for limit, exclusive in _LIMITS:
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and limit in schema:
            schema[exclusive] = schema.pop(limit)
    further = schema.pop("additionalItems", None)
    if isinstance(schema.get("items"), list):
        schema["prefixItems"] = schema.pop("items")
        if further is not None:
            schema["items"] = further


def _divide_dependencies(schema: Json) -> None:
    """Gives `dependencies` the words of 2020-12, which has none of that name: the library goes by it all the same."""
    if not isinstance(schema.get("dependencies"), dict):
        return
    for name, needed in schema.pop("dependencies").items():
        keyword = "dependentRequired" if isinstance(needed, list) else "dependentSchemas"
        if isinstance(held := schema.setdefault(keyword, {}), dict):
            held.setdefault(name, needed)
