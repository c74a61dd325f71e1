"""HTTP as nobody should send it, by raw socket: never a 500, never a hang, never a second meaning.

Where a request gets as far as the application its answer is the envelope; what is not HTTP at all is the server's
own 400, after which it closes the connection, so that nothing which follows can be taken for a request."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.contract import contract
from tests.support.raw_http import (
    JSON,
    TASK,
    Answer,
    RawConnection,
    chunked,
    exchange,
    percent_encoded,
    request,
    signed_in,
)
from tests.support.running import EACH_ITS_OWN, Service

CHUNKED = b"Transfer-Encoding: chunked"
NOT_FOUND = "Not found. The paths of this API are listed in /openapi.yaml"
NOT_UTF_8 = "The path must be percent-encoded UTF-8"
NOT_ALLOWED = "Method not allowed. The Allow header lists the methods that this path takes"

Stored = Callable[[], list[Any]]


@pytest.fixture
def identity(service: Service, user: str) -> bytes:
    """The header line of the user's token."""
    return signed_in(service, user)


@pytest.fixture
def stored(service: Service, tasks: str, identity: bytes) -> Stored:
    """Tells which tasks the user has by now."""

    def stored() -> list[Any]:
        found: list[Any] = json.loads(exchange(service, request("GET", tasks, identity)).body)
        return found

    return stored


@pytest.fixture(autouse=True)
def still_alive(service: Service) -> Iterator[None]:
    """Whatever a test has sent, the service answers the next request as if nothing had been."""
    yield
    assert b'{"status":"ok"}\n' == exchange(service, request("GET", "/health/live")).body


def refused_for_good(service: Service, content: bytes) -> None:
    """Sends what is not HTTP; fails unless the only answer is 400 and the connection is closed after it."""
    with RawConnection(service) as connection:
        connection.send(content)
        answer = connection.answer()
        assert 400 == answer.status
        assert answer.sentence
        assert connection.is_closed()


SMUGGLED = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
LENGTH = b"Content-Length: %d" % len(TASK)


@pytest.mark.parametrize(
    "lines",
    [
        [LENGTH, b"Content-Length: 5"],
        [LENGTH, LENGTH],
        [b"Content-Length: %d, %d" % (len(TASK), len(TASK))],
        [b"Content-Length: -1"],
        [b"Content-Length:"],
        [b"Content-Length: 18446744073709551617"],
        [LENGTH, CHUNKED],
        [CHUNKED, LENGTH],
        [b"Transfer-Encoding: identity", LENGTH],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Transfer-Encoding : chunked"],
        [b"X: a\r\n Transfer-Encoding: chunked"],
        [b"X: a\nTransfer-Encoding: chunked"],
    ],
    ids=repr,
)
def test_a_body_of_two_lengths_is_refused(
    service: Service, tasks: str, identity: bytes, stored: Stored, lines: list[bytes]
) -> None:
    """A request whose body could end in two places is refused whole, and what follows it is not read."""
    body = chunked(TASK) if b"chunked" in lines[0] else TASK
    refused_for_good(service, request("POST", tasks, identity, JSON, *lines) + body + SMUGGLED)
    assert [] == stored()


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n" + TASK + b"\r\n0\r\n\r\n",
        b"-14\r\n" + TASK + b"\r\n0\r\n\r\n",
        b"14\n" + TASK + b"\n0\n\n",
        b"14" + TASK + b"\r\n0\r\n\r\n",
        b"14\r\n" + TASK + b"0\r\n\r\n",
        b"fffffffffffffffff\r\n" + TASK + b"\r\n0\r\n\r\n",
        b"14\r\n" + TASK + b"\r\n0\r\nno trailer\r\n\r\n",
    ],
    ids=repr,
)
def test_broken_chunks_are_refused(
    service: Service, tasks: str, identity: bytes, stored: Stored, body: bytes
) -> None:
    """A chunk that is not as RFC 9112, section 7.1, has it ends the connection, and nothing is stored."""
    refused_for_good(service, request("POST", tasks, identity, JSON, CHUNKED) + body)
    assert [] == stored()


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ([LENGTH], TASK[:-1]),
        ([CHUNKED], b"14\r\n" + TASK[:-1]),
        ([CHUNKED], b"14\r\n" + TASK + b"\r\n0\r\n"),
    ],
    ids=repr,
)
def test_a_body_that_breaks_off_stores_nothing(
    service: Service, tasks: str, identity: bytes, stored: Stored, lines: list[bytes], body: bytes
) -> None:
    """When a client goes away in the middle of a body, the service lets go of the request."""
    with RawConnection(service) as connection:
        connection.send(request("POST", tasks, identity, JSON, *lines) + body)
        connection.end()
        assert connection.is_closed()
    assert [] == stored()


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n" * 10 + b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /health/live HTTP/1.1\nHost: localhost\n\n",
        b"GET /health/\x00live HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: a\r\n folded\r\n\r\n",
        b"BREW(1) /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"BREW /health/live HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=lambda content: repr(content[:40]),
)
def test_what_is_not_http_is_refused_for_good(service: Service, content: bytes) -> None:
    """What cannot be read as HTTP/1.1 is 400, and the connection is closed."""
    refused_for_good(service, content)


