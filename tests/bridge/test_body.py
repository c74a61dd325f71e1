"""The request body: its limit, its media type, its defaults and its rules, as the contract says."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect
from starlette.types import Message

from openapi.bridge.document.places import ContractError
from openapi.bridge.failures import BadRequest, ContentTooLarge, Failure, RequestTimeout, UnsupportedMediaType
from openapi.bridge.request.body import TOOK_TOO_LONG, BodyReader
from tests.support.contracts import body_reader, parsed

LIMIT = 1024
JSON = (b"content-type", b"application/json")


def reader(schema: Any, **options: Any) -> BodyReader:
    """What reads a JSON body of this schema."""
    return body_reader({"application/json": {"schema": schema}}, **options)


def receive(messages: Iterable[Message], *headers: tuple[bytes, bytes], **scope: Any) -> bytes:
    """What is received of a request with these headers and these messages of its body."""
    waiting = iter(messages)

    async def next_message() -> Message:
        return next(waiting)

    received = asyncio.run(reader({}).receive({"headers": headers, **scope}, next_message))
    return received.content if received else b""


def chunks(*parts: bytes) -> list[Message]:
    """The messages of a body that comes in these parts."""
    last = len(parts) - 1
    return [{"type": "http.request", "body": part, "more_body": i < last} for i, part in enumerate(parts)]


def failure(messages: Iterable[Message], *headers: tuple[bytes, bytes], **scope: Any) -> type[Failure]:
    """The failure that such a request ends in."""
    with pytest.raises(Failure) as raised:
        receive(messages, *headers, **scope)
    return raised.type


def refusal(body: BodyReader, content: bytes, content_type: str | None = "application/json") -> str:
    """The sentence with which `content` is refused."""
    with pytest.raises(BadRequest) as refused:
        parsed(body, content, content_type)
    return refused.value.reason


@pytest.mark.parametrize("content_type", ["application/json", "text/json", "application/vnd.a+json"])
def test_a_range_of_json_takes_all_that_is_json(content_type: str) -> None:
    """`application/*+json` and `text/json`, as ASP.NET writes them, stand for JSON that is held to the schema."""
    schema = {"schema": {"type": "object", "required": ["a"]}}
    body = body_reader({"text/json": schema, "application/*+json": schema})
    assert {"a": 1} == parsed(body, b'{"a":1}', content_type)
    assert "A is required" == refusal(body, b"{}", content_type)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_a_body_arrives_whole(parts: list[bytes]) -> None:
    """However a body is cut into parts, it is received as it was sent."""
    assert b"".join(parts) == receive(chunks(*parts), JSON)


def test_the_limit_is_exact() -> None:
    """A body of just as many bytes as the contract allows is received, one byte more is not, also when announced."""
    assert b"x" * LIMIT == receive(chunks(b"x" * LIMIT), JSON, (b"content-length", b"1024"))
    assert ContentTooLarge is failure(chunks(b"x" * LIMIT, b"x"), JSON)
    assert ContentTooLarge is failure([], JSON, (b"content-length", b"1025"))


def test_a_body_that_never_ends_is_not_collected() -> None:
    """Of an endless body no more is read than shows that it is too large, whatever its media type."""
    read = []

    def endless() -> Iterable[Message]:
        while True:
            read.append(100)
            yield {"type": "http.request", "body": b"x" * 100, "more_body": True}

    assert ContentTooLarge is failure(endless(), (b"content-type", b"text/plain"))
    assert 1100 == sum(read)


def test_a_body_that_does_not_arrive_is_refused_or_forgotten() -> None:
    """A server that has waited long enough gives 408; a client that leaves gets no answer."""
    begun = {"type": "http.request", "body": b"{", "more_body": True}
    assert RequestTimeout is failure([begun], JSON, state={TOOK_TOO_LONG: True})
    with pytest.raises(ClientDisconnect):
        receive([begun, {"type": "http.disconnect"}], JSON)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [JSON, JSON],
        [(b"content-type", b"\xff")],
        [(b"content-type", b"*/*")],
        [(b"content-type", b"application/json; charset=utf-16")],
        [JSON, (b"content-encoding", b"gzip")],
        [JSON, (b"content-encoding", b"identity"), (b"content-encoding", b"gzip")],
        [JSON, (b"content-encoding", b"identity, gzip")],
    ],
)
def test_a_body_must_say_plainly_what_it_is(headers: list[tuple[bytes, bytes]]) -> None:
    """No media type, two, another, another charset, or any Content-Encoding but `identity` is 415."""
    assert UnsupportedMediaType is failure(chunks(b"{}"), *headers)


@pytest.mark.parametrize(
    "codings", [[b"identity"], [b"Identity"], [b""], [b"identity,", b" identity"]], ids=repr
)
def test_what_changes_nothing_is_no_encoding(codings: list[bytes]) -> None:
    """`identity` in any case, and an empty list, say that the body is as it is (RFC 9110, sections 5.6.1, 8.4.1)."""
    assert b"{}" == receive(chunks(b"{}"), JSON, *((b"content-encoding", coding) for coding in codings))


def test_no_body_needs_no_media_type() -> None:
    """Without a body its type and encoding mean nothing."""
    assert b"" == receive([{"type": "http.request"}])
    assert b"" == receive(chunks(b""), (b"content-type", b"text/plain"), (b"content-encoding", b"gzip"))


ANY = {"schema": {}}
NUMBER = {"schema": {"type": "integer"}}
TEXT = {"schema": {"type": "string", "maxLength": 3}}


@pytest.mark.parametrize(
    ("content", "content_type", "sent", "expected"),
    [
        ({"application/json": ANY}, 'Application/JSON ; Charset="UTF-8"', b"[1]", [1]),
        ({"application/json; charset=utf-8": ANY}, "application/json", b"[1]", [1]),
        ({"application/json": {}}, "application/json", b"[1]", [1]),
        ({"application/vnd.x+json;version=1": ANY}, "application/vnd.x+json; version=1; q=2", b"[1]", [1]),
        ({"application/vnd.~x+json": ANY}, "application/vnd.~x+json; q=2", b"[1]", [1]),
        ({"application/*": NUMBER}, "application/merge-patch+json", b"1", 1),
        ({"*/*": TEXT}, "text/plain", b"1", "1"),
        ({"*/*": {}}, "application/json", b"[1]", b"[1]"),
        ({"*/*": {}}, None, b"\0", b"\0"),
        ({"application/octet-stream": {}}, None, b"\xff", b"\xff"),
        ({"application/octet-stream": TEXT}, "application/octet-stream", b"", b""),
        ({"image/png": NUMBER}, "image/png", b"\xff", b"\xff"),
        ({"image/*": {"schema": {"type": "string", "format": "binary"}}}, "image/png", b"\xff", b"\xff"),
        ({"application/xml": {}}, "application/xml", b"<a/>", b"<a/>"),
        ({"*/*": NUMBER}, "image/svg+xml", b"<a>1</a>", 1),
        ({"text/*": TEXT}, "text/csv", "ä".encode(), "ä"),
        ({"text/plain": TEXT}, "text/plain; charset=ISO-8859-1", b"\xe4", "ä"),
        ({"text/plain": NUMBER}, "text/plain", b"12", 12),
        ({"text/plain": {"schema": {"type": "object"}}}, "text/plain", b"a,b", "a,b"),
        ({"application/*": {}, "application/json": ANY, "*/*": {}}, "application/json", b"[1]", [1]),
        ({"text/plain": TEXT, "application/json": NUMBER}, "application/json", b"1", 1),
        ({"*/*": TEXT, "application/*": ANY}, "application/vnd.x+json", b'"1234"', "1234"),
        ({"application/*": TEXT, "application/*+json": ANY}, "application/vnd.x+json", b'"1234"', "1234"),
        (
            {"application/json": TEXT, "application/json; p=x": ANY},
            'Application/JSON;P="x"',
            b'"1234"',
            "1234",
        ),
        (
            {"application/json; p=x": TEXT, "application/json": ANY},
            "application/json; p=y",
            b'"1234"',
            "1234",
        ),
        (
            {"application/json; charset=utf-8": TEXT, "application/json; p=x": ANY},
            "application/json; p=x; charset=utf-8",
            b'"1234"',
            "1234",
        ),
        ({"application/yaml": {"schema": {"type": "object"}}}, "application/yaml", b"a: 1", b"a: 1"),
        ({"text/yaml": {"schema": {"type": "object"}}}, "text/yaml", b"a: 1", "a: 1"),
    ],
)
def test_the_most_specific_media_type_decides(
    content: Any, content_type: str | None, sent: bytes, expected: Any
) -> None:
    """A body is read by the media type of the contract that fits it best: as JSON, XML, text or bytes."""
    value = parsed(body_reader(content), sent, content_type)
    assert (type(expected), expected) == (type(value), value)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ({"application/json": ANY}, "application/problem+json"),
        ({"application/vnd.x+json;version=1": ANY}, "application/vnd.x+json;version=2"),
        ({"text/plain": TEXT}, "text/plain; charset=idna"),
        ({"application/x-www-form-urlencoded": ANY}, "application/x-www-form-urlencoded; charset=latin-1"),
        ({"image/*": {}, "text/plain": {}}, "application/json"),
    ],
)
def test_what_no_media_type_fits_is_415(content: Any, content_type: str) -> None:
    """The refusal names the media types that are taken, in `Accept` too (RFC 9110, section 15.5.16)."""
    with pytest.raises(UnsupportedMediaType) as refused:
        parsed(body_reader(content), b"1", content_type)
    assert {"Accept": ", ".join(content)} == refused.value.headers


def test_the_refusal_of_a_patch_names_the_kinds_of_patches() -> None:
    """415 to a PATCH has `Accept-Patch` too (RFC 5789, section 2.2)."""
    with pytest.raises(UnsupportedMediaType) as refused:
        receive(chunks(b"{}"), method="PATCH")
    assert dict.fromkeys(("Accept", "Accept-Patch"), "application/json") == refused.value.headers


@pytest.mark.parametrize(
    ("content", "content_type", "sent", "expected"),
    [
        ({"application/json": ANY}, "application/json", b"{secret}", "valid JSON (RFC 8259) in UTF-8"),
        ({"text/plain": TEXT}, "text/plain", b"\xff", "text in the charset that it names, or in UTF-8"),
        ({"text/plain": TEXT}, "text/plain", b"secret", "3 characters or less"),
        ({"text/plain": NUMBER}, "text/plain", b"secret", "an integer"),
        ({"image/png": TEXT}, "image/png", b"secret", "3 characters or less"),
    ],
)
def test_what_cannot_be_read_is_400(content: Any, content_type: str, sent: bytes, expected: str) -> None:
    """A body that is not what its media type says, or breaks its schema, is refused without being repeated."""
    assert f"The request body must be {expected}" == refusal(body_reader(content), sent, content_type)


def test_a_number_that_no_double_can_hold_is_400() -> None:
    """A number that would become an infinity is refused, though it is JSON."""
    sentence = "Numbers in the request body must not be larger than a double can hold"
    assert sentence == refusal(reader({}), b"1e999")


def test_a_required_body_must_come() -> None:
    """No body is a 400 where the contract requires one, even if it would have a default."""
    content = {"application/json": {"schema": {"default": {}}}, "text/plain": {}}
    sentence = "The request body is required, as application/json, text/plain"
    assert sentence == refusal(body_reader(content), b"", None)
    assert sentence == refusal(body_reader(content), b"")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object"}, None),
        ({"default": {"a": [1]}}, {"a": [1]}),
        ({"default": {"a": 2}, "properties": {"a": {"default": 1}, "b": {"default": 3}}}, {"a": 2, "b": 3}),
        (True, None),
    ],
)
def test_no_body_is_the_default(schema: Any, expected: Any) -> None:
    """Where the contract does not require a body, its schema's default stands for none."""
    assert expected == parsed(reader(schema, required=False), b"", None)


