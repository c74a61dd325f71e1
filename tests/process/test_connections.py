"""Connections and their bounds: what half a connection, a flood, a slow reader or a reset does, and to whom."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from openapi.bridge.answers import AnswerWriter
from openapi.contract import contract
from server.process.connections import Connections
from server.telemetry.observe import Observer
from tests.support.raw_http import RawConnection, chunked, exchange, request
from tests.support.running import Service, wait_until

Application = Callable[[Scope, Receive, Send], Any]


class Recorder:
    """An application that answers the path, with the status that it ends with, or as many bytes as the query says, and
    keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cancelled = 0
        self.gate: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"].update(observer=Observer(contract()), writer=AnswerWriter(contract()))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.asked.append(scope["path"])
        if scope["path"] == "/wait":
            try:
                while not self.gate.is_set():
                    await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                self.cancelled += 1
                return
        if scope["path"] == "/read":
            while (message := await receive()).get("more_body"):
                pass
            if message["type"] == "http.disconnect":
                return
        size = int(scope["query_string"] or 0)
        status = int(scope["path"].partition("/status/")[2] or 200)
        fields = [(name.encode(), scope[name].encode()) for name in ("method", "path")]
        fields.append((b"location", b"/api/x"))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": scope["path"].encode() + size * b"a"})
        # As what waits for the client to leave does.
        await receive()


