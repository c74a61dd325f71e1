"""Clients that send too slowly: they are told so when their time is up, and hold up nobody else."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.raw_http import JSON, TASK, RawConnection, request, signed_in
from tests.support.running import SECRET, ServeProcess, Service, service_in_thread, settings_for, wait_until

pytestmark = pytest.mark.faults

TIMEOUT = 1.0
SENTENCE = "The request took too long to arrive. Send it again on a new connection"


@pytest.fixture(scope="module")
def hurried(database_url: str) -> Iterator[Service]:
    """A service that waits one second for a request."""
    with service_in_thread(database_url, settings_for(request_timeout=TIMEOUT, keep_alive=1)) as service:
        yield service


def creation(service: Service, user: str) -> bytes:
    """The request that creates a task."""
    return request("POST", f"/api/{user}/tasks", signed_in(service, user), JSON, body=TASK)


def drip(connection: RawConnection, content: bytes) -> None:
    """Sends a byte at a time, about ten in a second, until the service has had enough."""
    for byte in content:
        connection.send(bytes([byte]))
        if connection.is_answered(within=0.1):
            return
    raise AssertionError("the service has waited for everything")


def told(connection: RawConnection) -> tuple[int, str, str | None, bool]:
    """Status, sentence and `Connection` of the answer, and whether the connection is then closed."""
    answer = connection.answer()
    return answer.status, answer.sentence, answer.headers["connection"], connection.is_closed()


@pytest.mark.parametrize("sent", ["line", "headers", "head", "body", "chunk"])
def test_a_request_that_stops_is_told(hurried: Service, user: str, sent: str) -> None:
    """A request that stops anywhere before its end is 408 in the envelope, and its connection is closed."""
    whole = creation(hurried, user)
    head = whole.removesuffix(TASK)
    chunked = request(
        "POST", f"/api/{user}/tasks", signed_in(hurried, user), JSON, b"Transfer-Encoding: chunked"
    )
    part = {
        "line": whole[:9],
        "headers": head[:-2],
        "head": head,
        "body": whole[:-1],
        "chunk": chunked + b"9\r\n" + TASK[:9] + b"\r\n",
    }[sent]
    with RawConnection(hurried) as connection:
        connection.send(part)

        assert (408, SENTENCE, "close", True) == told(connection)
    with hurried.client(user) as client:
        assert [] == client.get(f"/api/{user}/tasks").json()


@pytest.mark.parametrize("slow", ["method", "head", "body"])
def test_a_byte_now_and_then_does_not_buy_time(hurried: Service, user: str, slow: str) -> None:
    """The time is that of the whole request, however steadily its bytes come."""
    # The head begins again once the parser has met a method that it does not know.
    whole = b"OTHERONE / HTTP/" if slow == "method" else creation(hurried, user)
    quick = len(whole) - len(TASK) if slow == "body" else 0
    with RawConnection(hurried) as connection:
        connection.send(whole[:quick])
        drip(connection, whole[quick:])

        assert (408, SENTENCE, "close", True) == told(connection)


def test_a_connection_that_says_nothing_is_closed(hurried: Service) -> None:
    """Whoever connects and asks nothing is let go without a word."""
    with RawConnection(hurried) as connection:
        assert connection.is_closed()


def test_a_refusal_before_the_body_is_the_only_answer(hurried: Service, user: str) -> None:
    """Where the answer did not need the body, the wait for it ends in silence."""
    content = request("POST", f"/api/{user}/tasks", JSON, b"Content-Length: 100")
    with RawConnection(hurried) as connection:
        connection.send(content)
        answer = connection.answer()

        assert 401 == answer.status
        assert connection.is_closed()


def test_an_answer_is_not_cut_by_a_late_next_request(hurried: Service, user: str) -> None:
    """Each request on a connection has the whole time, and one that does not end leaves the answers before it."""
    with RawConnection(hurried) as connection:
        for _ in range(3):
            connection.send(creation(hurried, user))
            answer = connection.answer()
            assert 201 == answer.status
        connection.send(creation(hurried, user) + b"GET")
        answer = connection.answer()
        assert 201 == answer.status
        assert (408, SENTENCE, "close", True) == told(connection)


def test_many_slow_clients_hold_up_nobody(hurried: Service, user: str) -> None:
    """With 300 connections that never finish their request, half of them in its body, others are served."""
    whole = creation(hurried, user)
    with ExitStack() as stack, hurried.client(user) as client:
        slow = [stack.enter_context(RawConnection(hurried)) for _ in range(300)]
        for number, connection in enumerate(slow):
            connection.send(whole[:-1] if number % 2 else whole[:9])
        assert [200] * 20 == [client.get(f"/api/{user}/tasks").status_code for _ in range(20)]
        assert {(408, SENTENCE, "close", True)} == {told(connection) for connection in slow}


def test_an_idle_connection_is_not_kept_for_ever(hurried: Service) -> None:
    """A connection on which nothing follows its answer is closed after KEEP_ALIVE seconds."""
    with RawConnection(hurried) as connection:
        connection.send(request("GET", "/health/live"))
        answer = connection.answer()
        assert 200 == answer.status
        assert connection.is_closed()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the time of what is not read")
def test_an_answer_that_nobody_reads_is_let_go(database_url: str, user: str, tmp_path: Path) -> None:
    """A client that asks for much and reads nothing loses its connection, and with it what the service holds for it."""
    environment = {"DATABASE_URL": database_url, "AUTH_JWT_SECRET": SECRET.decode(), "REQUEST_TIMEOUT": "1"}
    with ServeProcess(cwd=tmp_path, **environment) as process:
        process.wait_until_live()
        service = Service(process.url)
        with service.client(user) as client:
            body = {"title": "Buy milk", "description": "\N{GRINNING FACE}" * 5000}
            for _ in range(50):
                assert 201 == client.post(f"/api/{user}/tasks", json=body).status_code
        asked = request("GET", f"/api/{user}/tasks", signed_in(service, user)) * 20
        with RawConnection(service) as connection:
            connection.send(asked)
            wait_until(lambda: is_held(process.port, connection.port))
            wait_until(lambda: not is_held(process.port, connection.port))


def is_held(server: int, client: int) -> bool:
    """Whether the server's side of the connection between these ports is there."""
    ends = [f":{server:04X}", f":{client:04X}"]
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(ends == [address[-5:] for address in line.split()[1:3]] for line in lines)
