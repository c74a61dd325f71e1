"""uvicorn's HTTP/1.1 on httptools, with what it leaves open: headers have a bound, a request has to arrive in time,
an offered upgrade does not cost it its body, what cannot be read is refused with the envelope of every other
refusal, and a server that stops answers what is already on its way."""

import asyncio
from typing import Any
from weakref import WeakSet

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from openapi.bridge.answers import AnswerWriter
from openapi.bridge.failures import BadRequest, Failure, RequestTimeout
from openapi.bridge.request.body import TOOK_TOO_LONG
from openapi.contract import contract
from server.telemetry.logs import request_fields
from server.telemetry.observe import NONE, Observer

MAX_HEAD_BYTES = 64 * 1024
UNREADABLE = f"The request must be valid HTTP/1.1 with {MAX_HEAD_BYTES} bytes of headers or less"

# When the server stops, an idle connection is closed so many seconds later: a request may be under way on it, and
# its client could not know whether to send it again.
LINGER_SECONDS = 1

# Of one connection only (RFC 9110, section 7.6.1), so they mean nothing once the upgrade is declined.
_OFFER = (b"upgrade", b"http2-settings")

# The servers of this process that stop; uvicorn tells only the connections that it has at that moment.
_stopping: WeakSet[ServerState] = WeakSet()


class HeadTooLargeError(Exception):
    """The request line and the headers are larger than the service reads."""


class GatheringTransport:
    """A transport that sends all that is written in one turn of the event loop as one piece.

    uvicorn writes the head and the body of an answer one after the other; sent together they cost one system call
    less, and wake the client once (docs/decisions/0006-what-was-worth-it.md).
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Keeps `data` until the end of the turn."""
        if not self._written:
            self._loop.call_soon(self._send)
        self._written.append(data)

    def close(self) -> None:
        """Closes the transport once everything is sent."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._written:
            self._transport.write(b"".join(self._written))
            self._written.clear()


class HttpProtocol(HttpToolsProtocol):
    """One connection; uvicorn takes the class, with its setting bound, as its `http` setting. The lifespan's
    state must hold an `observer`.

    Args:
        request_timeout: the seconds in which a request has to arrive whole; the first one counts from the
            connection's beginning. What is still missing then is 408.
    """

    _in_head = False
    # What has come of the head or, after the last part of a body, of chunk extensions and trailers.
    _head_bytes = 0
    # Whether the last piece held the beginning of a request or a part of its body.
    _has_advanced = False
    # A request that comes in one piece, as most do, costs no timer.
    _is_whole = False
    _is_last = False
    # What came after the last request could not be read.
    _is_unreadable = False
    _patience: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, request_timeout: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._request_timeout = request_timeout

    def connection_made(self, transport: Any) -> None:
        """Begins a connection."""
        super().connection_made(GatheringTransport(transport, self.loop))  # type: ignore[arg-type]
        self._patience = self.loop.call_later(self._request_timeout, self._give_up)
        if self.server_state in _stopping:
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends a connection."""
        super().connection_lost(exc)
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser with what has come in."""
        if self._is_unreadable:
            return
        self._unset_keepalive_if_required()
        try:
            self._has_advanced = False
            self.parser.feed_data(data)
            if not (self._is_whole or self._has_advanced):
                # The parser would keep any amount of a header, or of a trailer, that does not end. A piece in which
                # the request began or its body went on is not counted: it has a bound, and holds other things too.
                self._head_bytes += len(data)
                self._check(self._head_bytes)
        except httptools.HttpParserUpgrade as upgrade:
            if self._offers_upgrade():
                self._decline(data[upgrade.args[0] :])
        except (httptools.HttpParserError, HeadTooLargeError):
            if self._is_answering() and not self.cycle.more_body:
                # It came after whole requests, whose answers come first.
                self._is_unreadable = True
            else:
                self._refuse(BadRequest(UNREADABLE))
        if self._is_whole:
            self._stop_waiting()
        elif self._patience is None:
            self._patience = self.loop.call_later(self._request_timeout, self._give_up)

    def on_message_begin(self) -> None:
        """Begins a request."""
        super().on_message_begin()
        self._in_head, self._head_bytes, self._is_whole, self._has_advanced = True, 0, False, True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header; a trailer is none (RFC 9110, section 6.5.1), and nothing here has a use for it."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Starts the request, unless its head is too large or has to be read again."""
        self._in_head = False
        self._check(sum(len(name) + len(value) for name, value in self.headers))
        if not self._offers_upgrade():
            super().on_headers_complete()
            if self._is_last:
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Takes a part of the body, whose length has bounds of its own."""
        super().on_body(body)
        self._head_bytes, self._has_advanced = 0, True

    def on_message_complete(self) -> None:
        """Ends the request."""
        if not self._offers_upgrade():
            super().on_message_complete()
            self._is_whole = True

    def on_response_complete(self) -> None:
        """Goes on to the next request, or to the refusal of what came after the last one."""
        super().on_response_complete()
        if self._is_unreadable and not (self._is_answering() or self.transport.is_closing()):
            self._refuse(BadRequest(UNREADABLE))

    @staticmethod
    def _check(head_bytes: int) -> None:
        if head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLargeError

    def _offers_upgrade(self) -> bool:
        # To the parser CONNECT is an upgrade too; it has no body that could be lost.
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _decline(self, rest: bytes) -> None:
        """Reads the request once more without the offer, since httptools skips the body of one that has it.

        A server may ignore the offer (RFC 9110, section 7.8), but not what the client meant to send.
        """
        line = b"%s %s HTTP/%s" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        lines = [line, *(name + b": " + value for name, value in self.headers if name not in _OFFER)]
        self.parser = httptools.HttpRequestParser(self)
        # As uvicorn sets it for its first parser.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def _refuse(self, failure: Failure) -> None:
        """Sends the refusal and closes the connection."""
        observer: Observer = self.app_state["observer"]
        request_id = observer.request_id()
        answer = AnswerWriter(contract()).refuse(failure)
        # Taken back, since this is no task of its own, which would end with the request.
        token = request_fields.set({"request_id": request_id})
        observer.answered(NONE, NONE, answer.status, 0)
        request_fields.reset(token)
        headers = [
            *self.server_state.default_headers,
            *answer.fields,
            (b"x-request-id", request_id.encode("ascii")),
            (b"connection", b"close"),
        ]
        head = STATUS_LINE[answer.status] + b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(head + b"\r\n" + answer.content)
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        """Ends the wait for the rest of a request, in the way that its part until now allows."""
        self._patience = None
        if self._is_answering():
            # An answer to come closes the connection. If it is one to an incomplete request, whose body the service
            # waits for, it is the refusal: uvicorn's `receive` is woken to find out.
            self.cycle.keep_alive = False
            if not self._in_head:
                self.cycle.scope["state"][TOOK_TOO_LONG] = True
                self.cycle.message_event.set()
        elif self._in_head:
            self._refuse(RequestTimeout())
        else:
            # Nothing was asked, or it was answered before its body had come.
            self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def shutdown(self) -> None:
        """Lets the answer to come be the last one, and an idle connection end; uvicorn calls it when the server stops.

        uvicorn's own would close an idle connection at once, with the request that may be under way on it.
        """
        _stopping.add(self.server_state)
        self._is_last = True
        if self._is_answering():
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(LINGER_SECONDS, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if not (self._is_answering() or self._in_head):
            self.transport.close()
