"""What stock Connexion 3.3 lets through, answers with 500 or tells too much of; here each is a rule of ours.

Everything goes over the real port, and byte for byte where an HTTP client would tidy it up."""

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from openapi.contract import CONTRACT_FILE
from tests.support.operations import DOCUMENT
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


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "Application/JSON",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "Application/JSON ; charset=utf8",
        "application/json; profile=x",
    ],
)
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
        [b"Content-Type:"],
        [b"Content-Type: text/plain"],
        [b"Content-Type: text/json"],
        [b"Content-Type: application/jsonp"],
        [b"Content-Type: application/json, text/plain"],
        [b"Content-Type: application/merge-patch+json"],
        [b"Content-Type: application/x-www-form-urlencoded"],
        [b"Content-Type: application/json; charset=utf-16"],
        [b"Content-Type: application/json; charset=latin-1"],
        [b"Content-Type: \xff\xfe"],
        [JSON, JSON],
        [JSON, b"Content-Type: text/plain"],
        [b"Content-Type: text/plain", JSON],
        [JSON, b"Content-Encoding: gzip"],
        [JSON, b"Content-Encoding: br"],
        [JSON, b"Content-Encoding: identity, gzip"],
    ],
    ids=repr,
)
def test_another_media_type_is_415(send: Send, stored: Stored, headers: list[bytes]) -> None:
    """A body that is not one of JSON in UTF-8, uncompressed, by exactly one media type is 415, and is not read."""
    answer = send("POST", "", *headers, body=TASK)
    assert 415 == answer.status
    assert "The request body must be application/json in UTF-8, without Content-Encoding" == answer.sentence
    assert [] == stored()


REFUSED_BODIES = {
    "invalid UTF-8": (b'{"title":"\xff"}', NOT_JSON),
    "overlong UTF-8": (b'{"title":"\xc0\xaf"}', NOT_JSON),
    "surrogate in UTF-8": (b'{"title":"\xed\xa0\x80"}', NOT_JSON),
    "UTF-16": (TASK.decode().encode("utf-16"), NOT_JSON),
    "byte order mark": (b"\xef\xbb\xbf" + TASK, NOT_JSON),
    "100,000 deep": (
        b'{"title":' + b"[" * 100_000,
        "The request body must not be nested deeper than 200 levels",
    ),
    "60,000 deep and closed": (
        b'{"title":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
        "The request body must not be nested deeper than 200 levels",
    ),
    "5,000 digits": (
        b'{"title":' + b"9" * 5_000 + b"}",
        "Integers in the request body must have 4300 digits or less",
    ),
    "NaN": (b'{"title":NaN}', NOT_JSON),
    "Infinity": (b'{"title":Infinity}', NOT_JSON),
    "-Infinity": (b'{"title":-Infinity}', NOT_JSON),
    "1e999": (
        b'{"title":1e999}',
        "Numbers in the request body must not be larger than a double can hold",
    ),
    "duplicate key": (
        b'{"title":"a","title":"b"}',
        "An object in the request body must not name a member twice",
    ),
    "duplicate key, escaped": (
        b'{"title":"a","\\u0074itle":"b"}',
        "An object in the request body must not name a member twice",
    ),
    "U+0000 in the title": (b'{"title":"a\\u0000b"}', "Title must not contain the character U+0000"),
    "U+0000 in the description": (
        b'{"title":"a","description":"\\u0000"}',
        "Description must not contain the character U+0000",
    ),
    "bare U+0000": (b'{"title":"a\x00b"}', NOT_JSON),
    "bare line break": (b'{"title":"a\nb"}', NOT_JSON),
    "lone high surrogate": (b'{"title":"\\ud800"}', NOT_JSON),
    "lone low surrogate": (b'{"title":"\\udc00"}', NOT_JSON),
    "surrogates the wrong way round": (b'{"title":"\\udc00\\ud800"}', NOT_JSON),
    "single quotes": (b"{'title':'a'}", NOT_JSON),
    "trailing comma": (b'{"title":"a",}', NOT_JSON),
    "comment": (b'{"title":"a"}//', NOT_JSON),
    "two values": (b'{"title":"a"}{"title":"b"}', NOT_JSON),
    "white space alone": (b" ", NOT_JSON),
    "an array": (b'[{"title":"a"}]', "The request body must be an object"),
    "null": (b"null", "The request body must be an object"),
    "a string": (b'"title"', "The request body must be an object"),
}