@pytest.mark.parametrize(
    "content",
    [
        request("GET", "/" + "a" * 1_000_000),
        request("GET", "/health/live?" + "a" * 1_000_000),
        request("GET", "http://" + "a" * 1_000_000 + "/health/live"),
        b"G" * 1_000_000,
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_request_line_without_an_end_is_cut_off(service: Service, content: bytes) -> None:
    """A target of a megabyte is 414 (RFC 9112, section 3), and a method 400; who is still sending may not see it."""
    with RawConnection(service) as connection:
        connection.send(content)
        answer = connection.receive()
        assert answer is None or (414 if b"/" in content else 400) == answer.status
        assert connection.is_closed()


def test_a_path_may_have_eight_thousand_bytes(service: Service) -> None:
    """A longer one is 414, and one of 8,000 bytes, which RFC 9110, section 4.1, asks for, is looked up."""
    assert 404 == exchange(service, request("GET", "/" + 7_999 * "a")).status
    assert 414 == exchange(service, request("GET", "/" + 8_192 * "a")).status


@pytest.mark.parametrize(
    "content",
    [b"0\r\nX: " + 4_000_000 * b"y", b"0\r\n" + 400_000 * b"X: yyyy\r\n", b"1;" + 4_000_000 * b"y"],
    ids=["trailer", "trailers", "chunk extension"],
)
def test_what_is_beside_a_body_without_an_end_is_cut_off(
    service: Service, tasks: str, content: bytes
) -> None:
    """Four megabytes beside a body are read no more than those of a head, even after the request was answered."""
    with RawConnection(service) as connection:
        connection.send(request("POST", tasks, JSON, CHUNKED))
        answer = connection.answer()
        assert 401 == answer.status
        connection.send(content)
        refusal = connection.receive()
        assert refusal is None or 400 == refusal.status
        assert connection.is_closed()


def test_a_trailer_is_no_header(service: Service, tasks: str, identity: bytes, stored: Stored) -> None:
    """What comes after the body is never taken for a header (RFC 9110, section 6.5.1), so no token is read there."""
    with_trailer = chunked(TASK)[:-2] + identity + b"\r\n\r\n"
    assert 401 == exchange(service, request("POST", tasks, JSON, CHUNKED) + with_trailer).status
    assert [] == stored()


def test_chunks_of_one_byte(service: Service, tasks: str, identity: bytes) -> None:
    """However much longer its chunks make it, a body of the length that is allowed is read."""
    description = b'{"title":"a","description":"' + 1_900 * b"a" + b'"}' + 60_000 * b" "
    body = chunked(*(description[place : place + 1] for place in range(len(description))))
    assert 201 == exchange(service, request("POST", tasks, identity, JSON, CHUNKED) + body).status


@given(st.binary(min_size=1, max_size=200))
def test_no_bytes_are_a_500_or_a_hang(service: Service, content: bytes) -> None:
    """Any bytes at all end in a refusal or a closed connection once the client has nothing more to say."""
    with RawConnection(service) as connection:
        connection.send(content)
        connection.end()
        answer = connection.receive()
        assert answer is None or 400 <= answer.status < 500


CHANGE = request(
    "PUT",
    "/api/mutant/tasks/1",
    b"Authorization: Bearer " + Service("").token("mutant").encode(),
    JSON,
    b'If-Match: "a"',
    body=b'{"title":"a"}',
)


@given(st.integers(0, len(CHANGE) - 1), st.integers(0, 3), st.binary(max_size=3))
def test_no_mutation_of_a_request_is_a_500_or_a_hang(
    service: Service, place: int, length: int, instead: bytes
) -> None:
    """A good request with a few bytes changed ends in an answer that is no server error, or in the end."""
    with RawConnection(service) as connection:
        connection.send(CHANGE[:place] + instead + CHANGE[place + length :])
        connection.end()
        answer = connection.receive()
        assert answer is None or 200 <= answer.status < 500


@pytest.mark.parametrize(
    "lines",
    [
        [b"X: " + b"a" * 1_000_000],
        [b"X" * 1_000_000 + b": a"],
        [b"X: a"] * 20_000,
        [b"If-None-Match: " + b'"a",' * 100_000],
        [b"Host: " + b"a" * 100_000],
    ],
    ids=lambda lines: f"{len(lines)} x {lines[0][:16]!r}",
)
def test_huge_headers_do_no_harm(
    service: Service, tasks: str, identity: bytes, stored: Stored, lines: list[bytes]
) -> None:
    """Headers of a megabyte, or thousands of them, are answered or refused, and never a server error."""
    for method, below, body in (("GET", "/1", b""), ("POST", "", b"{}")):
        answer = exchange(service, request(method, tasks + below, identity, JSON, *lines, body=body))
        assert 400 <= answer.status < 500
    assert [] == stored()


@pytest.mark.parametrize(
    ("target", "status", "sentence"),
    [
        ("/api/{user}/tasks/%31", 404, "Task not found"),
        ("/api/{user}/tasks/1%00", 400, "Invalid task ID"),
        ("/api/{user}%20/tasks", 403, "Forbidden"),
        ("/api/%ff/tasks", 400, NOT_UTF_8),
        ("/api/{user}/tasks/%c0%af", 400, NOT_UTF_8),
        ("/api/{user}/tasks/%zz", 400, NOT_UTF_8),
        ("/api/{user}/tasks/1%2Fcomplete", 404, NOT_FOUND),
        ("/api/{user}/tasks%0A", 404, NOT_FOUND),
        ("/api/{user}/tasks%3Flimit=0", 404, NOT_FOUND),
        ("/api/{user}/tasks/", 404, NOT_FOUND),
        ("//api/{user}/tasks", 404, NOT_FOUND),
        ("/api/x/../{user}/tasks", 404, NOT_FOUND),
        ("/API/{user}/tasks", 404, NOT_FOUND),
        ("/docs/%2e%2e/%2e%2e/etc/passwd", 404, NOT_FOUND),
        ("*", 404, NOT_FOUND),
        ("/api/{user}/tasks?limit=0#?", 400, "The request's target must have no fragment (#)"),
        ("/", 302, None),
    ],
)
def test_a_path_has_one_meaning(
    service: Service, user: str, identity: bytes, target: str, status: int, sentence: str | None
) -> None:
    """A broken escape is 400, as is a fragment, and a path that would mean another once it is decoded or tidied up is
    not found."""
    answer = exchange(service, request("GET", target.format(user=user), identity))
    assert status == answer.status
    if sentence is not None:
        assert sentence == answer.sentence


@pytest.mark.parametrize("method", [b"GET", b"BREW"])
def test_a_head_without_a_host_is_named(service: Service, method: bytes) -> None:
    """A request without any header lacks Host (RFC 9112, section 3.2), which is said, and nothing else."""
    answer = exchange(service, method + b" /health/live HTTP/1.1\r\n\r\n")
    assert (400, "The request must have one Host header") == (answer.status, answer.sentence)


@pytest.mark.parametrize(
    "rest",
    [
        b" /health/live HTTP/1.1\r\nHost: a b\r\n\r\n",
        b" /health/live HTTP/1.1\r\nno colon\r\n\r\n",
        b" /" + b"a" * 70_000,
    ],
)
def test_a_refused_head_has_no_body(service: Service, rest: bytes) -> None:
    """An answer to HEAD has no content (RFC 9110, section 9.3.2), also where the request is refused unread."""
    with RawConnection(service) as connection:
        connection.send(b"HEAD" + rest)
        answer = connection.answer("HEAD")
        assert (True, True) == (answer.status >= 400, connection.is_closed())


@pytest.mark.parametrize(
    "line",
    [
        b"GET /a task HTTP/1.1",
        b"GET /health/live HTTP/1.2",
        b"GET\t/health/live HTTP/1.1",
        b"GET /health/live FTP/1.1",
        b"G\xc3\x89T /health/live HTTP/1.1",
    ],
)
def test_a_broken_request_line_is_named(service: Service, line: bytes) -> None:
    """What is wrong is the request line (RFC 9112, section 3), so its sentence is about that and not about headers."""
    answer = exchange(service, line + b"\r\nHost: localhost\r\n\r\n")
    assert (400, "The request must begin with a method, a path without spaces, and HTTP/1.1") == (
        answer.status,
        answer.sentence,
    )


def test_the_body_of_another_method_is_no_request(
    service: Service, tasks: str, identity: bytes, stored: Stored
) -> None:
    """A method that the server does not know has a body like any other, and the connection goes on after it."""
    smuggled = request("POST", tasks, identity, JSON, body=TASK)
    with RawConnection(service) as connection:
        connection.send(request("BREW", tasks, identity, body=smuggled) + request("GET", tasks, identity))
        answers = [connection.answer(), connection.answer()]
    assert [405, 200] == [answer.status for answer in answers]
    assert [] == stored()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("header", [b"X-HTTP-Method-Override", b"_method"])
def test_method_overrides_are_ignored(
    client: httpx.Client,
    service: Service,
    tasks: str,
    identity: bytes,
    stored: Stored,
    method: str,
    header: bytes,
) -> None:
    """Headers that name another method change nothing about the one in the request line."""
    task = client.post(tasks, json={"title": "A task"}).json()
    target = f"{tasks}/{task['id']}"
    answer = exchange(service, request(method, target, identity, header + b": DELETE"))
    assert (200 if method == "GET" else 405) == answer.status
    assert [task] == stored()


ALLOWED: dict[str, set[str]] = {}
for each in contract().operations.values():
    ALLOWED.setdefault(each.path, set()).update([each.method, *(["HEAD"] if each.method == "GET" else [])])


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/api/{user_id}/tasks", "QUERY"),
        *(("/health/live", method) for method in ("OPTIONS", "TRACE", "CONNECT", "PUT")),
        ("/health/ready", "POST"),
        # Those that no standard has, or another protocol's, are methods too (RFC 9110, section 9.1).
        *(
            ("/api/{user_id}/tasks", method)
            for method in ("BREW", "get", "FLUSH", "X-" + "Y" * 1000, "_OTHER")
        ),
        *(("/api/{user_id}/tasks/{id}", method) for method in ("POST", "PROPFIND")),
        *(("/api/{user_id}/tasks/{id}/complete", method) for method in ("GET", "HEAD", "OPTIONS")),
    ],
)
def test_other_methods_are_405_with_a_complete_allow(service: Service, path: str, method: str) -> None:
    """A method that a path does not take is 405 before any token is looked at, and Allow names those it takes."""
    answer = exchange(service, request(method, path.format(user_id="alice", id=1)), method)
    assert 405 == answer.status
    assert ", ".join(sorted(ALLOWED[path])) == answer.headers["allow"]
    if method != "HEAD":
        assert NOT_ALLOWED == answer.sentence