@contextmanager
def served(app: Recorder, connections: Connections) -> Iterator[Service]:
    """The application on a real port, in a thread of this process."""
    app.gate = threading.Event()
    server = uvicorn.Server(connections.configuration(app, lifespan="on", log_config=None))
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        try:
            yield Service(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            app.gate.set()
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    """What is asked of `shared`."""
    return Recorder()


@pytest.fixture(scope="module")
def shared(recorder: Recorder) -> Iterator[Service]:
    """A server with room for many connections."""
    with served(recorder, Connections(request_timeout=30, keep_alive=75)) as service:
        yield service


@pytest.mark.parametrize("body", [b"", b"{}", chunked(b"{}")], ids=["none", "length", "chunked"])
def test_a_half_closed_connection_is_answered(shared: Service, body: bytes) -> None:
    """A client that shuts its sending side after a whole request gets the answer (RFC 9112, section 9.6)."""
    lines = [b"Transfer-Encoding: chunked"] if body.startswith(b"2\r\n") else []
    content = request("POST", "/half", *lines) + body if lines else request("POST", "/half", body=body)
    with RawConnection(shared) as connection:
        connection.send(content)
        connection.end()
        answer = connection.answer()

        assert (200, b"/half") == (answer.status, answer.body)
        assert connection.is_closed()


@pytest.mark.parametrize("status", [299, 420, 599])
def test_any_status_is_sent(shared: Service, status: int) -> None:
    """A status may be one that no RFC names (RFC 9110, section 15)."""
    assert status == exchange(shared, request("GET", f"/status/{status}")).status


def test_an_answer_that_cannot_be_sent_ends_its_connection(shared: Service) -> None:
    """A client waits for no answer that has a fault, such as a header that would begin another line."""
    with RawConnection(shared) as connection:
        connection.send(request("GET", "/a%0Ab"))
        assert (None, True) == (connection.receive(), connection.is_closed())


def test_all_of_a_pipeline_that_is_half_closed_is_answered(shared: Service) -> None:
    """Requests that arrived before the end are answered one by one, and the connection is then closed."""
    with RawConnection(shared) as connection:
        connection.send(b"".join(request("GET", f"/{number}") for number in range(40)))
        connection.end()
        answers = [connection.answer() for _ in range(40)]

        assert [b"/%d" % number for number in range(40)] == [answer.body for answer in answers]
        assert connection.is_closed()


@pytest.mark.parametrize(
    ("version", "hosts", "status"),
    [
        ("1.1", [], 400),
        ("1.1", [b"a", b"a"], 400),
        ("1.1", [b"a b"], 400),
        ("1.1", [b"user@a"], 400),
        ("1.1", [b"http://a"], 400),
        ("1.1", [b"a/b"], 400),
        ("1.1", [b"a:b"], 400),
        ("1.1", [b"[::1"], 400),
        ("1.1", [b"[::g]"], 400),
        ("1.1", [b"[::::]"], 400),
        ("1.1", [b"%zz"], 400),
        ("1.1", [b"\xff"], 400),
        ("1.1", [301 * b"."], 400),
        ("1.0", [b"a", b"b"], 400),
        ("1.1", [b""], 200),
        ("1.1", [b"\t a.example \t"], 200),
        ("1.1", [b"a.example:80"], 200),
        ("1.1", [b"[2001:db8::1]:80"], 200),
        ("1.1", [b"[v1.a:b]"], 200),
        ("1.1", [b"a_b!%41"], 200),
        ("1.0", [], 200),
    ],
)
def test_a_host_is_one_and_valid(shared: Service, version: str, hosts: list[bytes], status: int) -> None:
    """RFC 9112, section 3.2: no Host, two of them, or what is no `uri-host [":" port]` is 400."""
    lines = b"".join(b"Host: %s\r\n" % host for host in hosts)
    assert status == exchange(shared, b"GET / HTTP/%s\r\n%s\r\n" % (version.encode(), lines)).status


@pytest.mark.parametrize(
    "content",
    [
        b"GET /\r\n\r\n",
        b"GET / HTTP/0.9\r\nHost: a\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        request("POST", "/", b"Transfer-Encoding: gzip, chunked"),
        request("POST", "/", b"Transfer-Encoding: gzip"),
        request("POST", "/", b"Transfer-Encoding: chunked, chunked"),
        request("POST", "/", b"Transfer-Encoding: chunked", version="1.0"),
        request("POST", "/", b"Connection: Upgrade", b"Upgrade: h2c", b"Transfer-Encoding: gzip, chunked"),
    ],
    ids=lambda content: repr(content[:16] + content[-40:]),
)
def test_what_could_be_read_in_two_ways_is_refused(shared: Service, content: bytes) -> None:
    """Other versions, and codings other than `chunked` alone (RFC 9112, sections 2.3 and 6.1), are 400 and the end."""
    with RawConnection(shared) as connection:
        connection.send(content + b"0\r\n\r\n")
        answer = connection.answer()

        assert 400 == answer.status
        assert connection.is_closed()


@pytest.mark.parametrize("target", [b"/\xc3\xa9", b"/?q=\xc3\xa9", b"a:80", b"a/b"])
def test_what_is_no_target_is_told_what_is_wrong(shared: Service, target: bytes) -> None:
    """A target with raw UTF-8, or that is none, is told what one is (RFC 9112, section 3.2; RFC 3986, section 2.1)."""
    sentence = exchange(shared, request("GET", target)).sentence
    assert (
        "The request's target must be a path that begins with a slash, or an http URL, in percent-encoded UTF-8"
        == sentence
    )


@pytest.mark.parametrize("size", [70_000, 300_000])
def test_headers_that_are_too_large_are_431(shared: Service, size: int) -> None:
    """More than 64 KiB of headers are 431 (RFC 6585, section 5), and a client that is still sending gets to see it."""
    assert 431 == exchange(shared, request("GET", "/", b"X: " + size * b"a")).status


def test_a_flood_of_requests_is_one_request_at_a_time(shared: Service, recorder: Recorder) -> None:
    """Of 3,000 requests in one piece those behind the first wait unread until it is answered."""
    recorder.gate.clear()
    recorder.asked.clear()
    with RawConnection(shared) as connection:
        connection.send(request("GET", "/wait") + 3_000 * b"GET /n HTTP/1.1\r\nHost:\r\n\r\n")
        wait_until(lambda: recorder.asked)
        assert 200 == exchange(shared, request("GET", "/another")).status
        assert ["/wait", "/another"] == recorder.asked
        recorder.gate.set()
        assert 3_001 * [200] == [answer.status for answer in (connection.answer() for _ in range(3_001))]


@pytest.mark.parametrize("piece", [1, 7, 64])
def test_where_the_pieces_end_does_not_matter(shared: Service, piece: int) -> None:
    """A pipeline in pieces of any size has the same requests, each declined offer of an upgrade among them."""
    offer = request("POST", "/up", b"Connection: Upgrade", b"Upgrade: h2c", body=b"\r\n\r\n{}")
    coded = request("POST", "/coded", b"Transfer-Encoding: chunked") + chunked(b"\r\n\r\n", b"{}")
    content = 3 * (offer + coded + b"\r\n" + request("GET", "/plain"))
    with RawConnection(shared) as connection:
        for place in range(0, len(content), piece):
            connection.send(content[place : place + piece])
        answers = [connection.answer() for _ in range(9)]
    assert 3 * [b"/up", b"/coded", b"/plain"] == [answer.body for answer in answers]


@pytest.mark.parametrize("count", range(55, 65))
def test_a_body_of_many_ends_is_one_body(shared: Service, count: int) -> None:
    """Where a body is full of what could end it, and its end comes in two pieces, the next request is another one."""
    coded = request("POST", "/coded", b"Transfer-Encoding: chunked") + chunked(count * b"\r\n\r\n")
    with RawConnection(shared) as connection:
        connection.send(coded[:-1])
        answers = [connection.answer()]
        connection.send(coded[-1:] + request("GET", "/plain"))
        answers.append(connection.answer())
    assert [b"/coded", b"/plain"] == [answer.body for answer in answers]


@pytest.mark.parametrize("framing", [b"Content-Length: 67108864", b"Transfer-Encoding: chunked"])
def test_a_body_that_nobody_takes_waits_in_the_network(framing: bytes) -> None:
    """While the application does not ask for a body, no more of it is read than the memory has a place for."""
    recorder = Recorder()
    with (
        served(recorder, Connections(request_timeout=30, keep_alive=30)) as service,
        RawConnection(service) as connection,
    ):
        connection.send(request("POST", "/wait", framing) + b"4000000\r\n")
        wait_until(lambda: recorder.asked)
        connection.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            connection.socket.sendall(bytes(0x4000000))


@pytest.mark.parametrize(("method", "cut"), [("OTHER", 1), ("GETHER", 3), ("\r\nOTHER", 5), ("PRI", 6)])
def test_another_method_may_come_in_pieces(shared: Service, method: str, cut: int) -> None:
    """A method that no standard has, or another protocol, is read as any other where its name or its target is cut."""
    content = request(method, "/cut")
    with RawConnection(shared) as connection:
        connection.send(content[:cut])
        # What was sent before is read before.
        exchange(shared, request("GET", "/another"))
        connection.send(content[cut:] + request("GET", "/plain"))
        answers = [connection.answer() for _ in range(2)]
    assert [b"/cut", b"/plain"] == [answer.body for answer in answers]


def test_what_follows_connect_is_no_request(shared: Service) -> None:
    """The answer to CONNECT is the last one, since it may have a body that is not read (RFC 9110, section 9.3.6)."""
    with RawConnection(shared) as connection:
        connection.send(request("CONNECT", "/tunnel", body=request("GET", "/smuggled")))
        assert b"/tunnel" == connection.answer().body
        assert connection.is_closed()


def test_nothing_is_asked_for_after_the_answer(shared: Service) -> None:
    """An application that goes on after its answer has no 100 (Continue) sent, which would belong to the next one."""
    with RawConnection(shared) as connection:
        connection.send(request("POST", "/early", b"Content-Length: 2", b"Expect: 100-continue"))
        connection.answer()
        connection.send(b"{}" + request("GET", "/plain"))
        answer = connection.answer()
    assert (b"/plain", ()) == (answer.body, answer.interim)


@pytest.mark.parametrize("lines", [[], [b"Expect: 100-continue"]], ids=["plain", "expected"])
def test_a_broken_body_that_goes_on_gets_its_answer(
    shared: Service, lines: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """A client that still sends what nobody reads is not cut off before it has seen its 400 (RFC 9112, section 9.6)."""
    with RawConnection(shared) as connection:
        connection.send(request("POST", "/read", b"Transfer-Encoding: chunked", *lines) + b"zz\r\n")
        for _ in range(3):
            exchange(shared, request("GET", "/another"))
            connection.socket.sendall(b"a")
        assert 400 == connection.answer().status
        assert connection.is_closed()
    assert [] == caplog.messages


@pytest.mark.parametrize("piece", [1000, 40])
def test_another_method_may_offer_an_upgrade(shared: Service, piece: int) -> None:
    """A method that no standard has is read beside an offer as any other, and what follows it too."""
    offer = request("OTHER", "/up", b"Connection: Upgrade", b"Upgrade: websocket", body=b"{}")
    content = offer + request("GET", "/plain")
    with RawConnection(shared) as connection:
        for place in range(0, len(content), piece):
            connection.send(content[place : place + piece])
        answers = [connection.answer() for _ in range(2)]
    assert [b"/up", b"/plain"] == [answer.body for answer in answers]
    assert ["_OTHER", "GET"] == [answer.headers["method"] for answer in answers]


def test_an_empty_line_after_a_body_is_of_the_next_request(shared: Service) -> None:
    """An empty line before a request is ignored (RFC 9112, section 2.2), whatever the body before it ends with."""
    with RawConnection(shared) as connection:
        connection.send(request("POST", "/first", body=b"\r\n") + b"\r\n" + request("OTHER", "/second"))
        answers = [connection.answer() for _ in range(2)]
    assert [b"/first", b"/second"] == [answer.body for answer in answers]


def test_a_flood_of_offered_upgrades_is_answered(shared: Service) -> None:
    """1,000 requests in one piece that offer another protocol are answered as if they did not."""
    offer = request("GET", "/up", b"Connection: Upgrade", b"Upgrade: websocket")
    with RawConnection(shared) as connection:
        connection.send(1_000 * offer)
        answers = [connection.answer() for _ in range(1_000)]
    assert 1_000 * [200] == [answer.status for answer in answers]


def test_a_request_whose_client_is_gone_is_cancelled(shared: Service, recorder: Recorder) -> None:
    """A reset connection cancels its request at once, so that whatever it waits for is free for others."""
    recorder.gate.clear()
    recorder.asked.clear()
    before = recorder.cancelled
    with RawConnection(shared) as connection:
        connection.send(request("GET", "/wait"))
        wait_until(lambda: recorder.asked)
        connection.reset()
        wait_until(lambda: recorder.cancelled == before + 1)


def test_a_reset_leaves_no_line(shared: Service, caplog: pytest.LogCaptureFixture) -> None:
    """A connection that is reset behind its request is no event for the log, let alone a traceback."""
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            with RawConnection(shared) as connection:
                connection.send(request("GET", "/gone"))
                connection.reset()
        assert 200 == exchange(shared, request("GET", "/after")).status
    assert [] == [record.getMessage() for record in caplog.records]


def test_an_answer_that_is_taken_too_slowly_is_let_go() -> None:
    """A client that reads, but not the whole answer within REQUEST_TIMEOUT, loses its connection."""
    with (
        served(Recorder(), Connections(request_timeout=1, keep_alive=75)) as service,
        RawConnection(service) as connection,
    ):
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.send(request("GET", "/slow?20000000"))
        assert slowly_read(connection) < 20_000_000


def slowly_read(connection: RawConnection) -> int:
    """How many bytes have come when the connection ends, of which some thousand are read in each of three seconds."""
    read, end = 0, time.monotonic() + 3
    with suppress(ConnectionResetError):
        while part := connection.socket.recv(2000):
            read += len(part)
            time.sleep(0.05 if time.monotonic() < end else 0)
    return read


def test_newcomers_find_room(caplog: pytest.LogCaptureFixture) -> None:
    """Where there are as many connections as there may be, idle ones make room, those with a request stay, and one
    line says so."""
    recorder = Recorder()
    with (
        served(recorder, Connections(request_timeout=30, keep_alive=75, most=20)) as service,
        ExitStack() as stack,
        caplog.at_level(logging.WARNING),
    ):
        busy = stack.enter_context(RawConnection(service))
        busy.send(request("GET", "/wait"))
        wait_until(lambda: recorder.asked)
        silent = [stack.enter_context(RawConnection(service)) for _ in range(60)]
        assert 200 == exchange(service, request("GET", "/newcomer")).status
        assert silent[0].is_closed()
        recorder.gate.set()
        answer = busy.answer()
        assert b"/wait" == answer.body
    assert ["more than 20 connections"] == [record.getMessage().split(":")[0] for record in caplog.records]


@pytest.mark.parametrize("prefix", ["/todo", ""], ids=["kept", "stripped"])
def test_below_a_path_addresses_lead_back(prefix: str) -> None:
    """With ROOT_PATH a request means the same with it and without, and addresses in answers lie below it."""
    recorder = Recorder()
    with served(recorder, Connections(request_timeout=30, keep_alive=75, root_path="/todo")) as service:
        answer = exchange(service, request("GET", f"{prefix}/tasks"))

    assert (b"/tasks", "/todo/api/x") == (answer.body, answer.headers["location"])
