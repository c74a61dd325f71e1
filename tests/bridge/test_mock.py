"""Any contract, served without handlers: requests are held to it, and so are the answers."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import pointer_to
from openapi.bridge.mock.answers import ExampleAnswers, Wish
from openapi.bridge.mock.service import MockService
from tests.bridge.test_documents import FOLDER, documents
from tests.support.contracts import Json, contract_of, document, operation
from tests.support.running import PROJECT


def answering(schema: Any = None, **media_type: Any) -> Json:
    """An operation that answers 200 with JSON of a schema."""
    content = {"application/json": {**({} if schema is None else {"schema": schema}), **media_type}}
    return operation(responses={"200": {"description": "Done", "content": content}})


def ask(made: Json | Contract, path: str = "/things", method: str = "GET", **options: Any) -> httpx.Response:
    """The mock's answer to one request."""
    app = MockService(made if isinstance(made, Contract) else contract_of(made))

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


def things(made: Json, **fields: Any) -> Json:
    """A document whose one operation, `GET /things`, is `made`."""
    return document({"/things": {"get": made}}, **fields)


@pytest.mark.parametrize("path", documents())
def test_every_answer_is_valid(path: Path) -> None:
    """Each response that a document of other people declares can be answered, and the answer is valid by it."""
    contract = Contract.load(path)
    answers = ExampleAnswers(contract)
    for each in contract.operations.values():
        for status in filter(str.isdecimal, each.responses):
            answer = answers.answer(each, Wish(code=int(status)))
            response = each.response(status)
            assert response is not None
            assert (int(status), "content" in response.node) == (answer.status, answer.body is not None)
            if answer.media_type in response.node.get("content", {}) and not isinstance(answer.body, bytes):
                pointer = pointer_to(response.pointer, "content", answer.media_type, "schema")
                assert contract.answers.at(pointer).is_valid(answer.body)


STRING, INTEGER = {"type": "string"}, {"type": "integer"}
TREE = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": STRING, "children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}},
}  # fmt: skip


NAMED = {"$id": "n", "minimum": 9, **INTEGER}
LOOP = {"properties": {"loop": {"$ref": "#/components/schemas/Loop"}}, "required": ["loop"]}
# Schemas that allow nothing, or nothing that is found: an optional member of one is left out.
IMPOSSIBLE = [
    *({"pattern": "^[a-z]$", "minLength": 2, **STRING}, {"items": False, "minItems": 2, "type": "array"}),
    *({"properties": {"b": False}, "required": ["b"]}, {"additionalProperties": False, "minProperties": 1}),
    *({"oneOf": [False, {"minLength": 1, "maxLength": 0, **STRING}]}, {"$ref": "#/components/schemas/Loop"}),
    *({"pattern": "^\\p{Script=Greek}$", **STRING}, {"oneOf": [True, True], "type": "object"}),
]  # fmt: skip

CLOSED = {"additionalProperties": False, "type": "object"}
LONG = {"minLength": 24, **STRING}
KINDS = "abcdefghij"
DIFFERENT = [
    *(
        {"maxLength": 1, **STRING},
        {"format": "email", **STRING},
        {"maximum": 1, "minimum": 0, "type": "number"},
    ),
    {"items": INTEGER, "minItems": 2, "maxItems": 2, "type": "array"},
]


def when(kind: str) -> Json:
    """A rule for those of a kind."""
    return {"if": {"properties": {"k": {"const": kind}}}, "then": {"required": [kind]}}


