"""One request and its answer: the application on one side, the connection on the other, and what is reported of it."""

import asyncio
import logging
from collections.abc import Iterable
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.types import Message

from server.telemetry.logs import request_fields
from server.telemetry.observe import CLIENT_CLOSED_REQUEST

if TYPE_CHECKING:
    from server.process.http_protocol import HttpProtocol

log = logging.getLogger("todo_api")

Fields = Iterable[tuple[bytes, bytes]]

# The body waits in the network once as much of it waits for the application.
MAX_WAITING_BYTES = 64 * 1024
_WITHOUT_CONTENT = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_STATUS_LINES: dict[int, bytes] = {
    int(status): b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}


class Exchange:
    """One request, whose body may still arrive, and its answer, which leaves as one piece.

    Args:
        scope: the request as ASGI has it.
        keep_alive: whether the connection may be used again.
        expects_continue: whether the client waits for 100 (Continue) before it sends the body.
    """

    __slots__ = (
        "_body",
        "_changed",
        "_connection",
        "_content",
        "_expects_continue",
        "_fields",
        "_size",
        "_status",
        "_was_received",
        "is_answered",
        "is_gone",
        "is_late",
        "is_whole",
        "keep_alive",
        "scope",
    )

    def __init__(
        self, connection: "HttpProtocol", scope: dict[str, Any], keep_alive: bool, expects_continue: bool
    ) -> None:
        self._connection = connection
        self.scope = scope
        self.keep_alive = keep_alive
        self._expects_continue = expects_continue
        self.is_whole = self.is_answered = self.is_gone = self.is_late = self._was_received = False
        self._body: list[bytes] = []
        self._size = 0
        self._changed: asyncio.Future[None] | None = None
        self._status = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._content: list[bytes] = []

    async def run(self) -> None:
        """Has the application answer, and reports what became of it."""
        started = perf_counter()
        connection, scope = self._connection, self.scope
        observer, cross_origin = connection.observer, connection.cross_origin
        method, headers = scope["method"], dict(scope["headers"])
        fields, span = observer.begin(method, headers)
        request_fields.set(fields)
        self._fields.append((b"x-request-id", fields["request_id"].encode("ascii")))
        answer = None
        if cross_origin is not None:
            answer = cross_origin.preflight(method, headers)
            if answer is None or answer.status < HTTPStatus.BAD_REQUEST:
                self._fields += cross_origin.fields(headers.get(b"origin"))
        try:
            if answer is None:
                await connection.app(scope, self.receive, self.send)
            else:
                await answer.send(self.send)
        except (Exception, asyncio.CancelledError):
            log.exception("unexpected fault after the answer had begun")
        if not self.is_answered:
            connection.abort()
        status = self._status if self.is_answered else CLIENT_CLOSED_REQUEST
        observer.end(scope, status, perf_counter() - started, span)

    def take(self, body: bytes) -> bool:
        """Keeps a part of the body; False means that there is enough for now."""
        if not self.is_answered:
            self._body.append(body)
            self._size += len(body)
            self.wake()
        return self._size < MAX_WAITING_BYTES

    def wake(self) -> None:
        """Has `receive` look again at what has come."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def receive(self) -> Message:
        """The next part of the body, or word that the client is gone or has its answer (ASGI, "Receive")."""
        if self._expects_continue and not (self._body or self.is_whole):
            self._connection.interim(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._expects_continue = False
        while not (self.is_gone or self.is_answered or self._has_news()):
            self._connection.resume()
            self._changed = self._connection.loop.create_future()
            await self._changed
        if self.is_gone or self.is_answered:
            return {"type": "http.disconnect"}
        body = b"".join(self._body)
        self._body.clear()
        self._size = 0
        self._was_received = self.is_whole
        return {"type": "http.request", "body": body, "more_body": not self.is_whole}

    def _has_news(self) -> bool:
        return bool(self._body) or self.is_late or (self.is_whole and not self._was_received)

    async def send(self, message: Message) -> None:
        """Takes the answer; it leaves once it is whole, so every answer has a Content-Length (ASGI, "Send")."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._fields += message.get("headers", ())
            return
        self._content.append(message.get("body", b""))
        if not (message.get("more_body", False) or self.is_answered or self.is_gone):
            self.is_answered = True
            content = b"".join(self._content)
            self._content.clear()
            self.wake()
            self._connection.answer(self, self._status, self._fields, content)


def written(status: int, fields: Fields, content: bytes, *, is_head: bool = False) -> bytes:
    """A whole answer as the bytes of HTTP/1.1 (RFC 9112, section 2.1).

    Args:
        fields: the headers, names in lower case; Content-Length is added where it is missing and allowed.
        is_head: whether the content is left out, as for HEAD.

    Raises:
        ValueError: for a header that would begin another line.
    """
    lines = [name + b": " + value for name, value in fields]
    if b"content-length" not in (name for name, _ in fields) and status not in _WITHOUT_CONTENT:
        lines.append(b"content-length: %d" % len(content))
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1 or b"\0" in head:
        raise ValueError("a header of the answer holds a line break")
    return b"%b%b\r\n\r\n%b" % (_STATUS_LINES[status], head, b"" if is_head else content)
