"""XML bodies: from elements and attributes to the value that they stand for (OpenAPI 3.1, "XML Object")."""

from collections.abc import Iterable, Set
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from openapi.bridge.document.places import Json
from openapi.bridge.document.schemas import Schema
from openapi.bridge.failures import unreadable
from openapi.bridge.request.coercion import coercion_of

_DEEPEST = 200


def parse_xml(content: bytes) -> Element:
    """The root element; the names of elements and attributes are without their namespaces.

    Raises:
        BadRequest: for what is not well-formed, and for a document type, whose entities could stand for anything.
    """
    builder, depth = TreeBuilder(), 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise unreadable(f"The request body must not be nested deeper than {_DEEPEST} levels")
        # An attribute with a namespace, such as `xsi:type`, is no member.
        own = {key: value for key, value in attributes.items() if "}" not in key}
        builder.start(name.rpartition("}")[2], own)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name.rpartition("}")[2])

    def refuse_doctype(*_: object) -> None:
        raise unreadable("The request body must be XML without a document type")

    # Not ElementTree's XMLParser, which reads on after a refusal, and so expands the entities that are refused.
    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        parser.Parse(content, True)
    # Python refuses the encodings that it has no table of 256 characters for with a ValueError or a LookupError.
    except (expat.ExpatError, LookupError, ValueError):
        raise unreadable("The request body must be well-formed XML") from None
    return builder.close()


def value_of(element: Element, schema: Schema) -> Any:
    """The value of an element, not validated yet; what does not look like its schema is what it looks like."""
    coercion = coercion_of(schema)
    types = coercion.types
    text = "".join((element.text or "", *(child.tail or "" for child in element)))
    has_members = len(element) > 0 or bool(element.attrib)
    if not text.strip():
        if "object" in types or (has_members and not types):
            return _object(element, schema)
        if "array" in types:
            return _list(element, _found(schema, "items"))
    if has_members:
        return text.strip() or _object(element, replace(schema, node=True))
    return coercion.convert(text)


def _list(elements: Iterable[Element], items: Schema) -> list[Any]:
    return [value_of(element, items) for element in elements]


class _Member(NamedTuple):
    """How a member of an object is written: as an attribute, or as elements, which are its items where it has some."""

    name: str
    tag: str
    schema: Schema
    is_attribute: bool
    is_required: bool
    items: Schema | None = None
    tags: Set[str] = frozenset()


# What is known of a schema is found out once, not for each of a client's elements.
_found = lru_cache(4096)(Schema.find)


@lru_cache(4096)
def _members(schema: Schema) -> list[_Member]:
    required = schema.required()
    members = []
    for name, member in schema.members().items():
        rules = xml_rules(member)
        tag: str = rules.get("name", name)
        made = _Member(name, tag, member, bool(rules.get("attribute")), name in required)
        if "array" in member.types() and not rules.get("wrapped"):
            items = member.find("items")
            made = made._replace(items=items, tags={name, tag, xml_rules(items).get("name", tag)})
        members.append(made)
    return members


def _object(element: Element, schema: Schema) -> Json:
    children: dict[str, list[Element]] = {}
    for child in element:
        children.setdefault(child.tag, []).append(child)
    attributes = dict(element.attrib)
    value: Json = {}
    for name, tag, member, is_attribute, is_required, items, tags in _members(schema):
        if is_attribute:
            if tag in attributes:
                value[name] = coercion_of(member).convert(attributes.pop(tag))
        elif items is not None:
            found = [child for child in element if child.tag in tags]
            for each in tags:
                children.pop(each, None)
            # No element is how an empty array is written.
            if found or is_required:
                value[name] = _list(found, items)
        elif found := children.pop(tag, []):
            value[name] = value_of(found[0], member) if len(found) == 1 else _list(found, member)
    other = _found(schema, "additionalProperties")
    for tag, found in children.items():
        value[tag] = value_of(found[0], other) if len(found) == 1 else _list(found, other)
    return {**attributes, **value}


def xml_rules(schema: Schema) -> Json:
    """The XML Object of a schema, the outermost layer's that has one; empty where there is none."""
    return next((layer.node["xml"] for layer in schema.layers() if "xml" in layer.node), {})