@pytest.mark.parametrize(
    "schema",
    [
        *({}, True, {"type": ["null", "integer"]}, {"const": [1]}, {"enum": ["b"]}, {"default": 5, **INTEGER}),
        *({"minimum": 3.5, **INTEGER}, {"exclusiveMaximum": -2, "multipleOf": 7}, {"minimum": 1, "maximum": 1.5}),
        *({"minLength": 30}, {"maxLength": 2, **STRING}, {"pattern": "^[a-f]{3}-\\d+$"}, {"pattern": "^\\p{Lu}[a-z]$"}),
        *({"format": name, **STRING} for name in ("date-time", "uuid", "uri", "ipv6", "duration", "hostname")),
        {"type": "array", "items": INTEGER, "minItems": 3, "uniqueItems": True},
        {"type": "array", "prefixItems": [STRING, INTEGER], "items": False, "minItems": 2},
        {"type": "array", "prefixItems": [INTEGER], "unevaluatedItems": {"type": "boolean"}, "minItems": 2},
        {"type": "array", "items": {"properties": {"a": INTEGER}}, "minItems": 5, "uniqueItems": True},
        *({"minimum": 0.3, "maximum": 0.3, "multipleOf": 0.1}, {"minimum": 1e308, "multipleOf": 0.01}),
        *({"allOf": [{"multipleOf": 89}, {"multipleOf": 97}], **INTEGER}, {"minimum": 2**63 - 9, **INTEGER}),
        *({"minimum": 10**400, **INTEGER}, {"minimum": -(10**400), "maximum": 10**400, "type": "number"}),
        *({"pattern": "^(?<y>\\d{4})-\\k<y>$", **STRING}, {"pattern": "^((([a-z]+,)+;)+[.])+$", **STRING}),
        {"pattern": "^.+\\.(?i)(pdf)$", **STRING},
        {"type": "array", "contains": {"const": 5}, "minContains": 2},
        {"type": "object", "required": ["a"], "additionalProperties": INTEGER, "minProperties": 3},
        {"patternProperties": {"^x-[a-z]+$": INTEGER}, "additionalProperties": False, "minProperties": 1},
        {"properties": {"a": {"const": 1}, "b": STRING}, "required": ["a"], "dependentRequired": {"a": ["b"]}},
        {"properties": {"a": False, "b": STRING}, "required": ["b"]},
        {"allOf": [{"properties": {"a": INTEGER}}, {"required": ["a"]}], "unevaluatedProperties": False},
        {"oneOf": [{"properties": {"a": STRING}}, {"properties": {"a": INTEGER}, "required": ["a"]}], "type": "object"},
        {"anyOf": [{"type": "string", "pattern": "^z{3}$"}, False]},
        {"anyOf": [{"oneOf": 2 * [{"properties": {a: {"enum": [*range(9)]} for a in "abcdefgh"}}]}, {"type": "null"}]},
        {"oneOf": [{"properties": {name: STRING}} for name in "abc"], "type": "object"},
        {"oneOf": [{"items": {"properties": {name: STRING}, "type": "object"}, "type": "array"} for name in "abc"]},
        {"oneOf": [True, {"format": "date", **STRING}, {"type": ["string", "null"]}]},
        {"oneOf": [{"properties": {"a": kind}, "type": "object"} for kind in (True, {"type": ["string", "object"]})]},
        {"minProperties": 1, "propertyNames": {"enum": [{"a": 1}, "b"]}, "type": "object"},
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "properties": {"a": {"const": 1}}, "type": "object"},
        {"not": {"const": "text"}, **STRING},
        {"$ref": "#/components/schemas/Tree", "required": ["children"]},
        {"$id": "https://example.com/s", "$ref": "#/$defs/n", "$defs": {"n": {"minimum": 9, **INTEGER}}},
        {"$id": "https://a.example/s", "properties": {"p": {"$ref": "n"}}, "required": ["p"], "$defs": {"n": NAMED}},
        {"propertyNames": {"enum": ["q"]}, "minProperties": 1, "type": "object"},
        *({"type": "boolean"}, {"type": "number"}, {"items": False, "type": "array"}),
        {"not": {"minimum": 1}, **INTEGER},
        {"not": {"anyOf": [{"exclusiveMinimum": 0}, {"exclusiveMaximum": 0}]}, "type": "number"},
        {"properties": {"a": STRING, "b": STRING}, "maxProperties": 1, "not": {"maxProperties": 0}, "type": "object"},
        {"properties": {"a": STRING}, "required": ["a"], "minProperties": 2},
        {"properties": {"a": INTEGER}, "patternProperties": {"^\\p{Lu}$": STRING, "^x": STRING}, "required": ["a"]},
        {"properties": dict(zip("abcdefgh", IMPOSSIBLE, strict=True)), "type": "object"},
        {**CLOSED, "patternProperties": {"^x-": INTEGER}, "minProperties": 3},
        {**CLOSED, "patternProperties": {"^(red|green|blue)$": {}}, "minProperties": 3},
        {"type": "object", "propertyNames": {"maxLength": 1}, "minProperties": 9},
        {"required": ["a"], "dependentRequired": {"a": ["b"], "b": ["c"]}, "type": "object"},
        {"properties": {"a": {}, "b": False}, "dependentRequired": {"a": ["b"]}, "type": "object"},
        {"oneOf": [{"prefixItems": [True, {"const": n}]} for n in (1, 2)], "unevaluatedItems": False, "type": "array"},
        {"dependentSchemas": {kind * times: STRING for kind in KINDS for times in range(1, 8)}, "type": "object"},
        {"properties": {"k": {"enum": [*KINDS]}}, "required": ["k"], "allOf": [*map(when, KINDS)], "type": "object"},
        {"allOf": [{"contains": {"const": 1}}, {"contains": {"const": 2}, "maxContains": 1}], "items": INTEGER},
        {"items": INTEGER, "contains": {"minimum": 9}, "minContains": 2, "maxContains": 2, "minItems": 4},
        {"items": INTEGER, "contains": {"minimum": 9}, "minContains": 0, "maxContains": 0, "minItems": 2},
        {"prefixItems": [STRING, STRING], "contains": INTEGER, "type": "array"},
        *({"items": each, "uniqueItems": True, "minItems": 9, "type": "array"} for each in DIFFERENT),
        *({**LONG, "format": name} for name in ("date-time", "email", "hostname", "uri", "byte", "json-pointer")),
        *({**LONG, "format": "email", "minLength": least, "maxLength": least} for least in range(30, 38)),
        *({"format": name, "maxLength": 11, **STRING} for name in ("email", "uri", "hostname")),
        {"format": "email", "pattern": "@acme[.]com$", **STRING},
        {"allOf": [{"pattern": each} for each in ("[A-Z]", "[a-z]", "[0-9]")], "minLength": 8, **STRING},
        *({"not": {"pattern": "^[a-z]"}, **STRING}, {"not": {"type": ["string", "object", "array", "number"]}}),
        {"not": {"anyOf": [{"maximum": 100}, {"minimum": 200}]}, "minimum": 0, **INTEGER},
        {"oneOf": [{"items": {"properties": {a: STRING}, "type": "object"}, "type": "array"} for a in "ab"]},
    ],
)  # fmt: skip
def test_values_are_made_from_the_schema(schema: Any) -> None:
    """Where there is no example, the answer is a value that the schema allows, and the same every time."""
    made = things(answering(schema), components={"schemas": {"Tree": TREE, "Loop": LOOP}})
    response = ask(made)
    contract = contract_of(made)
    place = contract.operations["act"].place / "responses" / "200" / "content" / "application/json" / "schema"
    assert 200 == response.status_code
    assert contract.schemas.at(place.pointer).is_valid(response.json())
    assert response.content == ask(made).content


