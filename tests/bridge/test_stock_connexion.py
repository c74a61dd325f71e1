"""What stock Connexion 3.3 lets through, answers with 500 or tells too much of; here each is a rule of ours.

Everything goes over the real port, and byte for byte where an HTTP client would tidy it up."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.raw_http import JSON, TASK, Answer, RawConnection, chunked, exchange, request, signed_in
from tests.support.running import Service

LIMIT = 131_072
NOT_JSON = "The request body must be valid JSON (RFC 8259) in UTF-8"
MARKER = "xyzzy"

Send = Callable[..., Answer]
Stored = Callable[[], list[Any]]


@pytest.fixture
def send(service: Service, user: str) -> Send:
    """Sends a request as `user`, with these header lines more, to a path below the user's own."""

    def send(method: str, below: str, *headers: bytes, body: bytes = b"") -> Answer:
        identity = signed_in(service, user)
        content = request(method, f"/api/{user}/tasks{below}", identity, *headers, body=body)
        return exchange(service, content, method)

    return send


@pytest.fixture
def stored(service: Service, user: str, tasks: str) -> Stored:
    """Tells which tasks the user has by now."""

    def stored() -> list[Any]:
        found: list[Any] = json.loads(exchange(service, request("GET", tasks, signed_in(service, user))).body)
        return found

    return stored


def test_the_body_is_validated_however_the_media_type_is_written(send: Send) -> None:
    """A media type's case, spaces and parameters do not switch the validation of the body off."""
    header = b"Content-Type: Application/JSON ; charset=utf8; profile=x"
    refused = send("POST", "", header, body=b'{"title":""}')
    assert (400, "Title is required") == (refused.status, refused.sentence)
    assert 201 == send("POST", "", header, body=TASK).status


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [b"Content-Type: text/plain"],
        [b"Content-Type: application/json; charset=iso-8859-1"],
        [b"Content-Type: application/merge-patch+json"],
        [b"Content-Type: \xff\xfe"],
        [JSON, JSON],
        [JSON, b"Content-Encoding: gzip"],
    ],
    ids=repr,
)
def test_another_media_type_is_415(send: Send, stored: Stored, headers: list[bytes]) -> None:
    """A body that is not one of JSON in UTF-8, uncompressed, by exactly one media type is 415, and is not read."""
    answer = send("POST", "", *headers, body=TASK)
    assert 415 == answer.status
    assert "The request body must be application/json in UTF-8, without Content-Encoding" == answer.sentence
    assert [] == stored()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", NOT_JSON),
        (b'{"title":"\xff"}', NOT_JSON),
        (b'{"title":"\\ud800"}', NOT_JSON),
        (b'{"title":' + b"[" * 100_000, "The request body must not be nested deeper than 200 levels"),
        (b'{"title":"a","title":"b"}', "An object in the request body must not name a member twice"),
        (b"null", "The request body must be an object"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_json_is_read_strictly(send: Send, stored: Stored, body: bytes, sentence: str) -> None:
    """What is not strict JSON of the contract's shape is 400 with a sentence that says which rule is broken."""
    answer = send("POST", "", JSON, body=body)
    assert (400, sentence) == (answer.status, answer.sentence)
    assert [] == stored()


def test_a_user_with_u_0000_is_nobody(service: Service, user: str) -> None:
    """`%00` in the user's part of a path makes it another user's, and is never cut off there."""
    answer = exchange(service, request("GET", f"/api/{user}%00/tasks", signed_in(service, user)))
    assert (403, "Forbidden") == (answer.status, answer.sentence)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("limit=1&%6Cimit=1", "Limit must be given once"),
        ("limit=1;count=true", "Limit must be an integer"),
        ("limit[]=1", "Unknown query parameter. Known here: "),
    ],
)
def test_the_query_is_read_strictly(send: Send, query: str, sentence: str) -> None:
    """A parameter that is repeated, unknown or spelt otherwise than the contract has it is 400."""
    answer = send("GET", f"?{query}")
    assert 400 == answer.status
    assert answer.sentence.startswith(sentence)


