"""The document's JSON Schemas (draft 2020-12): compiled to validators, and read where a keyword must be known."""

from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from typing import Any
from urllib.parse import quote, unquote, urljoin

import jsonschema_rs

from openapi.bridge.document import formats
from openapi.bridge.document.grammar import SCHEMA_KEYWORDS, parts, relative_to_document
from openapi.bridge.document.places import BASE, REFERENCES, Json, copy_of, look_up, pointer_to

# What a Reference Object may have (OpenAPI 3.1, "Reference Object").
_REFERENCE = {"$ref", "summary", "description"}
# Stands for whatever a reference names outside of the document, which is never fetched.
_OUTSIDE = {"$comment": "outside of the document"}
# Keywords that lay further rules over a value: in any case, in any case and by the same schema on every way, by
# choice, and on a condition.
ALWAYS = {*REFERENCES, "allOf"}
LAID_OVER = {"$ref", "allOf"}
CHOICES = {"anyOf", "oneOf"}
_LAYERS = LAID_OVER | CHOICES
_CONDITIONS = {"not", "if", "then", "else", "dependentSchemas"}
_TYPES = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object", type(None): "null"}

Validator = jsonschema_rs.Draft202012Validator


class Schemas:
    """Every schema of a document, by JSON pointer."""

    def __init__(self, document: Json) -> None:
        self.validator_of: Callable[[Schema], Validator] = cache(
            lambda schema: self._compiled(schema.absolute())
        )
        """Compiles a schema of this document, wherever it stands."""
        self.ended: dict[tuple[int, str], Schema] = {}
        """Those that apply no schema without end, by identity, as far as it has been found out."""
        self.followed: dict[object, Any] = {}
        self._register(document)
        if any(isinstance(node, dict) and "$id" in node for node in self._all.values()):
            self._register(self._linked())

    def _register(self, document: Json) -> None:
        self._all = {place.pointer: place.node for kind, place in parts(document) if kind == "schemas"}
        self.outermost = [pointer for pointer in sorted(self._all) if self._root(pointer) == pointer]
        """The pointers of those that stand in no other."""
        # JSON Schema finds `$id` and `$anchor` only below keywords that it knows, and `components` is not one of them.
        self.document = {**document, "$defs": {pointer: self._all[pointer] for pointer in self.outermost}}
        self._registry = jsonschema_rs.Registry([(BASE, self.document)], retriever=lambda _uri: _OUTSIDE)

    def _linked(self) -> Json:
        """The document with references to schemas that have an `$id` led by a way on which that is found."""
        document: Json = copy_of(self.document)
        for pointer in self._all:
            node = look_up(document, pointer)
            reference = node.get("$ref") if isinstance(node, dict) else None
            if isinstance(reference, str):
                start, _, fragment = reference.partition("#")
                target = unquote(fragment)
                is_local = start == BASE or (not start and self.at(pointer).is_in_document)
                if is_local and target in self._all and not self.at(target).is_in_document:
                    node["$ref"] = start + self._fragment(target)
        return document

    def validator(self, pointer: str) -> Validator:
        """A compiled validator for the schema at `pointer`; where none stands, all is valid."""
        return self._compiled(pointer not in self._all or {"$ref": BASE + self._fragment(pointer)})

    def _compiled(self, node: Any) -> Validator:
        # OpenAPI's users expect a format to be a rule, not only a note.
        return Validator(
            node, registry=self._registry, validate_formats=True, formats=formats.STRICT, offline=True
        )

    def at(self, pointer: str) -> "Schema":
        """The schema at `pointer`; where none stands, what allows everything."""
        resolver = self._registry.resolver(BASE)
        if pointer not in self._all:
            return Schema(True, self, resolver)
        resolved = resolver.lookup(self._fragment(pointer))
        return Schema(self._all[pointer], self, resolved.resolver)

    def _root(self, pointer: str) -> str:
        """The outermost schema in which the one at `pointer` stands."""
        return next(way for way in accumulate(pointer.split("/"), "{}/{}".format) if way in self._all)

    def _fragment(self, pointer: str) -> str:
        root = self._root(pointer)
        return "#" + quote(pointer_to("/$defs", root) + pointer.removeprefix(root), safe="/~")


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """A schema, true or false included, and where its own references lead; equal is what stands at the same place."""

    node: Any
    _schemas: Schemas
    _resolver: jsonschema_rs.Resolver

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and (self.identity, self.scope) == (other.identity, other.scope)

    def __hash__(self) -> int:
        return id(self.node)

    def absolute(self) -> Any:
        """A copy of its node whose references do not depend on where it stands."""
        node, start = copy_of(self.node), self.base.partition("#")[0]
        for _, place in relative_to_document(parts(node, "schemas")):
            for keyword in REFERENCES if isinstance(place.node, dict) else ():
                if (reference := place.node.get(keyword)) is not None:
                    if keyword == "$dynamicRef":
                        reference = self.follow(reference).base + "#" + reference.partition("#")[2]
                    is_fragment = reference.startswith("#")
                    place.node[keyword] = start + reference if is_fragment else urljoin(self.base, reference)
        return node

    def follow(self, reference: str) -> "Schema":
        """The schema that a `$ref` in this one leads to; raises ReferencingError if it leads to no schema."""
        resolved = self._resolver.lookup(reference)
        if resolved.contents == _OUTSIDE:
            raise jsonschema_rs.ReferencingError("it leads out of the document")
        # The document's own nodes have their members in order; others the registry makes anew whenever it is asked.
        if reference.startswith(f"{BASE}#/") or (reference.startswith("#/") and self.is_in_document):
            node = look_up(self._schemas.document, unquote(reference.partition("#")[2]))
        else:
            node = self._schemas.followed.setdefault((self.base, self.scope, reference), resolved.contents)
        return Schema(node, self._schemas, resolved.resolver)

    def end(self) -> "Schema":
        """The schema that this one leads to as long as it is nothing but a reference."""
        schema = self
        while isinstance(schema.node, dict) and "$ref" in schema.node and schema.node.keys() <= _REFERENCE:
            schema = schema.follow(schema.node["$ref"])
        return schema

    def below(self, *keys: str | int) -> "Schema":
        """The schema that stands in this one below some keys; raises KeyError, IndexError or TypeError if none."""
        node = self.node
        for key in keys:
            node = node[key]
        has_base = isinstance(node, dict) and "$id" in node
        resolver = self._resolver.lookup(node["$id"]).resolver if has_base else self._resolver
        return Schema(node, self._schemas, resolver)

    def led(self, mapped: str) -> "Schema | None":
        """The schema to which a value of its discriminator's mapping leads, a reference or a name (OpenAPI 3.1,
        "Discriminator Object"); None where nobody knows where it leads."""
        reference = mapped if mapped.startswith("#") else f"#/components/schemas/{mapped}"
        for each in (reference, BASE + reference):
            with suppress(jsonschema_rs.ReferencingError):
                return self.follow(each).end()
        return None

    def children(self, keyword: str) -> "dict[Any, Schema]":
        """The schemas that a keyword of this one holds, by name or index; one that stands alone by None."""
        held = self.node.get(keyword, {})
        if SCHEMA_KEYWORDS[keyword] == "schemas" and keyword in self.node:
            return {None: self.below(keyword)}
        keys = range(len(held)) if isinstance(held, list) else held
        return {key: self.below(keyword, key) for key in keys}

    def item(self, index: int) -> "Schema | None":
        """The schema that this one has for the item of an array at `index`."""
        if index < len(self.node.get("prefixItems", ())):
            return self.below("prefixItems", index)
        return self.below("items") if "items" in self.node else None

    def is_valid(self, value: Any) -> bool:
        """Whether `value` is valid by this schema."""
        return self._schemas.validator_of(self).is_valid(value)

    @property
    def is_in_document(self) -> bool:
        """Whether references in this schema are relative to the document, not to an `$id`."""
        return self.base == BASE

    @property
    def scope(self) -> object:
        """The URIs by way of which it was reached, each once: the outermost that can binds a `$dynamicRef`."""
        return tuple(dict.fromkeys(reversed(self._resolver.dynamic_scope)))

    @property
    def base(self) -> str:
        """The URI to which its references are relative."""
        return self._resolver.base_uri

    def is_circular(self) -> bool:
        """Whether this schema, applied to a value, applies one to the same value without end."""
        ended, keywords = self._schemas.ended, _LAYERS | _CONDITIONS
        way = [(self, self.applied(keywords))]
        while way:
            schema, further = way[-1]
            part = next(further, None)
            if part is None:
                ended[schema.identity] = schema
                way.pop()
            elif part.identity not in ended:
                if any(part.node == other.node and part.base == other.base for other, _ in way):
                    return True
                way.append((part, part.applied(keywords)))
        return False

    @property
    def identity(self) -> tuple[int, str]:
        """Tells it from others, as long as it is kept."""
        return id(self.node), self.base

    def layers(self, keywords: Set[str] = _LAYERS) -> "Iterator[Schema]":
        """This schema and those that `$ref`, `allOf`, `anyOf` and `oneOf` lay over it, each once, the outermost first.

        A schema that is true or false has no layers.
        """
        seen: dict[tuple[int, str], Schema] = {}
        waiting = [self]
        while waiting:
            schema = waiting.pop()
            if isinstance(schema.node, dict) and schema.identity not in seen:
                seen[schema.identity] = schema
                yield schema
                waiting += reversed([*schema.applied(keywords)])

    def applied(self, keywords: Set[str]) -> "Iterator[Schema]":
        """The schemas that these keywords of this one apply to the same value."""
        for keyword in self.node if isinstance(self.node, dict) else ():
            if keyword in keywords and keyword in REFERENCES:
                yield self.follow(self.node[keyword])
            elif keyword in keywords:
                yield from self.children(keyword).values()

    def find(self, keyword: str) -> "Schema":
        """What stands below the keyword in the outermost layer that has it; where none has it, all is allowed."""
        found = (layer.below(keyword) for layer in self.layers() if keyword in layer.node)
        return next(found, replace(self, node=True))

    def members(self) -> "dict[str, Schema]":
        """The schemas of an object's members by name; where several layers name one, the outermost decides."""
        return {name: found[0] for name, found in members_of(self.layers()).items()}

    def required(self) -> set[str]:
        """The names of the members that a layer requires."""
        return {name for layer in self.layers() for name in layer.node.get("required", ())}

    def defaults(self) -> list[Any]:
        """The values of `default`, the outermost layer's first."""
        return [layer.node["default"] for layer in self.layers() if "default" in layer.node]

    def types(self) -> set[str]:
        """The JSON types that the layers name; an `enum` or `const` names those of its values."""
        types: set[str] = set()
        for layer in self.layers():
            declared = layer.node.get("type", [])
            types.update([declared] if isinstance(declared, str) else declared)
            values = [*layer.node.get("enum", []), *([layer.node["const"]] if "const" in layer.node else [])]
            if not declared:
                types.update(_TYPES.get(type(value), "string") for value in values)
        return types

    def is_marked(self, keyword: str, keywords: Set[str] = _LAYERS) -> bool:
        """Whether a layer has a keyword that is true, such as `readOnly`."""
        return any(layer.node.get(keyword) is True for layer in self.layers(keywords))

    @property
    def is_binary(self) -> bool:
        """Whether the values are bytes: strings of the format `binary`, or of a media type without an encoding."""
        nodes = [layer.node for layer in self.layers()]
        is_raw = any("contentMediaType" in node for node in nodes)
        is_raw = is_raw and not any("contentEncoding" in node for node in nodes)
        is_named = any(node.get("format") == "binary" for node in nodes)
        return self.types() <= {"string", "null"} and (is_named or is_raw)


def members_of(layers: Iterable[Schema]) -> dict[str, list[Schema]]:
    """What each layer says of an object's members, by name."""
    members: dict[str, list[Schema]] = {}
    for layer in layers:
        for name, member in layer.children("properties").items():
            members.setdefault(name, []).append(member)
    return members