def test_a_text_by_a_pattern_is_plain() -> None:
    """What is made from a pattern is short and has letters and digits where it can, and is the same in each process."""
    assert "muQ2-zWV" == ask(things(answering({"pattern": "^[^ ]+-[^/]+$", **STRING}))).json()


@pytest.mark.parametrize(("name", "expected"), [("Pet", "Cat"), ("Cat", "Cat"), ("Dog", "Dog")])
@pytest.mark.parametrize(("said", "value"), [({"const": "{}"}, "{}"), (STRING, "the {}")])
def test_an_object_is_of_a_kind_that_is_known(name: str, expected: str, said: Json, value: str) -> None:
    """Where a discriminator stands in what others are laid over, the answer is one of these others, and whole, with a
    value that leads to it."""
    mapping = {("the {}" if said is STRING else "{}").format(kind): kind for kind in ("Cat", "Dog", "Cow")}
    pet = {
        "required": ["kind"],
        "properties": {"kind": STRING},
        "discriminator": {"propertyName": "kind", "mapping": mapping},
    }
    kinds = {
        kind: {
            "allOf": [{"$ref": "#/components/schemas/Pet"}],
            "required": [kind],
            "properties": {"kind": {key: each.format(kind) for key, each in said.items()}, kind: INTEGER},
        }
        for kind in ("Cat", "Dog")
    }
    made = answering({"$ref": f"#/components/schemas/{name}"})
    assert {"kind": value.format(expected), expected: 1} == ask(
        things(made, components={"schemas": {"Pet": {"type": "object", **pet}, **kinds}})
    ).json()


