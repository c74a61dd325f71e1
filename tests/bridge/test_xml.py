"""XML bodies, as OpenAPI's XML objects describe them."""

from typing import Any

import pytest

from openapi.bridge.failures import BadRequest
from openapi.bridge.mock.answers import ExampleAnswers, Wish
from openapi.bridge.request.body import BodyReader
from openapi.bridge.request.xml import parse_xml, value_of
from tests.support.contracts import body_reader, contract_of, document, operation, parsed

XML = "application/xml"
SCHEMA = {
    "type": "object",
    "required": ["tags"],
    "properties": {
        "id": {"type": "integer", "xml": {"attribute": True, "name": "number"}},
        "name": {"type": "string", "default": "x", "xml": {"name": "title", "prefix": "p", "namespace": "urn:x"}},
        "tags": {"type": "array", "items": {"type": "integer", "xml": {"name": "tag"}}},
        "links": {"type": "array", "items": {"type": "string"}, "xml": {"wrapped": True, "name": "urls"}},
        "notes": {"type": "array"},
        "done": {"type": ["boolean", "null"]},
        "home": {"properties": {"street": {"type": "string"}}},
        "any": {},
    },
    "additionalProperties": {"type": "integer"},
}  # fmt: skip


def xml(schema: Any = SCHEMA) -> BodyReader:
    """What reads an XML body of the schema."""
    return body_reader({XML: {"schema": schema}})


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("<t/>", {"tags": []}),
        ('<t number="5"><tag>1</tag><tags>2</tags></t>', {"id": 5, "tags": [1, 2]}),
        ('<p:t xmlns:p="urn:x" p:a="1"><p:title> ä&lt;</p:title></p:t>', {"name": " ä<", "tags": []}),
        ("<t>\n<urls><a>b</a> <a/></urls>\n</t>", {"links": ["b", ""], "tags": []}),
        ("<t><done>true</done></t>", {"done": True, "tags": []}),
        ("<t><home><street>s</street></home></t>", {"home": {"street": "s"}, "tags": []}),
        ("<t><done>null</done><any><b>1</b></any></t>", {"done": None, "any": {"b": "1"}, "tags": []}),
        ("<t><more>1</more></t>", {"more": 1, "tags": []}),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><t><title>\xe4</title></t>', {"name": "ä", "tags": []}),
    ],
)  # fmt: skip
def test_elements_are_members(sent: str, expected: Any) -> None:
    """Elements and attributes become members of the types that the schema has, by the names that it gives them."""
    content = sent.encode("latin-1" if "ISO" in sent else "utf-8")
    assert {"name": "x", **expected} == parsed(xml(), content, XML)


@pytest.mark.parametrize(
    ("schema", "sent", "expected"),
    [
        ({"type": "array", "items": {"type": "integer"}}, b"<t><a>1</a><b>2</b></t>", [1, 2]),
        ({"type": "integer"}, b"<t>1</t>", 1),
        ({"properties": {"a": {"type": "integer"}}}, b"<t><a>1</a></t>", {"a": 1}),
        ({"type": "string"}, b"<t/>", b"<t/>"),
        ({"type": "string", "format": "binary"}, b"\xff", b"\xff"),
    ],
)
def test_what_is_no_object(schema: Any, sent: bytes, expected: Any) -> None:
    """An array holds the elements below the root, a value its text; where a string is asked for, XML is bytes."""
    assert expected == parsed(xml(schema), sent, XML)


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ("<t>", "The request body must be well-formed XML"),
        ("<t/><t/>", "The request body must be well-formed XML"),
        ('<?xml version="1.0" encoding="x"?><t/>', "The request body must be well-formed XML"),
        ('<?xml version="1.0" encoding="gbk"?><t/>', "The request body must be well-formed XML"),
        ('<!DOCTYPE t [<!ENTITY e "e">]><t>&e;</t>', "The request body must be XML without a document type"),
        ("<a>" * 201, "The request body must not be nested deeper than 200 levels"),
        ("<t>null</t>", "The request body must be an object"),
        ("<t>null<tag>1</tag></t>", "The request body must be an object"),
        ("<t><tag>x</tag></t>", "An item of tags must be an integer"),
        ("<t><title/><title/></t>", "Name must be a string"),
        ("<t><title><b/></title></t>", "Name must be a string"),
        ("<t><more>a</more></t>", "A member of the request body must be an integer"),
    ],
)  # fmt: skip
def test_what_is_refused(sent: str, sentence: str) -> None:
    """What is not well-formed, and what breaks the schema, is refused with a sentence."""
    with pytest.raises(BadRequest) as refused:
        parsed(xml(), sent.encode(), XML)
    assert sentence == refused.value.reason