@pytest.mark.parametrize(
    ("target", "signed"),
    [
        ("{tasks}", False),
        ("{tasks}", True),
        ("{tasks}?limit=1", True),
        ("{tasks}?limit=0", True),
        ("{tasks}/{id}", True),
        ("{tasks}/abc", True),
        ("{tasks}/9223372036854775807", True),
        ("/api/nobody/tasks", True),
        ("/nothing/here", False),
        ("/docs/", False),
        ("/openapi.yaml", False),
    ],
)
def test_head_is_get_without_the_body(
    client: httpx.Client, service: Service, tasks: str, identity: bytes, target: str, signed: bool
) -> None:
    """HEAD has the status and the headers of GET and no body, and its Content-Length unless an operation's answer would
    have to be built for that (RFC 9110, section 9.3.2)."""
    ids = [client.post(tasks, json={"title": "A task"}).json()["id"] for _ in range(2)]
    path = target.format(tasks=tasks, id=ids[0])
    lines = [identity] if signed else []
    with RawConnection(service) as connection:
        answers = []
        for method in ("GET", "HEAD"):
            connection.send(request(method, path, *lines))
            answers.append(connection.answer(method))
        got, head = answers
    assert (got.status, _fields(got), b"") == (head.status, _fields(head), head.body)
    length = None if signed and got.status == 200 else str(len(got.body))
    assert length == head.headers["content-length"]