@pytest.mark.parametrize(
    ("made", "headers", "expected"),
    [
        (answering(INTEGER, example=7), {}, 7),
        (answering(INTEGER, example="wrong"), {}, 1),
        (answering(INTEGER, examples={"a": {"value": "wrong"}, "b": {"value": 8}}), {}, 8),
        (answering(examples={"a": {"value": 1}, "b": {"value": 2}}), {"Prefer": "example=b"}, 2),
        (answering(examples={"a": {"value": 1}, "a b, c": {"value": 2}}), {"Prefer": 'example="a b, c"'}, 2),
        (answering({"examples": ["wrong", 9], **INTEGER}), {}, 9),
        (answering({"properties": {"a": {"example": "x", **STRING}}, "type": "object"}), {}, {"a": "x"}),
        (answering({"properties": {"a": {"writeOnly": True}, "b": {"const": 1}}, "required": ["a"]}), {}, {"b": 1}),
        (answering({"properties": {"a": {"writeOnly": True}, "b": INTEGER}}, example={"a": 1, "b": 2}), {}, {"b": 2}),
        (answering({"type": "null"}), {}, None),
        (answering({"type": "string", "pattern": "[^ ]"}), {}, "text"),
    ],
)  # fmt: skip
def test_examples_come_first(made: Json, headers: Json, expected: Any) -> None:
    """The answer is the response's example where the schema allows it, or the one that the client asks for."""
    assert expected == ask(things(made), headers=headers).json()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "enum": [5]},
        {"type": "string", "minLength": 10**9},
        {"type": "array", "minItems": 10**9},
        {"type": "array", "contains": {}, "minContains": 10**9},
        {"type": "object", "minProperties": 10**9},
        {"type": "string", "pattern": "^(?:(?=a)a){100000000}$"},
        {"type": "number", "minimum": 1, "maximum": 0},
        {"$ref": "#/components/schemas/Wide0"},
        {"$ref": "#/components/schemas/Far0"},
    ],
)
def test_what_cannot_be_made(schema: Json) -> None:
    """A schema that nothing is valid by, or nothing that fits into memory, has no answer, which is said, and is no
    fault of the server."""
    wide = {
        f"Wide{index}": {
            "type": "object",
            "required": ["a", "b"],
            "properties": {key: {"$ref": f"#/components/schemas/Wide{index + 1}"} for key in "ab"},
        }
        for index in range(20)
    }
    far = {f"Far{index}": {"$ref": f"#/components/schemas/Far{index + 1}"} for index in range(250)}
    schemas = {**wide, "Wide20": {}, **far, "Far250": {}}
    response = ask(things(answering(schema), components={"schemas": schemas}))
    assert (501, "No valid answer could be made") == (response.status_code, response.json()["error"][:29])


TYPES: Json = {
    "audio/*": {"example": "s"},
    "model/*": {"example": "m"},
    "image/*": {"example": "i"},
    "text/csv": {"example": "a,b"},
    "application/json": {"example": 1},
    "application/xml": {"schema": {"properties": {"a": {"const": ["<"]}}, "type": "object"}},
    "application/*+json": {"example": 5},
}


@pytest.mark.parametrize(
    ("accept", "media_type", "text"),
    [
        ("*/*", "application/json", "1"),
        ("text/*", "text/csv", "a,b"),
        ("application/json;q=0.1, text/csv", "text/csv", "a,b"),
        (
            "application/xml;q=1",
            "application/xml",
            "<?xml version='1.0' encoding='UTF-8'?>\n<root><a>&lt;</a></root>",
        ),
        ("nonsense, font/woff, x/y;q=z", "application/json", "1"),
        ("image/*;q=0.1", "image/png", "i"),
        ("image/gif", "image/gif", "i"),
        ("audio/*", "audio/mpeg", "s"),
        ("model/*", "model/octet-stream", "m"),
        ("application/vnd.a+json", "application/vnd.a+json", "5"),
    ],
)
def test_the_client_chooses_the_media_type(accept: str, media_type: str, text: str) -> None:
    """`Accept` chooses among the answer's media types; JSON is sent where it does not matter."""
    made = things(operation(responses={"200": {"description": "", "content": TYPES}}))
    response = ask(made, headers={"Accept": accept})
    assert (media_type, text) == (response.headers["Content-Type"], response.text.rstrip())


