"""The life of one connection: how it begins, what it waits for, and how it ends, whatever is said over it."""

import asyncio
import re
from math import inf
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp
from uvicorn.server import ServerState

from openapi.bridge.answers import AnswerWriter
from openapi.bridge.failures import Failure, RequestTimeout
from openapi.bridge.refusals import CLIENT_IS_GONE
from openapi.bridge.request.body import TOOK_TOO_LONG
from server.cors import CrossOrigin
from server.process.exchange import Exchange, written
from server.telemetry.observe import Observer

if TYPE_CHECKING:
    from server.process.connections import Connections

# How long what still comes is thrown away before the connection is closed: a client that is still sending would lose
# the answer (RFC 9112, section 9.6), and one that has just sent a request could not know whether to send it again.
LINGER_SECONDS = 1

_ORIGIN = re.compile(rb"\r\norigin:([^\r\n]*)\r\n", re.IGNORECASE)


class ClientConnection(asyncio.Protocol):
    """A connection that the sweep of `Connections` ends when its `deadline` has passed."""

    def __init__(
        self,
        connections: "Connections",
        app: ASGIApp,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.app = app
        self.loop = loop
        self.turns = connections.turns
        self.observer: Observer = app_state["observer"]
        self.cross_origin: CrossOrigin | None = app_state.get("cross_origin")
        self.deadline = inf
        """When the connection has waited long enough, in the event loop's time."""
        self._writer: AnswerWriter = app_state["writer"]
        self._connections = connections
        self._server_state = server_state
        self._app_state = app_state
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # connection_made comes first
        # What has come, of which the first bytes are read already.
        self._input, self._position = b"", 0
        self._is_paused = False
        # Nothing that comes is read any more.
        self._is_ended = False
        # The client has not taken all that was written.
        self._is_stalled = False
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        # What has come of the headers of the request that is being read.
        self._headers: list[tuple[bytes, bytes]] = []
        # A request has begun to arrive, and has to be whole in time.
        self._is_timed = False

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._exchange is None and not self._is_timed

    # The event loop calls these.

    def connection_made(self, transport: Any) -> None:
        """Begins a connection."""
        self._transport = transport
        # Whatever the kernel has not taken at once is known to be waited for.
        transport.set_write_buffer_limits(high=0)
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        self._connections.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends a connection, and the request that nobody waits for any more."""
        self._server_state.connections.discard(self)
        self._is_ended = True
        self._input = b""
        self.deadline = inf
        exchange = self._exchange
        if exchange is not None and not exchange.is_answered:
            exchange.is_gone = True
            exchange.wake()
            if exchange.is_whole and self._task is not None:
                self._task.cancel(CLIENT_IS_GONE)

    def eof_received(self) -> bool:
        """Answers the whole request of a client that has shut its sending side (RFC 9112, section 9.6)."""
        exchange = self._exchange
        if exchange is None or not exchange.is_whole:
            return False
        exchange.keep_alive = False
        return True

    def pause_writing(self) -> None:
        """Begins to wait for a client that does not take its answer as fast as it is written."""
        self._is_stalled = True
        self.deadline = self.loop.time() + self._connections.request_timeout

    def resume_writing(self) -> None:
        """Goes on when the client has taken all."""
        self._is_stalled = False
        self._go_on()

    def shutdown(self) -> None:
        """Lets the request that is under way be the last one; uvicorn calls it when the server stops."""
        self._connections.is_stopping = True
        if self._exchange is not None:
            self._exchange.keep_alive = False
        elif not self._is_timed:
            self.deadline = min(self.deadline, self.loop.time() + LINGER_SECONDS)

    # The sweep calls these.

    def expire(self) -> None:
        """Ends what has waited for too long, in the way that its state allows."""
        exchange = self._exchange
        if self._is_stalled or self._is_ended:
            self.abort()
        elif exchange is None and self._is_timed:
            self._refuse(RequestTimeout())
        elif exchange is None or exchange.is_answered:
            # Nothing was asked, or it was answered before its body had come.
            self._transport.close()
        else:
            # The service may wait for the body, and then finds out; whatever it answers is the last answer.
            self.deadline = inf
            exchange.keep_alive = False
            exchange.is_late = exchange.scope["state"][TOOK_TOO_LONG] = True
            exchange.wake()

    def give_way(self) -> None:
        """Makes room for another connection."""
        if self.is_idle:
            self._transport.close()
        else:
            self.abort()

    def abort(self) -> None:
        """Closes the connection at once."""
        self._is_ended = True
        self._transport.abort()

    # The exchange calls these.

    def interim(self, content: bytes) -> None:
        """Sends an interim answer (RFC 9110, section 15.2)."""
        self._transport.write(content)

    def resume(self) -> None:
        """Reads on from the network, once all that has come from there is read."""
        if self._is_paused and not self._is_ended and self._position >= len(self._input):
            self._is_paused = False
            self._transport.resume_reading()

    def _refuse(self, failure: Failure) -> None:
        """Answers what is no request, or none that is read to its end, and ends the connection."""
        if (exchange := self._exchange) is not None:
            if exchange.is_answered:
                self._end()
                return
            exchange.is_gone = True
            exchange.wake()
        headers = dict(self._headers)
        answer = self._writer.refuse(failure, headers.get(b"accept", b""))
        request_id = self.observer.refused(answer.status)
        fields = [*self._server_state.default_headers, *answer.fields, (b"x-request-id", request_id)]
        if self.cross_origin is not None:
            # The parser may have stumbled before it told of the header.
            found = _ORIGIN.search(self._input)
            fields += self.cross_origin.fields(headers.get(b"origin", found and found[1].strip()))
        fields.append((b"connection", b"close"))
        self._transport.write(written(answer.status, fields, answer.content, is_head=self._is_head()))
        self._end()

    def _is_head(self) -> bool:
        """Whether the request has a method whose answers have no content, as far as it was read."""
        raise NotImplementedError

    def _go_on(self) -> None:
        """Does what comes after an answer; whoever reads requests knows what that is."""
        raise NotImplementedError

    def _end(self) -> None:
        """Closes the connection, at once where nothing can still come that would cost the client the answer."""
        is_whole = self._exchange is not None and self._exchange.is_whole and not self._input
        self._input = b""
        self.resume()
        self._is_ended = True
        if is_whole:
            self._transport.close()
        else:
            self.deadline = self.loop.time() + LINGER_SECONDS
            self._transport.write_eof()

    def _pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