def _fields(answer: Answer) -> list[tuple[str, str]]:
    others = {*EACH_ITS_OWN, "content-length"}
    return [(name, value) for name, value in answer.headers.items() if name.lower() not in others]


def test_head_answers_304_as_get_does(client: httpx.Client, tasks: str) -> None:
    """HEAD takes If-None-Match into account."""
    created = client.post(tasks, json={"title": "A task"})
    tag = created.headers["etag"]
    answer = client.head(created.headers["location"], headers={"If-None-Match": tag})
    assert (304, tag, b"") == (answer.status_code, answer.headers["etag"], answer.content)


def test_http_1_0_is_answered_and_closed(service: Service, tasks: str, identity: bytes) -> None:
    """An HTTP/1.0 client, which sends no Host and knows no chunks, gets its answer and then the end."""
    with RawConnection(service) as connection:
        content = request("GET", tasks, identity, version="1.0").replace(b"Host: localhost\r\n", b"")
        connection.send(content)
        answer = connection.answer()
        assert (200, b"[]\n") == (answer.status, answer.body)
        assert connection.is_closed()


@pytest.mark.parametrize("host", ["http://localhost", "http://evil.example:1", "https://u:p@evil.example"])
def test_an_absolute_target_is_its_path(service: Service, tasks: str, identity: bytes, host: str) -> None:
    """The absolute form, which servers must take (RFC 9112, section 3.2.2), means its path, whatever the host."""
    created = exchange(service, request("POST", host + tasks, identity, JSON, body=TASK))
    assert 201 == created.status
    assert created.headers["location"].startswith(f"{tasks}/")


