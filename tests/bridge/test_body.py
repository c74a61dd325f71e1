"""The request body: its limit, its media type, its rules and its defaults, as the contract says."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect
from starlette.types import Message

from openapi.bridge.document.places import ContractError
from openapi.bridge.failures import BadRequest, ContentTooLarge, Failure, UnsupportedMediaType
from openapi.bridge.request.body import BodyReader
from tests.support.contracts import contract_of, document, operation, with_body

LIMIT = 1024
JSON = (b"content-type", b"application/json")


def reader(schema: Any, **options: Any) -> BodyReader:
    """What reads a body of this schema."""
    contract = with_body(schema, **options)
    body = contract.operations["act"].body
    assert body is not None
    return BodyReader(contract, body)


def receive(
    messages: Iterable[Message], *headers: tuple[bytes, bytes], body: BodyReader | None = None
) -> bytes:
    """What is received of a request with these headers and these messages of its body."""
    waiting = iter(messages)

    async def next_message() -> Message:
        return next(waiting)

    return asyncio.run((body or reader({})).receive({"headers": headers}, next_message))


def chunks(*parts: bytes) -> list[Message]:
    """The messages of a body that comes in these parts."""
    last = len(parts) - 1
    return [{"type": "http.request", "body": part, "more_body": i < last} for i, part in enumerate(parts)]


def failure(messages: Iterable[Message], *headers: tuple[bytes, bytes]) -> type[Failure]:
    """The failure that such a request comes to."""
    with pytest.raises(Failure) as raised:
        receive(messages, *headers)
    return raised.type


def refusal(body: BodyReader, content: bytes) -> str:
    """The sentence with which `content` is refused."""
    with pytest.raises(BadRequest) as refused:
        body.parse(content)
    return refused.value.reason


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_a_body_arrives_whole(parts: list[bytes]) -> None:
    """However a body is cut into parts, it is received as it was sent."""
    assert b"".join(parts) == receive(chunks(*parts), JSON)


def test_a_body_without_a_word_is_an_empty_one() -> None:
    """A request message that says nothing of a body ends it, and nothing needs no media type."""
    assert b"" == receive([{"type": "http.request"}])


def test_the_limit_is_exact() -> None:
    """A body of just as many bytes as the contract allows is received, one byte more is not."""
    assert b"x" * LIMIT == receive(chunks(b"x" * LIMIT), JSON)
    assert ContentTooLarge is failure(chunks(b"x" * (LIMIT + 1)), JSON)
    assert ContentTooLarge is failure(chunks(b"x" * LIMIT, b"x"), JSON)


def test_an_announced_length_is_enough_to_refuse() -> None:
    """A body that is announced as too large is refused before a byte of it is read."""
    assert ContentTooLarge is failure([], JSON, (b"content-length", b"1025"))
    assert b"x" == receive(chunks(b"x"), JSON, (b"content-length", b"1024"))


def test_a_body_that_never_ends_is_not_collected() -> None:
    """Of an endless body no more is read than shows that it is too large."""
    read = []

    def endless() -> Iterable[Message]:
        while True:
            read.append(100)
            yield {"type": "http.request", "body": b"x" * 100, "more_body": True}

    assert ContentTooLarge is failure(endless(), JSON)
    assert 1100 == sum(read)


def test_the_size_is_told_before_the_media_type() -> None:
    """A body that is too large and of another type is too large."""
    assert ContentTooLarge is failure(chunks(b"x" * 2000), (b"content-type", b"text/plain"))


def test_a_client_that_leaves_is_not_answered() -> None:
    """A connection that ends within the body is no refusal of the contract's."""
    with pytest.raises(ClientDisconnect):
        receive([*chunks(b"{", b"")[:1], {"type": "http.disconnect"}], JSON)


@pytest.mark.parametrize(
    "content_type",
    [
        *(
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
        ),
        *(
            'application/json; charset="utf-8"',
            "application/json; charset=utf8",
            "application/json; profile=x",
        ),
        *("application/json ; charset=utf-8", "application/json;"),
    ],
)
def test_json_in_utf_8_is_taken(content_type: str) -> None:
    """The contract's media type is taken in any case, with parameters, and with the charset that JSON has."""
    assert b"{}" == receive(chunks(b"{}"), (b"content-type", content_type.encode()))


@pytest.mark.parametrize(
    "content_type",
    [
        *(
            "text/plain",
            "text/json",
            "application/jsonx",
            "application/x-www-form-urlencoded",
            "application",
            "",
            "json",
        ),
        *(
            "application/json; charset=latin-1",
            "application/json; charset=utf-16",
            "application/json, text/plain",
        ),
        *("application/json; charset*=utf-16''x", "application/problem+json", "*/*", "\xff"),
    ],
)
def test_another_media_type_is_not_taken(content_type: str) -> None:
    """A body of another type, or JSON in another charset, is 415."""
    assert UnsupportedMediaType is failure(chunks(b"{}"), (b"content-type", content_type.encode("latin-1")))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [JSON, JSON],
        [JSON, (b"content-encoding", b"gzip")],
        [JSON, (b"content-encoding", b"identity"), (b"content-encoding", b"gzip")],
        [JSON, (b"content-encoding", b"")],
    ],
)
def test_a_body_must_say_plainly_what_it_is(headers: list[tuple[bytes, bytes]]) -> None:
    """No media type, two of them, or any Content-Encoding but `identity` is 415."""
    assert UnsupportedMediaType is failure(chunks(b"{}"), *headers)


