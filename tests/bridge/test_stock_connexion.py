"""What stock Connexion 3.3 lets through, answers with 500 or tells too much of; here each is a rule of ours.

Everything goes over the real port, and byte for byte where an HTTP client would tidy it up."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.raw_http import JSON, TASK, Answer, RawConnection, chunked, exchange, request, signed_in
from tests.support.running import SECRET, Service

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


@pytest.mark.parametrize("media_type", ["Application/JSON ; charset=utf8", "application/json; profile=x"])
def test_the_body_is_validated_however_the_media_type_is_written(send: Send, media_type: str) -> None:
    """A media type's case, spaces and parameters do not switch the validation of the body off."""
    header = b"Content-Type: " + media_type.encode()
    refused = send("POST", "", header, body=b'{"title":""}')
    assert (400, "Title is required") == (refused.status, refused.sentence)
    assert 201 == send("POST", "", header, body=TASK).status


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [b"Content-Type: application/jsonp"],
        [b"Content-Type: application/json; charset=utf-16"],
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
        (b'{"title":"\xff"}', NOT_JSON),
        (b'{"title":NaN}', NOT_JSON),
        (b'{"title":' + b"[" * 100_000, "The request body must not be nested deeper than 200 levels"),
        (b'{"title":' + b"9" * 5_000 + b"}", "Integers in the request body must have 4300 digits or less"),
        (b'{"title":"a","title":"b"}', "An object in the request body must not name a member twice"),
        (b'{"title":"a\\u0000b"}', "Title must not contain the character U+0000"),
        (b"null", "The request body must be an object"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_json_is_read_strictly(send: Send, stored: Stored, body: bytes, sentence: str) -> None:
    """What is not strict JSON of the contract's shape is 400 with a sentence that says which rule is broken."""
    answer = send("POST", "", JSON, body=body)
    assert (400, sentence) == (answer.status, answer.sentence)
    assert [] == stored()


def _compact(header: bytes, payload: bytes, secret: bytes = SECRET) -> bytes:
    parts = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload))
    signature = base64.urlsafe_b64encode(hmac.digest(secret, parts, "sha256")).rstrip(b"=")
    return parts + b"." + signature


HS256 = b'{"alg":"HS256"}'
GOOD = b'{"sub":"alice","exp":9999999999}'


@pytest.mark.parametrize(
    "token",
    [
        _compact(b'{"alg":"HS256","x":' + b"[" * 2_900 + b"]" * 2_900 + b"}", GOOD),
        _compact(b'{"alg":{}}', GOOD),
        _compact(HS256, b"\xff"),
        _compact(HS256, b'{"sub":"alice","exp":1e999}'),
        _compact(HS256, b'{"sub":"alice","exp":9999999999,"iat":' + b"9" * 4_000 + b"}"),
        _compact(HS256, b'{"sub":"\\ud800","exp":9999999999}'),
        b"\xff\xfe",
        b"..",
    ],
    ids=lambda token: repr(token[-12:]),
)
def test_a_token_on_which_the_verification_stumbles_is_401(service: Service, token: bytes) -> None:
    """No token raises anything in the bearer function that becomes a 500, signed with our secret or not."""
    answer = exchange(service, request("GET", "/api/alice/tasks", b"Authorization: Bearer " + token))
    assert (401, "Unauthorized") == (answer.status, answer.sentence)
    assert "Bearer" == answer.headers["www-authenticate"]


def test_a_token_made_by_hand_is_good(service: Service) -> None:
    """The control for the table above: the same maker's token with nothing odd in it opens the path."""
    header = b"Authorization: Bearer " + _compact(HS256, GOOD)
    assert 200 == exchange(service, request("GET", "/api/alice/tasks", header)).status


@pytest.mark.parametrize("id", ["+1", "01", "1.0", "%201", "1%0B", "%D9%A1", "%001", "9223372036854775808"])
def test_an_id_is_written_in_one_way(send: Send, id: str) -> None:
    """Only a plain decimal from 1 to 2^63 - 1 names a task; any other spelling is 400 and never another's number."""
    answer = send("GET", f"/{id}")
    assert (400, "Invalid task ID") == (answer.status, answer.sentence)


@pytest.mark.parametrize("place", ["/api/{user}%00/tasks", "/api/%00{user}/tasks/1"])
def test_a_user_with_u_0000_is_nobody(service: Service, user: str, place: str) -> None:
    """`%00` in the user's part of a path makes it another user's, and is never cut off there."""
    answer = exchange(service, request("GET", place.format(user=user), signed_in(service, user)))
    assert (403, "Forbidden") == (answer.status, answer.sentence)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("limit=1&%6Cimit=1", "Limit must be given once"),
        ("limit=1;count=true", "Limit must be an integer"),
        ("&&limit=0", "Limit must be 1 or more"),
        ("limit[]=1", "Unknown query parameter. Known here: "),
        ("=1", "Unknown query parameter. Known here: "),
    ],
)
def test_the_query_is_read_strictly(send: Send, query: str, sentence: str) -> None:
    """A parameter that is repeated, unknown or spelt otherwise than the contract has it is 400."""
    answer = send("GET", f"?{query}")
    assert 400 == answer.status
    assert answer.sentence.startswith(sentence)


