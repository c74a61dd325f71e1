"""Many others do not hold up a request: large ones wait for their turn, and newcomers are accepted beside them."""

import asyncio
import socket
from contextlib import ExitStack
from functools import partial

import pytest
import uvloop
from starlette.types import Receive, Send
from uvicorn.server import ServerState

from openapi.bridge.answers import AnswerWriter
from openapi.contract import contract
from server.process.connections import Connections
from server.process.listening import ACCEPTED_AT_ONCE, listen, several
from server.process.turns import LARGE_BYTES, Turns
from server.telemetry.observe import Observer
from tests.support.raw_http import JSON, RawConnection, chunked, request, signed_in
from tests.support.running import Service

LARGE = LARGE_BYTES * b" "


def test_one_goes_on_in_each_round() -> None:
    """At most one large request goes on in a round of the event loop, in the order in which they ask; who has gone
    takes no turn."""

    async def taken() -> list[tuple[int, str]]:
        loop, turns, took = asyncio.get_running_loop(), Turns(), []

        async def large(name: str) -> None:
            await turns.take()
            took.append((passed, name))

        passed = 0
        tasks = [loop.create_task(large(name)) for name in "abcd"]
        while len(took) < 3:
            await asyncio.sleep(0)
            passed += 1
            tasks[1].cancel()
        return took

    took = asyncio.run(taken())
    assert ["a", "c", "d"] == [name for _, name in took]
    assert 3 == len({passed for passed, _ in took})


@pytest.mark.parametrize("where", ["head", "offer", "body"])
def test_all_large_ones_are_answered(service: Service, user: str, where: str) -> None:
    """Whatever of them is large, those whose clients are there are answered."""
    fields = {
        "head": [b"X: x" + LARGE + b"x"],
        "offer": [b"Connection: upgrade", b"Upgrade: h2c", b"X: x" + LARGE + b"x"],
        "body": [],
    }[where]
    body = b'{"title": "a"' + (LARGE if where == "body" else b"") + b"}"
    sent = request("POST", f"/api/{user}/tasks", signed_in(service, user), JSON, *fields, body=body)
    with ExitStack() as stack:
        connections = [stack.enter_context(RawConnection(service)) for _ in range(20)]
        for connection in connections:
            connection.send(sent)
        connections.pop().reset()
        assert 19 * [201] == [answer.status for each in connections if (answer := each.receive())]


def test_what_takes_long_to_read_is_read_in_many_rounds() -> None:
    """Of headers, and of a body in many small chunks, a connection has only a few thousand bytes read in a round."""
    content = request("POST", "/", b"Transfer-Encoding: chunked") + chunked(*(10_000 * [b"a"]))
    read = asyncio.Event()

    async def app(_scope: object, receive: Receive, _send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        read.set()

    async def rounds() -> int:
        loop, passed = asyncio.get_running_loop(), 0
        connections = Connections(request_timeout=60, keep_alive=60)
        configuration = connections.configuration(app, lifespan="off", log_config=None)
        configuration.load()
        state = {"observer": Observer(contract()), "writer": AnswerWriter(contract())}
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(content)
            await loop.connect_accepted_socket(
                partial(connections, configuration, ServerState(), state, loop), theirs
            )
            while not read.is_set():
                await asyncio.sleep(0)
                passed += 1
        return passed

    assert len(content) // LARGE_BYTES <= asyncio.run(rounds())


def test_newcomers_are_accepted_together() -> None:
    """As many connections as there are copies of the listening socket are accepted in fewer rounds."""
    made: list[asyncio.BaseTransport] = []

    class Newcomer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(transport)

    async def rounds() -> int:
        passed, loop = 0, asyncio.get_running_loop()
        servers = [await loop.create_server(Newcomer, sock=each) for each in sockets]
        while len(made) < ACCEPTED_AT_ONCE:
            await asyncio.sleep(0)
            passed += 1
        for server in servers:
            server.close()
        for transport in made:
            transport.close()
        return passed

    with ExitStack() as stack:
        sockets = several(listen("127.0.0.1", 0, 1))
        address = sockets[0].getsockname()
        for _ in range(ACCEPTED_AT_ONCE):
            stack.enter_context(socket.create_connection(address))
        assert ACCEPTED_AT_ONCE > uvloop.run(rounds())