_MARKER = MARKER.encode()


@pytest.mark.parametrize(
    ("method", "below", "headers", "body"),
    [
        ("POST", "", [JSON], b'{"title":"a","%s":1}' % _MARKER),
        ("POST", "", [JSON], b'{"title":{"%s":1}}' % _MARKER),
        ("PUT", "/1", [JSON], b'{"status":"%s"}' % _MARKER),
        ("GET", f"/{MARKER}", [], b""),
        ("GET", f"/{MARKER}%zz", [], b""),
        ("GET", f"?{MARKER}=1", [], b""),
        ("GET", f"?cursor={MARKER}", [], b""),
        ("DELETE", "/1", [b"If-Match: " + _MARKER], b""),
        ("POST", "", [JSON, b"Idempotency-Key: %s\xff" % _MARKER], TASK),
        ("POST", "", [JSON + b"; charset=" + _MARKER], TASK),
        ("GET", "", [b"Authorization: " + _MARKER], b""),
        ("POST", "", [JSON], b'{"title":"%s"}' % (_MARKER * 30_000)),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_errors_never_echo_the_input(
    send: Send, method: str, below: str, headers: list[bytes], body: bytes
) -> None:
    """A refusal holds nothing of what was sent, in its sentence or in its headers."""
    answer = send(method, below, *headers, body=body)
    assert 400 <= answer.status < 500
    assert answer.sentence
    assert MARKER not in f"{answer.body!r} {answer.headers.items()}".lower()


def _padded(size: int) -> bytes:
    return TASK + b" " * (size - len(TASK))


def _in_chunks(body: bytes) -> bytes:
    return chunked(*(body[start : start + 8_192] for start in range(0, len(body), 8_192)))


@pytest.mark.parametrize("as_chunks", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(("size", "status"), [(LIMIT, 201), (LIMIT + 1, 413)])
def test_a_body_may_have_128_kib(
    service: Service, user: str, stored: Stored, size: int, status: int, as_chunks: bool
) -> None:
    """A body of 131072 bytes is taken and one byte more is 413, whether its length was told or it came in chunks."""
    lines = [signed_in(service, user), JSON]
    if as_chunks:
        head = request("POST", f"/api/{user}/tasks", *lines, b"Transfer-Encoding: chunked")
        answer = exchange(service, head + _in_chunks(_padded(size)))
    else:
        answer = exchange(service, request("POST", f"/api/{user}/tasks", *lines, body=_padded(size)))
    assert status == answer.status
    if status == 413:
        assert "The request body must be 131072 bytes or less" == answer.sentence
    assert (1 if status == 201 else 0) == len(stored())


def test_a_chunked_body_without_an_end_is_refused_at_the_limit(service: Service, user: str) -> None:
    """413 comes as soon as the chunks exceed the limit, although the body has not ended."""
    lines = [signed_in(service, user), JSON, b"Transfer-Encoding: chunked"]
    unfinished = _in_chunks(_padded(LIMIT + 1)).removesuffix(b"0\r\n\r\n")
    answer = exchange(service, request("POST", f"/api/{user}/tasks", *lines) + unfinished)
    assert 413 == answer.status


def test_a_connection_goes_on_after_a_refusal(service: Service, user: str) -> None:
    """After a 400 the next request on the same connection is answered as any other."""
    identity = signed_in(service, user)
    with RawConnection(service) as connection:
        connection.send(request("POST", f"/api/{user}/tasks", identity, JSON, body=b'{"title":"\xff"}'))
        first = connection.answer()
        connection.send(request("POST", f"/api/{user}/tasks", identity, JSON, body=TASK))
        second = connection.answer()
    assert (400, 201) == (first.status, second.status)