def test_a_repeated_key_is_refused(send: Send, stored: Stored) -> None:
    """An Idempotency-Key that stands twice is 400; it is no list of which one could be taken."""
    answer = send("POST", "", JSON, b"Idempotency-Key: a", b"Idempotency-Key: a", body=TASK)
    assert (400, "Idempotency-Key must be given once") == (answer.status, answer.sentence)
    assert [] == stored()


@pytest.mark.parametrize("second", ["own", "none"])
def test_two_authorization_headers_are_401(service: Service, user: str, second: str) -> None:
    """Two Authorization headers are 401 whatever they hold and however they are ordered, so no proxy can differ."""
    own = signed_in(service, user)
    line = {"own": own, "none": b"authorization:"}[second]
    for headers in ((own, line), (line, own)):
        answer = exchange(service, request("GET", f"/api/{user}/tasks", *headers))
        assert (401, "Unauthorized") == (answer.status, answer.sentence)


_MARKER = MARKER.encode()


@pytest.mark.parametrize(
    ("method", "below", "headers", "body"),
    [
        ("POST", "", [JSON], b'{"title":"a","%s":1}' % _MARKER),
        ("POST", "", [JSON], b'{"title":{"%s":1}}' % _MARKER),
        ("PUT", "/1", [JSON], b'{"status":"%s"}' % _MARKER),
        ("PUT", "/1", [JSON], b'{"%s":1,"%s":2}' % (_MARKER, _MARKER)),
        ("PATCH", "/1/complete", [JSON], b'{"status":%s}' % _MARKER),
        ("PATCH", "/1/complete", [JSON], b'{"status":"%s\xff"}' % _MARKER),
        ("GET", f"/{MARKER}", [], b""),
        ("GET", f"/1/{MARKER}", [], b""),
        ("GET", f"/{MARKER}%zz", [], b""),
        ("GET", f"?{MARKER}=1", [], b""),
        ("GET", f"?cursor={MARKER}", [], b""),
        ("GET", f"?limit={MARKER}%zz", [], b""),
        ("DELETE", "/1", [b"If-Match: " + _MARKER], b""),
        ("POST", "", [JSON, b"Idempotency-Key: %s\xff" % _MARKER], TASK),
        ("POST", "", [JSON + b"; charset=" + _MARKER], TASK),
        ("POST", "", [JSON, b"Content-Encoding: " + _MARKER], TASK),
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


def test_a_body_that_announces_too_much_is_not_awaited(service: Service, user: str) -> None:
    """413 comes at once where Content-Length is above the limit, without a byte of the body."""
    lines = [signed_in(service, user), JSON, b"Content-Length: %d" % (LIMIT + 1)]
    answer = exchange(service, request("POST", f"/api/{user}/tasks", *lines))
    assert 413 == answer.status


def test_a_chunked_body_without_an_end_is_refused_at_the_limit(service: Service, user: str) -> None:
    """413 comes as soon as the chunks exceed the limit, although the body has not ended."""
    lines = [signed_in(service, user), JSON, b"Transfer-Encoding: chunked"]
    unfinished = _in_chunks(_padded(LIMIT + 1)).removesuffix(b"0\r\n\r\n")
    answer = exchange(service, request("POST", f"/api/{user}/tasks", *lines) + unfinished)
    assert 413 == answer.status


@pytest.mark.parametrize(
    "body",
    [
        chunked(TASK),
        chunked(*(TASK[index : index + 1] for index in range(len(TASK)))),
        b"%X;name=value\r\n%s\r\n0\r\n\r\n" % (len(TASK), TASK),
        b"%x\r\n%s\r\n0\r\nX-Trailer: a\r\n\r\n" % (len(TASK), TASK),
        b"0000%x\r\n%s\r\n0\r\n\r\n" % (len(TASK), TASK),
    ],
    ids=["one", "many", "extension", "trailer", "leading zeros"],
)
def test_chunked_bodies_are_taken(service: Service, user: str, body: bytes) -> None:
    """A body in chunks (RFC 9112, section 7.1) creates a task as one of a told length does."""
    lines = [signed_in(service, user), JSON, b"Transfer-Encoding: chunked"]
    answer = exchange(service, request("POST", f"/api/{user}/tasks", *lines) + body)
    assert 201 == answer.status
    assert "Buy milk" == json.loads(answer.body)["title"]


def test_a_connection_goes_on_after_a_refusal(service: Service, user: str) -> None:
    """After a 400 the next request on the same connection is answered as any other."""
    identity = signed_in(service, user)
    with RawConnection(service) as connection:
        connection.send(request("POST", f"/api/{user}/tasks", identity, JSON, body=b'{"title":"\xff"}'))
        first = connection.receive()
        connection.send(request("POST", f"/api/{user}/tasks", identity, JSON, body=TASK))
        second = connection.receive()
    assert first is not None
    assert second is not None
    assert (400, 201) == (first.status, second.status)