def test_an_expected_body_is_asked_for(service: Service, tasks: str, identity: bytes) -> None:
    """A client that waits for 100 (Continue) is told to go on, and its body is then taken."""
    with RawConnection(service) as connection:
        head = request("POST", tasks, identity, JSON, LENGTH, b"Expect: 100-continue")
        connection.send(head)
        interim = connection.receive_head()
        connection.send(TASK)
        answer = connection.answer()
    assert interim is not None
    assert (100, 201) == (interim[0], answer.status)


def test_an_older_client_is_not_told_to_go_on(service: Service, tasks: str, identity: bytes) -> None:
    """What waits for 100 (Continue) in HTTP/1.0 gets the final answer alone (RFC 9110, section 10.1.1)."""
    fields = identity, JSON, LENGTH, b"Expect: 100-continue"
    with RawConnection(service) as connection:
        connection.send(request("POST", tasks, *fields, version="1.0"))
        assert not connection.is_answered(within=0.3)
        connection.send(TASK)
        answer = connection.answer()
    assert (201, ()) == (answer.status, answer.interim)


@pytest.mark.parametrize(
    ("path", "lines", "status"),
    [
        ("/nothing/here", [LENGTH], 404),
        ("/health/live", [LENGTH], 405),
        ("{tasks}", [LENGTH], 401),
        ("/api/nobody/tasks", ["identity", LENGTH], 403),
        ("{tasks}", ["identity", b"Content-Length: 131073"], 413),
    ],
)
def test_a_refusal_does_not_wait_for_the_body(
    service: Service, tasks: str, identity: bytes, path: str, lines: list[Any], status: int
) -> None:
    """What is refused without the body is refused before it: no 100 (Continue) is sent and nothing awaited."""
    sent = [identity if line == "identity" else line for line in lines]
    content = request("POST", path.format(tasks=tasks), JSON, *sent, b"Expect: 100-continue")
    answer = exchange(service, content)
    assert (status, ()) == (answer.status, answer.interim)
    assert answer.sentence


def test_a_compressed_body_is_415(service: Service, tasks: str, identity: bytes, stored: Stored) -> None:
    """A body with a Content-Encoding is not unpacked, so it can be no bomb (RFC 9110, sections 8.4 and 12.5.3)."""
    body = gzip.compress(TASK)
    answer = exchange(service, request("POST", tasks, identity, JSON, b"Content-Encoding: gzip", body=body))
    assert 415 == answer.status
    assert "The request body must be application/json in UTF-8, without Content-Encoding" == answer.sentence
    assert "identity" == answer.headers["accept-encoding"]
    assert [] == stored()