@pytest.mark.parametrize(("body", "sentence"), REFUSED_BODIES.values(), ids=REFUSED_BODIES)
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
        _compact(b'{"alg":"HS256","x":' + b"9" * 4_999 + b"}", GOOD),
        _compact(b'{"alg":"HS256","kid":{}}', GOOD),
        _compact(b'{"alg":{}}', GOOD),
        _compact(b'{"alg":null}', GOOD),
        _compact(b"[]", GOOD),
        _compact(b"null", GOOD),
        _compact(b"\xff", GOOD),
        _compact(b"", GOOD),
        _compact(HS256, b""),
        _compact(HS256, b"[]"),
        _compact(HS256, b"\xff"),
        _compact(HS256, b'{"sub":"alice","exp":1e999}'),
        _compact(HS256, b'{"sub":"alice","exp":-1e999}'),
        _compact(HS256, b'{"sub":"alice","exp":NaN}'),
        _compact(HS256, b'{"sub":"alice","exp":{}}'),
        _compact(HS256, b'{"sub":"alice","exp":[9999999999]}'),
        _compact(HS256, b'{"sub":"alice","exp":9999999999,"nbf":1e999}'),
        _compact(HS256, b'{"sub":"alice","exp":9999999999,"iat":1e999}'),
        _compact(HS256, b'{"sub":"alice","exp":9999999999,"iat":' + b"9" * 4_000 + b"}"),
        _compact(HS256, b'{"sub":["alice"],"exp":9999999999}'),
        _compact(HS256, b'{"sub":{},"exp":9999999999}'),
        _compact(HS256, b'{"sub":"\\ud800","exp":9999999999}'),
        _compact(HS256, b'{"sub":"alice","exp":9999999999,"x":' + b"[" * 2_900 + b"]" * 2_900 + b"}"),
        _compact(HS256, b'{"sub":"alice","exp":9999999999,"jti":{}}'),
        "é".encode("latin-1"),
        b"\xff\xfe",
        b".",
        b"..",
        b"...",
        b"a" * 10_000,
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


@pytest.mark.parametrize(
    "id",
    [
        *("+1", "%2B1", "01", "001", "-1", "-0", "0", "00", "1.0", "1e0", "1E0", "0x1", "0b1", "1_0", "1,0"),
        *("%201", "1%20", "%0A1", "%091", "1%0B", "%D9%A1", "%EF%BC%91", "%C2%B9", "1%00", "%00", "%001"),
        *("9223372036854775808", "99999999999999999999", "9" * 5_000, "abc", "null", "true", "NaN", "..."),
    ],
    ids=lambda text: text[:20],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_an_id_is_written_in_one_way(send: Send, method: str, id: str) -> None:
    """Only a plain decimal from 1 to 2^63 - 1 names a task; any other spelling is 400 and never another's number."""
    below = f"/{id}/complete" if method == "PATCH" else f"/{id}"
    body = TASK if method == "PUT" else b""
    answer = send(method, below, JSON, body=body)
    assert (400, "Invalid task ID") == (answer.status, answer.sentence)


@pytest.mark.parametrize("place", ["/api/{user}%00/tasks", "/api/%00/tasks", "/api/%00{user}/tasks/1"])
def test_a_user_with_u_0000_is_nobody(service: Service, user: str, place: str) -> None:
    """`%00` in the user's part of a path makes it another user's, and is never cut off there."""
    answer = exchange(service, request("GET", place.format(user=user), signed_in(service, user)))
    assert (403, "Forbidden") == (answer.status, answer.sentence)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("limit=1&limit=2", "Limit must be given once"),
        ("limit=1&limit=1", "Limit must be given once"),
        ("limit=1&%6Cimit=1", "Limit must be given once"),
        ("status=complete&limit=1&status=complete", "Status must be given once"),
        ("cursor=&cursor=", "Cursor must be given once"),
        ("limit", "Limit must be an integer"),
        ("limit=", "Limit must be an integer"),
        ("limit=+1", "Limit must be an integer"),
        ("limit=%2B1", "Limit must be an integer"),
        ("limit=01", "Limit must be an integer"),
        ("limit=1.0", "Limit must be an integer"),
        ("limit=%00", "Limit must be an integer"),
        ("limit=" + "9" * 5_000, "Limit must be an integer"),
        ("limit=0", "Limit must be 1 or more"),
        ("limit=1001", "Limit must be 1000 or less"),
        ("status=", "Invalid status value. Must be 'incomplete' or 'complete'"),
        ("status=Complete", "Invalid status value. Must be 'incomplete' or 'complete'"),
        ("status=complete%00", "Invalid status value. Must be 'incomplete' or 'complete'"),
        ("Limit=1", "Unknown query parameter. Known here: 'status', 'q', 'sort', 'limit', 'cursor'"),
        ("limit[]=1", "Unknown query parameter. Known here: 'status', 'q', 'sort', 'limit', 'cursor'"),
        ("limit=1;status=complete", "Limit must be an integer"),
        ("=1", "Unknown query parameter. Known here: 'status', 'q', 'sort', 'limit', 'cursor'"),
        ("&&limit=0", "Limit must be 1 or more"),
    ],
    ids=lambda value: value[:24],
)
def test_the_query_is_read_strictly(send: Send, query: str, sentence: str) -> None:
    """A parameter that is repeated, unknown or spelt otherwise than the contract has it is 400."""
    answer = send("GET", f"?{query}")
    assert (400, sentence) == (answer.status, answer.sentence)