HEADERS: Json = {
    "X-Count": {"required": True, "schema": {"type": "array", "items": {"minimum": 4, **INTEGER}}},
    "X-Json": {"required": True, "content": {"application/json": {"example": {"a": 1}}}},
    "X-Given": {"required": True, "schema": {"type": "object"}, "example": {"a": True}},
    "X-Spread": {"required": True, "explode": True, "schema": {"const": {"a": 1}}},
    "X-Perhaps": {"schema": STRING},
}
STATUSES: Json = {
    "204": {"description": "", "headers": HEADERS},
    "404": {"description": "", "content": {"application/json": {"example": "gone"}}},
    "1XX": {"description": ""},
    "5XX": {"description": ""},
}


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["code=404"], 404),
        (['code="503"'], 503),
        (["code=404, code=503"], 404),
        (["handling=strict, Code = 404"], 404),
        (["code=404", "respond-async"], 404),
        *((lines, 204) for lines in (["code=418"], ["code=x"], ["code=103"], ["x-code=404"])),
    ],
)
def test_the_client_may_choose_the_status(lines: list[str], status: int) -> None:
    """`Prefer: code=` (RFC 7240) has any response answered, and another status is passed over."""
    made = things(operation(responses=STATUSES))
    assert status == ask(made, headers=[("Prefer", line) for line in lines]).status_code


def test_a_client_may_accept_on_several_lines() -> None:
    """The lines of `Accept` are one list (RFC 9110, section 5.3)."""
    made = things(operation(responses={"200": {"description": "", "content": TYPES}}))
    response = ask(made, headers=[("Accept", "image/gif"), ("Accept", "font/woff")])
    assert "image/gif" == response.headers["Content-Type"]


def test_an_operation_that_declares_no_success() -> None:
    """Where only refusals are declared the answer is 200, and empty."""
    answer = ask(things(operation(responses={"404": STATUSES["404"]})))
    assert (200, b"") == (answer.status_code, answer.content)


@pytest.mark.parametrize(("media_type", "text"), [("text/plain", "text"), ("application/json", '"text"')])
def test_a_body_may_be_of_no_schema(media_type: str, text: str) -> None:
    """Where only the media type is known, the body is a text."""
    made = operation(responses={"200": {"description": "Done", "content": {media_type: {}}}})
    assert text == ask(things(made)).text.rstrip()


def test_required_headers_are_sent() -> None:
    """A header that the answer must carry has a value that its schema allows."""
    headers = ask(things(operation(responses=STATUSES))).headers
    names = ("X-Count", "X-Json", "X-Given", "X-Spread")
    assert ["4", '{"a": 1}', "a,true", "a=1"] == [headers[name] for name in names]
    assert "X-Perhaps" not in headers


def test_a_header_may_be_of_a_media_type() -> None:
    """A text in a header is not put in quotation marks, unless it is one of JSON."""
    for media_type, expected in (("text/plain", "a"), ("application/json", '"a"')):
        header = {"required": True, "content": {media_type: {"schema": {"const": "a"}}}}
        made = operation(responses={"200": {"description": "Done", "headers": {"X-Text": header}}})
        assert expected == ask(things(made)).headers["X-Text"]


@pytest.mark.parametrize(("text", "expected"), [("日", "日"), ("a\r\nX: b", "a X: b")])
def test_an_example_ends_no_header(text: str, expected: str) -> None:
    """A header has the text of its example in UTF-8, on one line."""
    header = {"required": True, "schema": {"type": "string"}, "example": text}
    made = operation(responses={"200": {"description": "Done", "headers": {"X-Text": header}}})
    assert expected == ask(things(made)).headers["X-Text"]


def test_a_key_that_is_no_media_type() -> None:
    """What stands below a key that is no media type is sent as bytes of no known type."""
    made = operation(responses={"200": {"description": "Done", "content": {"日本": {"example": "a"}}}})
    assert "application/octet-stream" == ask(things(made)).headers["Content-Type"]