BRANCHES = [
    {"properties": {"kind": {"const": kind}, name: {"default": default}}, "unevaluatedProperties": False}
    for kind, name, default in (("a", "x", 1), ("b", "y", 2))
]


@pytest.mark.parametrize(
    ("schema", "sent", "expected"),
    [
        ({"properties": {"a": {"default": 1}}}, {}, {"a": 1}),
        ({"properties": {"a": {"default": 1}}}, {"a": None}, {"a": None}),
        ({"properties": {"a": {"default": 1}}}, [], []),
        ({"properties": {"a": True}}, {}, {}),
        (
            {"properties": {"a": {"default": 2}}, "allOf": [{"properties": {"a": {"default": 1}}}]},
            {},
            {"a": 2},
        ),
        ({"properties": {"a": {"$ref": "#/components/schemas/Size", "default": "S"}}}, {}, {"a": "S"}),
        (
            {"$ref": "#/components/schemas/Shirt", "properties": {"b": {"default": 1}}},
            {},
            {"b": 1, "size": "M"},
        ),
        ({"oneOf": BRANCHES}, {"kind": "b"}, {"kind": "b", "y": 2}),
        (
            {"allOf": [{"anyOf": BRANCHES}], "properties": {"y": {"default": 3}}},
            {"kind": "b"},
            {"kind": "b", "y": 3},
        ),
        ({"oneOf": BRANCHES}, {"kind": "a", "x": 5}, {"kind": "a", "x": 5}),
        ({"properties": {"a": {"default": 1, "readOnly": True}, "b": {"default": 2}}}, {}, {"b": 2}),
    ],
)
def test_members_have_defaults(schema: Any, sent: Any, expected: Any) -> None:
    """A member that is not sent takes the contract's default, of the use of its type before that of the type; not
    of a branch that the value is not of (JSON Schema 2020-12, section 7.7.1), nor where no request may have it."""
    shirt = {"properties": {"size": {"$ref": "#/components/schemas/Size"}}}
    body = reader(schema, Size={"default": "M"}, Shirt=shirt)
    assert expected == parsed(body, json.dumps(sent).encode())


def test_a_default_is_the_receivers_own() -> None:
    """What a handler does to a default is not seen by the next request."""
    body = reader({"default": {}, "properties": {"tags": {"default": [{}]}}}, required=False)
    parsed(body, b"", None)["tags"][0]["changed"] = True
    parsed(body, b"{}")["tags"].append("changed")
    assert {"tags": [{}]} == parsed(body, b"", None)


def test_a_key_must_be_a_media_type() -> None:
    """A contract whose `content` has a key that is no media type is refused with the place."""
    place = "#/paths/~1things/post/requestBody/content/JSON"
    with pytest.raises(ContractError, match=f"^{place}: it is no media type"):
        body_reader({"JSON": {}})