def test_answers_are_not_compressed(client: httpx.Client, tasks: str) -> None:
    """An answer has no Content-Encoding, so its length says nothing about a secret beside a chosen text."""
    answer = client.get(tasks, headers={"Accept-Encoding": "gzip, br, zstd"})
    assert (200, None) == (answer.status_code, answer.headers.get("content-encoding"))


def test_pipelined_requests_are_answered_in_order(service: Service, tasks: str, identity: bytes) -> None:
    """Requests that are sent at once, bodies and refusals among them, are answered one by one in their order."""
    titles = [f"Task {number}" for number in range(10)]
    contents = []
    for title in titles:
        contents.append(request("POST", tasks, identity, JSON, body=b'{"title":"%s"}' % title.encode()))
        contents.append(request("GET", "/nothing/here"))
        contents.append(request("POST", tasks, JSON, body=TASK))
    with RawConnection(service) as connection:
        connection.send(b"".join(contents))
        answers = [connection.answer() for _ in contents]
    assert 10 * [201, 404, 401] == [answer.status for answer in answers]
    assert titles == [json.loads(answer.body)["title"] for answer in answers[::3]]


def test_pipelined_requests_are_no_large_head(service: Service) -> None:
    """However many requests come in one piece, the head of the last one is measured by itself."""
    content = request("GET", "/health/live", b"X: " + 200 * b"a")
    with RawConnection(service) as connection:
        connection.send(400 * content + content[:50])
        first = connection.answer()
        connection.send(content[50:])
        others = [connection.answer() for _ in range(400)]
    assert 401 * [200] == [answer.status for answer in [first, *others]]


def test_a_refusal_waits_for_the_answers_before_it(service: Service, tasks: str, identity: bytes) -> None:
    """What cannot be read does not hide what became of the requests before it: each gets its own answer."""
    with RawConnection(service) as connection:
        connection.send(2 * request("POST", tasks, identity, JSON, body=TASK) + b"nonsense\r\n\r\n")
        answers = [connection.answer() for _ in range(3)]
        assert [201, 201, 400] == [answer.status for answer in answers]
        assert connection.is_closed()


@pytest.mark.parametrize("target", ["/nothing/here", "/health/live", "{tasks}"])
def test_a_refused_body_is_not_taken_for_a_request(
    service: Service, tasks: str, identity: bytes, stored: Stored, target: str
) -> None:
    """A body that is not read because its request was refused is skipped, however much it looks like a request."""
    inner = request("POST", tasks, identity, JSON, body=TASK)
    outer = request("POST", target.format(tasks=tasks), JSON, body=inner)
    with RawConnection(service) as connection:
        connection.send(outer + request("GET", "/health/live"))
        refusal, after = connection.answer(), connection.answer()
    assert 400 <= refusal.status < 500
    assert b'{"status":"ok"}\n' == after.body
    assert [] == stored()


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_body_that_nobody_asked_for_is_skipped(
    service: Service, tasks: str, identity: bytes, stored: Stored, method: str
) -> None:
    """A body on an operation that takes none is skipped, and not taken for the next request either."""
    inner = request("POST", tasks, identity, JSON, body=TASK)
    with RawConnection(service) as connection:
        connection.send(request(method, f"{tasks}/1", identity, JSON, body=inner))
        first = connection.answer(method)
        connection.send(request("GET", "/health/live"))
        after = connection.answer()
    assert (404, b'{"status":"ok"}\n') == (first.status, after.body)
    assert [] == stored()


@pytest.mark.parametrize(
    ("protocol", "as_chunks", "at_once", "method", "below", "body", "status"),
    [
        (b"h2c", False, True, "POST", "", b'{"title":"Second"}', 201),
        (b"websocket", True, False, "PUT", "/{id}", b'{"title":"Second"}', 200),
        # Without its body this one would complete the task instead of reopening it.
        (b"h2c", True, True, "PATCH", "/{id}/complete", b'{"status":"incomplete"}', 200),
        (b"h2c", False, False, "PATCH", "/{id}/complete", b'{"status":"incomplete"}', 200),
    ],
)
def test_an_offered_upgrade_is_declined_and_the_request_answered(
    client: httpx.Client,
    service: Service,
    tasks: str,
    identity: bytes,
    protocol: bytes,
    as_chunks: bool,
    at_once: bool,
    method: str,
    below: str,
    body: bytes,
    status: int,
) -> None:
    """A request that offers another protocol is answered as if it did not (RFC 9110, section 7.8), body and all."""
    task = client.post(tasks, json={"title": "First"}).json()["id"]
    client.patch(f"{tasks}/{task}/complete")
    offer = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + protocol, b"HTTP2-Settings: AAMAAABk"]
    length = CHUNKED if as_chunks else b"Content-Length: %d" % len(body)
    head = request(method, tasks + below.format(id=task), identity, JSON, *offer, length)
    sent = chunked(body) if as_chunks else body
    with RawConnection(service) as connection:
        for part in (head + sent,) if at_once else (head, sent):
            connection.send(part)
        answer = connection.answer()
        connection.send(request("GET", "/health/live"))
        after = connection.answer()
    assert (status, 200) == (answer.status, after.status)
    assert json.loads(body).items() <= json.loads(answer.body).items()