def test_identity_is_no_encoding() -> None:
    """`Content-Encoding: identity` says that there is none."""
    assert b"{}" == receive(chunks(b"{}"), JSON, (b"content-encoding", b"identity"))


def test_no_body_needs_no_media_type() -> None:
    """Without a body its type and encoding mean nothing."""
    assert b"" == receive(chunks(b""), (b"content-type", b"text/plain"), (b"content-encoding", b"gzip"))


def test_the_contract_names_the_media_type() -> None:
    """A contract may ask for a JSON media type of its own, which then is the only one."""
    body = reader({}, media_type="application/merge-patch+json")
    assert b"{}" == receive(chunks(b"{}"), (b"content-type", b"application/merge-patch+json"), body=body)
    with pytest.raises(UnsupportedMediaType):
        receive(chunks(b"{}"), JSON, body=body)
    assert "The request body is required, as application/merge-patch+json" == refusal(body, b"")


def test_strict_json_is_asked_for() -> None:
    """What the strict loader refuses is a 400 with its sentence, which does not hold what was sent."""
    assert "The request body must be valid JSON (RFC 8259) in UTF-8" == refusal(reader({}), b"{secret}")
    assert "An object in the request body must not name a member twice" == refusal(
        reader({}), b'{"a":1,"a":2}'
    )


def test_a_required_body_must_come() -> None:
    """No body is a 400 where the contract requires one, even if it would have a default."""
    assert "The request body is required, as application/json" == refusal(reader({"default": {}}), b"")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object"}, None),
        ({"default": 5}, 5),
        ({"default": {"a": [1]}}, {"a": [1]}),
        ({"default": {}, "properties": {"a": {"default": 1}, "b": {}}}, {"a": 1}),
        ({"default": {"a": 2}, "properties": {"a": {"default": 1}}}, {"a": 2}),
        (True, None),
    ],
)
def test_no_body_is_the_default(schema: Any, expected: Any) -> None:
    """Where the contract does not require a body, its schema's default stands for none."""
    assert expected == reader(schema, required=False).parse(b"")


@pytest.mark.parametrize(
    ("schema", "sent", "expected"),
    [
        ({"properties": {"a": {"default": 1}}}, {}, {"a": 1}),
        ({"properties": {"a": {"default": 1}}}, {"a": None}, {"a": None}),
        ({"properties": {"a": {"default": None}}}, {}, {"a": None}),
        ({"properties": {"a": {"default": 1}}}, [], []),
        ({"properties": {"a": True}}, {}, {}),
        ({"allOf": [{"properties": {"a": {"default": 1}}}]}, {}, {"a": 1}),
        (
            {
                "properties": {"a": {"default": 2}},
                "allOf": [{"properties": {"a": {"default": 1}, "b": {"default": 3}}}],
            },
            {},
            {"a": 2, "b": 3},
        ),
        ({"properties": {"a": {"$ref": "#/components/schemas/Size"}}}, {}, {"a": "M"}),
        ({"properties": {"a": {"$ref": "#/components/schemas/Size", "default": "S"}}}, {}, {"a": "S"}),
        (
            {"$ref": "#/components/schemas/Shirt", "properties": {"b": {"default": 1}}},
            {},
            {"b": 1, "size": "M"},
        ),
    ],
)
def test_members_have_defaults(schema: Any, sent: Any, expected: Any) -> None:
    """A member that is not sent takes the contract's default, of the use of its type before that of the type."""
    schemas = {
        "Size": {"default": "M"},
        "Shirt": {"properties": {"size": {"$ref": "#/components/schemas/Size"}}},
    }
    body = {"content": {"application/json": {"schema": schema}}}
    contract = contract_of(
        document(
            {"/things": {"post": operation(requestBody=body)}},
            components={"schemas": schemas, "responses": {"Any": {"description": "", "x-max-body-bytes": 9}}},
        )
    )
    declared = contract.operations["act"].body
    assert declared is not None
    assert expected == BodyReader(contract, declared).parse(json.dumps(sent).encode())


def test_a_default_is_the_receivers_own() -> None:
    """What a handler does to a default is not seen by the next request."""
    body = reader({"default": {}, "properties": {"tags": {"default": [{}]}}}, required=False)
    body.parse(b"")["tags"][0]["changed"] = True
    body.parse(b"{}")["tags"].append("changed")
    assert {"tags": [{}]} == body.parse(b"")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"text/plain": {"schema": {}}},
        {"*/*": {"schema": {}}},
        {"application/*": {"schema": {}}},
        {"application/json": {"schema": {}}, "application/merge-patch+json": {"schema": {}}},
    ],
)
def test_only_one_json_media_type_can_be_read(content: Any) -> None:
    """A contract that asks for anything but one media type of JSON is not served, rather than served in part."""
    contract = contract_of(document({"/things": {"post": operation(requestBody={"content": content})}}))
    body = contract.operations["act"].body
    assert body is not None
    with pytest.raises(ContractError) as refused:
        BodyReader(contract, body)
    place = "#/paths/~1things/post/requestBody/content"
    assert f"{place}: one media type is needed, and only JSON is read" == str(refused.value)


def test_a_body_needs_a_schema() -> None:
    """A media type without a schema is a contract that forgot its rules."""
    contract = contract_of(
        document({"/things": {"post": operation(requestBody={"content": {"application/json": {}}})}})
    )
    body = contract.operations["act"].body
    assert body is not None
    place = "#/paths/~1things/post/requestBody/content/application~1json"
    with pytest.raises(ContractError, match=f"^{place}: a schema is needed here$"):
        BodyReader(contract, body)
