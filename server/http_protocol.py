"""uvicorn's HTTP/1.1 on httptools, with what it leaves open: headers have a bound, an offered upgrade does not
cost the request its body, and what is not HTTP is refused with the envelope of every other refusal."""

import asyncio
from typing import Any

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from openapi.contract import contract

MAX_HEAD_BYTES = 64 * 1024
REFUSAL = f"The request must be valid HTTP/1.1 with {MAX_HEAD_BYTES} bytes of headers or less"

# Of one connection only (RFC 9110, section 7.6.1), so they mean nothing once the upgrade is declined.
_OFFER = (b"upgrade", b"http2-settings")


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
    """One connection; uvicorn takes the class as its `http` setting."""

    _in_head = False
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Begins a connection."""
        super().connection_made(GatheringTransport(transport, self.loop))  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Feeds the parser with what has come in."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
            if self._in_head:
                # The parser would keep any amount of a header that does not end.
                self._head_bytes += len(data)
                self._check(self._head_bytes)
        except httptools.HttpParserUpgrade as upgrade:
            if self._offers_upgrade():
                self._decline(data[upgrade.args[0] :])
        except (httptools.HttpParserError, HeadTooLargeError):
            self.send_400_response(REFUSAL)

    def on_message_begin(self) -> None:
        """Begins a request."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Starts the request, unless its head is too large or has to be read again."""
        self._in_head = False
        self._check(sum(len(name) + len(value) for name, value in self.headers))
        if not self._offers_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Ends the request."""
        if not self._offers_upgrade():
            super().on_message_complete()

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

    def send_400_response(self, msg: str) -> None:
        """Sends the envelope and closes the connection."""
        content = orjson.dumps({"error": msg})
        headers: list[Any] = [
            *self.server_state.default_headers,
            *((name.lower().encode(), value.encode()) for name, value in contract().headers.items()),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
            (b"connection", b"close"),
        ]
        lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers)]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + content)
        self.transport.close()