def test_a_repeated_key_is_refused(send: Send, stored: Stored) -> None:
    """An Idempotency-Key that stands twice is 400; it is no list of which one could be taken."""
    answer = send("POST", "", JSON, b"Idempotency-Key: a", b"Idempotency-Key: a", body=TASK)
    assert (400, "Idempotency-Key must be given once") == (answer.status, answer.sentence)
    assert [] == stored()


@pytest.mark.parametrize("second", ["own", "other", "none", "basic"])
def test_two_authorization_headers_are_401(service: Service, user: str, second: str) -> None:
    """Two Authorization headers are 401 whatever they hold and however they are ordered, so no proxy can differ."""
    own = signed_in(service, user)
    line = {
        "own": own,
        "other": signed_in(service, "another"),
        "none": b"Authorization:",
        "basic": b"authorization: Basic eDp5",
    }[second]
    for headers in ((own, line), (line, own)):
        answer = exchange(service, request("GET", f"/api/{user}/tasks", *headers))
        assert (401, "Unauthorized") == (answer.status, answer.sentence)


def _refused_requests() -> Iterator[tuple[str, str, str, list[bytes], bytes]]:
    marker = MARKER.encode()
    for name, body in {
        "unknown member": b'{"title":"a","%s":1}' % marker,
        "unknown member of an update": b'{"%s":1}' % marker,
        "wrong type": b'{"title":{"%s":1}}' % marker,
        "too long": b'{"title":"%s"}' % (marker * 60),
        "wrong status": b'{"status":"%s"}' % marker,
        "status and more": b'{"title":"a","status":"%s"}' % marker,
        "duplicate": b'{"%s":1,"%s":2}' % (marker, marker),
        "not JSON": b'{"title":%s}' % marker,
        "not UTF-8": b'{"title":"%s\xff"}' % marker,
        "an array": b'["%s"]' % marker,
    }.items():
        yield f"POST {name}", "POST", "", [JSON], body
        yield f"PUT {name}", "PUT", "/1", [JSON], body
        yield f"PATCH {name}", "PATCH", "/1/complete", [JSON], body
    yield "id", "GET", f"/{MARKER}", [], b""
    yield "path", "GET", f"/1/{MARKER}", [], b""
    yield "broken path", "GET", f"/{MARKER}%zz", [], b""
    yield "query name", "GET", f"?{MARKER}=1", [], b""
    yield "query value", "GET", f"?limit={MARKER}", [], b""
    yield "status", "GET", f"?status={MARKER}", [], b""
    yield "cursor", "GET", f"?cursor={MARKER}", [], b""
    yield "broken query", "GET", f"?limit={MARKER}%zz", [], b""
    yield "If-Match", "DELETE", "/1", [b"If-Match: " + marker], b""
    yield "If-None-Match", "GET", "/1", [b"If-None-Match: " + marker], b""
    yield "Idempotency-Key", "POST", "", [JSON, b"Idempotency-Key: %s\xff" % marker], TASK
    yield "media type", "POST", "", [b"Content-Type: text/" + marker], TASK
    yield "charset", "POST", "", [JSON + b"; charset=" + marker], TASK
    yield "encoding", "POST", "", [JSON, b"Content-Encoding: " + marker], TASK
    yield "authorization", "GET", "", [b"Authorization: " + marker], b""
    yield "too large", "POST", "", [JSON], b'{"title":"%s"}' % (marker * 30_000)


@pytest.mark.parametrize(
    ("method", "below", "headers", "body"),
    [refused[1:] for refused in _refused_requests()],
    ids=[refused[0] for refused in _refused_requests()],
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
@pytest.mark.parametrize(
    ("size", "status"), [(LIMIT - 1, 201), (LIMIT, 201), (LIMIT + 1, 413), (3 * LIMIT, 413)]
)
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


@pytest.mark.parametrize(
    "path", ["/api/alice/tasks/", "/api/alice/tasks/1/", "/health/live/", "//health/live", "/docs"]
)
def test_no_redirect_trusts_the_host(service: Service, path: str) -> None:
    """A slash too many is 404, and where a page redirects, it is to a path and not to the host that was claimed."""
    content = request("GET", path, signed_in(service, "alice")).replace(b"localhost", b"evil.example")
    answer = exchange(service, content)
    assert (302 if path == "/docs" else 404) == answer.status
    assert "evil" not in f"{answer.body!r} {answer.headers.items()}"


def test_openapi_json_is_the_contract_itself(service: Service) -> None:
    """`/openapi.json` is the document of `/openapi.yaml` with its references as they are, not dereferenced."""
    with service.client() as client:
        published = client.get("/openapi.json")
        text = client.get("/openapi.yaml")
    assert CONTRACT_FILE.read_bytes() == text.content
    assert DOCUMENT == published.json()
    assert b'"$ref"' in published.content


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