SERVERS = [{"url": "https://example.com/v1"}, {"url": "/v2"}]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/things", 200), ("/v2/things", 200), ("/things", 200), ("/v3/things", 404), ("/v2" * 9000, 404)],
)
def test_the_servers_path_may_be_left_out(path: str, status: int) -> None:
    """The paths are served below that of each server, and by themselves."""
    assert status == ask(things(answering(INTEGER), servers=SERVERS), path).status_code


def servers(*paths: str) -> Json:
    """The `servers` of a path item or operation."""
    return {"servers": [{"url": f"https://example.com{path}"} for path in paths]}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *(("GET", "/a/things", 200), ("GET", "/b/things", 200), ("GET", "/things", 200), ("GET", "/v1/things", 200)),
        *(("POST", "/b/things", 200), ("POST", "/c/things", 200), ("POST", "/things", 200)),
        *(("PUT", "/b/things", 405), ("GET", "/a/other", 404), ("GET", "/d/things", 404)),
    ],
)  # fmt: skip
def test_each_operation_is_below_its_own_servers(method: str, path: str, status: int) -> None:
    """An operation's servers stand before its path item's, and these before the document's (OpenAPI 3.1, "Server
    Object"): a method is found below each of them, though another method stands below one of them too."""
    post = {**operation("post", responses=answering(INTEGER)["responses"]), **servers("/b", "/c")}
    item = {"get": answering(INTEGER), "post": post, **servers("/a", "/b")}
    assert status == ask(document({"/things": item}, **servers("/v1")), path, method).status_code


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi.yaml", "/v2/openapi.json"])
def test_the_contract_is_published(path: str) -> None:
    """Other tools find the contract where the mock is, also where an operation has any path below a server."""
    named = {"name": "id", "in": "path", "required": True, "schema": STRING}
    paths = {"/{id}": {"get": answering(INTEGER), "parameters": [named]}}
    made = document(paths, servers=SERVERS, components={"schemas": {"Text": {"$dynamicAnchor": "text"}}})
    assert made == json.loads(ask(made, path).text)


PROBLEM = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": INTEGER, "message": STRING},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ({}, (400, {"error": "Q must be an integer"})),
        ({"400": {"description": ""}}, (400, None)),
        (
            {"422": {"description": "", "content": {"application/json": {"schema": PROBLEM}}}},
            (422, {"code": 422, "message": "Q must be an integer"}),
        ),
        (
            {"default": {"description": "", "content": {"application/json": {"schema": {"enum": []}}}}},
            (400, {"error": "Q must be an integer"}),
        ),
    ],
)
def test_a_refusal_is_what_the_contract_declares(responses: Json, expected: tuple[int, Any]) -> None:
    """A request that breaks a rule is refused in the contract's own words, where it has any for it."""
    parameter = {"name": "q", "in": "query", "schema": INTEGER}
    responses = {"200": {"description": ""}, **responses}
    response = ask(things(operation(parameters=[parameter], responses=responses)), "/things?q=x")
    assert expected == (response.status_code, response.json() if response.content else None)


SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic"},
    "key": {"type": "apiKey", "in": "header", "name": "Key"},
    "oauth": {"type": "oauth2", "flows": {}},
}


@pytest.mark.parametrize(
    ("scheme", "headers"),
    [
        ("bearer", {"Authorization": "Bearer x"}),
        ("basic", {"Authorization": "Basic YTpi"}),
        ("key", {"Key": "x"}),
        ("oauth", {"Authorization": "Bearer x"}),
    ],
)
def test_any_credentials_will_do(scheme: str, headers: Json) -> None:
    """An operation that asks for credentials takes any of their form, with any scope, and none but them."""
    scopes = ["write"] if scheme == "oauth" else []
    owner = {"name": "user", "in": "path", "required": True, "x-owner": True, "schema": STRING}
    kind = {"properties": {"x-owner": {"const": 1}}, "required": ["x-owner"]}
    act = {**answering(kind), "security": [{scheme: scopes}], "parameters": [owner]}
    made = document({"/{user}": {"get": act}}, components={"securitySchemes": SCHEMES})
    statuses = [
        ask(made, "/anybody", headers=sent).status_code for sent in (headers, {}, dict.fromkeys(headers, ""))
    ]
    assert [200, 401, 401] == statuses