def test_the_entities_of_a_document_type_are_not_expanded() -> None:
    """A document type ends the reading at once: the test would not end otherwise, as to expand these takes as long as
    expat lets it."""
    entities = "".join(f'<!ENTITY e{level} "{10 * f"&e{level - 1};"}">' for level in range(1, 12))
    content = f'<!DOCTYPE t [<!ENTITY e0 "ha">{entities}]><t>&e11;</t>'.encode()
    for _ in range(10_000):
        with pytest.raises(BadRequest):
            parse_xml(content)


def test_what_a_schema_says_is_found_out_once() -> None:
    """Many elements of one schema, which may hold itself, cost little each: the test would take a minute otherwise."""
    thing = {"type": "object", "properties": {"things": {"type": "array", "items": {"$ref": "#"}}}}
    act = operation(parameters=[{"name": "t", "in": "query", "schema": {"$id": "urn:thing", **thing}}])
    contract = contract_of(document({"/things": {"get": act}}))
    schema = contract.requests.at("/paths/~1things/get/parameters/0/schema")
    for _ in range(10):
        assert {"things": 20_000 * [{}]} == value_of(
            parse_xml(b"<t>" + b"<things/>" * 20_000 + b"</t>"), schema
        )


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (SCHEMA, {"name": "x", "tags": [1, 2], "id": 5, "links": ["<", ""], "done": None, "home": {"street": " "}}),
        (SCHEMA, {"name": "ä", "tags": [], "done": True, "more": 1, "any": {"b": "1"}}),
        ({"type": "array", "items": {"type": "integer", "xml": {"name": "n"}}, "xml": {"name": "ns"}}, [1, 2]),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}, [{"id": 1}, {"id": 2}]),
    ],
)  # fmt: skip
def test_what_the_mock_writes_is_what_is_read(schema: Any, value: Any) -> None:
    """An answer in XML follows the schema's XML objects: as a request it would be read as the same value."""
    thing = {"type": "object", "properties": {"id": {"type": "integer", "xml": {"attribute": True}}}}
    media_type = {"schema": schema, "example": value}
    act = operation(responses={"200": {"description": "", "content": {XML: media_type}}})
    contract = contract_of(document({"/things": {"get": act}}, components={"schemas": {"Thing": thing}}))

    written = ExampleAnswers(contract).answer(contract.operations["act"], Wish()).body

    assert value == parsed(body_reader({XML: {"schema": schema}}, Thing=thing), written, XML)


@pytest.mark.parametrize(("kind", "expected"), [("count", 5), ("word", "5")])
def test_xml_is_read_by_the_branch_that_it_is_of(kind: str, expected: Any) -> None:
    """Where branches of a choice read the same element in different ways, each is tried alone."""
    kinds = [
        {"properties": {"kind": {"const": name}, "value": {"type": type_}}}
        for name, type_ in (("count", "integer"), ("word", "string"))
    ]
    sent = f"<t><kind>{kind}</kind><value>5</value></t>".encode()
    assert {"kind": kind, "value": expected} == parsed(xml({"oneOf": kinds}), sent, XML)
