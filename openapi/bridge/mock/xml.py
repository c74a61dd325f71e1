"""XML answers: from a value to the elements and attributes that stand for it (OpenAPI 3.1, "XML Object")."""

import json
import re
from typing import Any
from xml.etree.ElementTree import Element, tostring

from openapi.bridge.document.schemas import Schema
from openapi.bridge.request.xml import xml_rules

# What names of members may hold beyond those of elements.
_NO_NAME = re.compile(r"^(?![^\W\d])|[^\w.-]")


def write_xml(value: Any, schema: Schema) -> bytes:
    """The document that `openapi.bridge.request.xml` reads as `value`, whose root is `root` unless it has a name."""
    return bytes(tostring(_element(_name("root", schema), value, schema), "UTF-8", xml_declaration=True))


def _element(name: str, value: Any, schema: Schema) -> Element:
    element = Element(name)
    if isinstance(value, dict):
        members, other = schema.members(), schema.find("additionalProperties")
        for key, each in value.items():
            _add(element, key, each, members.get(key, other))
    elif isinstance(value, list):
        items = schema.find("items")
        element.extend(_element(_name(name, items), item, items) for item in value)
    else:
        element.text = value if isinstance(value, str) else json.dumps(value)
    return element


def _add(element: Element, key: str, value: Any, member: Schema) -> None:
    rules, child = xml_rules(member), _element(_name(key, member), value, member)
    if rules.get("attribute"):
        # One with a namespace would be no member.
        element.set(child.tag.rpartition("}")[2], child.text or "")
    elif isinstance(value, list) and not rules.get("wrapped"):
        element.extend(child)
    else:
        element.append(child)


def _name(given: str, schema: Schema) -> str:
    """The name that the schema has, else the one that is given, with its namespace."""
    rules = xml_rules(schema)
    namespace = f"{{{rules['namespace']}}}" if "namespace" in rules else ""
    return namespace + _NO_NAME.sub("_", rules.get("name", given.rpartition("}")[2]))