@pytest.mark.parametrize("target", ["{tasks}", "/nothing", "/docs/"])
def test_no_header_stands_twice(service: Service, tasks: str, identity: bytes, target: str) -> None:
    """Every header of an answer stands there once, so that no two readers take different ones."""
    names = exchange(service, request("GET", target.format(tasks=tasks), identity)).headers.keys()
    assert sorted({name.lower() for name in names}) == sorted(name.lower() for name in names)


def test_a_host_with_a_longer_label_than_names_have_is_refused(service: Service) -> None:
    """No label of a name has more than 63 characters (RFC 1035, section 2.3.4), which holds for the pages too."""
    for target in ("/docs/", "/health/live"):
        long = [
            request("GET", target).replace(b"Host: localhost", b"Host: %s.example:8000" % (b"a" * length))
            for length in (63, 64)
        ]
        accepted, refused = (exchange(service, content) for content in long)
        assert (200, 400) == (accepted.status, refused.status)
        assert "The Host header must be a host name or address, with a port or without" == refused.sentence


@pytest.mark.parametrize("host", [b"evil.example", b"a b", b"\xff\xfe"])
def test_no_host_is_trusted_or_stumbled_over(
    service: Service, tasks: str, identity: bytes, host: bytes
) -> None:
    """Whatever Host says, no answer, redirect or link holds it, and none is a server error."""
    for target in ("/docs", "/docs/", "/openapi.yaml", tasks, f"{tasks}?limit=0", "/nothing/here"):
        content = request("GET", target, identity).replace(b"Host: localhost", b"Host: " + host)
        answer = exchange(service, content)
        assert answer.status < 500
        assert "evil" not in f"{answer.body!r} {answer.headers.items()}"


@pytest.mark.parametrize(
    "line",
    [
        b"X-Forwarded-User: alice",
        b"Cookie: token=alice",
        b"Proxy-Authorization: Bearer alice",
    ],
)
def test_no_header_of_a_proxy_stands_for_a_token(service: Service, line: bytes) -> None:
    """Headers with which proxies name users and addresses open nothing."""
    answer = exchange(service, request("GET", "/api/alice/tasks", line))
    assert (401, "Unauthorized") == (answer.status, answer.sentence)


def test_a_token_in_the_query_opens_nothing(service: Service, user: str, tasks: str) -> None:
    """A token counts in the Authorization header alone (RFC 6750, section 2.3, is not offered)."""
    answer = exchange(service, request("GET", f"{tasks}?access_token={service.token(user)}"))
    assert (401, "Unauthorized") == (answer.status, answer.sentence)


def test_the_user_s_name_cannot_split_the_answer(service: Service) -> None:
    """Line breaks in a user's name stay percent-encoded in Location and Link, so they add no header."""
    user = "a\r\nX-Injected: 1\r\n\r\n<b>"
    identity, tasks = signed_in(service, user), f"/api/{percent_encoded(user)}/tasks"
    created, _ = (exchange(service, request("POST", tasks, identity, JSON, body=TASK)) for _ in range(2))
    listed = exchange(service, request("GET", f"{tasks}?limit=1", identity))
    assert (201, 200) == (created.status, listed.status)
    for answer in (created, listed):
        assert "x-injected" not in answer.headers
    assert created.headers["location"].startswith("/api/a%0D%0AX-Injected%3A%201%0D%0A%0D%0A%3Cb%3E/tasks/")
    assert listed.headers["link"].startswith("</api/a%0D%0AX-Injected%3A%201%0D%0A%0D%0A%3Cb%3E/tasks?")