@contextmanager
def mocking(path: Path) -> Iterator[str]:
    """The address of `todo-api contract mock`, which ends with the block."""
    command = [sys.executable, "-m", "server", "contract", "mock", str(path), "--port", "0"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = next(line for line in process.stdout if "http://" in line)
            yield said.split()[-1]
        finally:
            process.terminate()
            assert 0 == process.wait(30)


def test_a_page_may_call_it_within_bounds(tmp_path: Path) -> None:
    """A front end of any origin is answered, with cookies too, for which a browser asks that the origin be named; and
    headers without end are refused as the service refuses them."""
    file = tmp_path / "things.json"
    made = answering(INTEGER)
    declared = (
        *("Access-Control-Allow-Origin", "Connection", "Content-Encoding", "Content-Length", "Date"),
        *("Transfer-Encoding", "X-Request-ID"),
    )
    made["responses"]["200"]["headers"] = {
        "日本": {"schema": STRING},
        **{name: {"required": True, "schema": STRING} for name in declared},
    }
    file.write_text(json.dumps(things(made)), encoding="utf-8")
    with mocking(file) as address:
        answer = httpx.get(f"{address}/things", headers={"Origin": "http://localhost:3000"})
        unread = httpx.get(f"{address}/things", headers={"X-Long": "a" * 70_000})
        refused = httpx.get(f"{address}/things?unknown=1")
    names = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Vary")
    assert ["http://localhost:3000", "true", "Origin"] == [answer.headers[name] for name in names]
    assert (200, "*") == (answer.status_code, refused.headers["Access-Control-Allow-Origin"])
    assert (431, ["error"]) == (unread.status_code, list(unread.json()))
    # What the server and HTTP say of an answer is said once, whatever the contract has of it.
    for each in (answer, refused):
        assert [] == [name for name in declared if len(each.headers.get_list(name)) > 1]
        assert "Transfer-Encoding" not in each.headers
    assert (1, 400) == (answer.json(), refused.status_code)


CHECKS = ("not_a_server_error", "response_schema_conformance", "content_type_conformance")
CHECKS += ("response_headers_conformance", "negative_data_rejection", "positive_data_acceptance")
SHORT = {"museum", "openapi"}
# What the tool counts as invalid although the same bytes are valid: in a form `null` is a text, and in XML an empty
# element is an empty array too. The items and members of a parameter are texts (RFC 6570, section 2.3), for which the
# tool writes arrays and objects, and `.,a` is both an array and an object (RFC 6570, section 3.2.1).
UNSEEN = {
    "readme-petstore": ("negative_data_rejection", "POST /pet", "PUT /pet"),
    "resend": ("negative_data_rejection", "POST /contacts/imports"),
}
STYLES = {"negative_data_rejection", "positive_data_acceptance"}


def configuration(name: str) -> str:
    """The tool's `schemathesis.toml` for a document: the checks, and where one of them cannot be made."""
    checks = [check for check in CHECKS if name != "readme-parameters-style" or check not in STYLES]
    lines = ["checks.enabled = false", *(f"checks.{check}.enabled = true" for check in checks)]
    unseen, *operations = UNSEEN.get(name, ("",))
    for each in operations:
        lines += ["[[operations]]", f'include-name = "{each}"', f"checks.{unseen}.enabled = false"]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[] if path.stem in SHORT else [pytest.mark.faults])
        for path in sorted([*FOLDER.glob("*.*"), *FOLDER.glob("split/openapi.yaml")])
    ],
)
def test_stock_schemathesis_finds_nothing(path: Path, tmp_path: Path) -> None:
    """Held against its own contract, the mock takes what is valid, refuses what is not, and answers validly."""
    credentials = {"Authorization": "Basic YTpi" if "museum" in path.stem else "Bearer x"}
    (tmp_path / "schemathesis.toml").write_text(configuration(path.stem), encoding="utf-8")
    with mocking(path) as address:
        if not httpx.get(f"{address}/openapi.json").json().get("paths"):
            pytest.skip("the document has no operations")
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--url", address),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", "3", "--seed", "1"),
            *("--generation-database", "none", "--continue-on-failure"),
            *(part for name, value in credentials.items() for part in ("-H", f"{name}: {value}")),
        ]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert 0 == ended.returncode, re.sub(r"(?s).*=+ FAILURES", "", ended.stdout)
