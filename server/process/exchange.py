"""One request, from its head to its answer: the application on one side, the connection on the other, and what is
reported of it."""

import asyncio
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import responses as phrases
from ipaddress import AddressValueError, IPv6Address
from operator import itemgetter
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools
from starlette.types import Message

from openapi.bridge.failures import BadRequest, Failure
from server.process.turns import LARGE_BYTES
from server.telemetry.observe import CLIENT_CLOSED_REQUEST, request_fields

if TYPE_CHECKING:
    from server.process.http_protocol import HttpProtocol

log = logging.getLogger("todo_api")

Fields = Iterable[tuple[bytes, bytes]]

# RFC 9110, section 4.1, asks for 8,000 at least.
MAX_PATH_BYTES = 8 * 1024
# The body waits in the network once as much of it waits for the application.
MAX_WAITING_BYTES = 64 * 1024
_WITHOUT_CONTENT = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
# One that no RFC names has no phrase (RFC 9112, section 4).
_STATUS_LINES = {
    status: b"HTTP/1.1 %d %s\r\n" % (status, phrases.get(status, "").encode()) for status in range(100, 600)
}

# RFC 9112, section 3.2: `uri-host [ ":" port ]`, and RFC 3986, section 3.2.2, for what a host is.
_HOST = re.compile(
    rb"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|\[v[0-9a-f]+\.[\w.~!$&'()*+,;=:-]+\]"
    rb"|(?:[\w.~!$&'()*+,;=-]|%[0-9a-f]{2})*)(?::[0-9]*)?",
    re.IGNORECASE,
)
# A name of 253 characters (RFC 1035, section 2.3.4), and a port.
_LONGEST_HOST = 300
VERSIONS = ("1.1", "1.0")
_name = itemgetter(0)


@dataclass(eq=False, repr=False, slots=True)
class Exchange:
    """One request, whose body may still arrive, and its answer, which leaves as one piece.

    Args:
        headers: those of the scope by their names; the last one where a name came twice.
        keep_alive: whether the connection may be used again.
        expects_continue: whether the client waits for 100 (Continue) before it sends the body.
        is_large: whether the head is, so that it waits for its turn.
    """

    connection: "HttpProtocol"
    scope: dict[str, Any]
    headers: Mapping[bytes, bytes]
    keep_alive: bool
    expects_continue: bool
    is_large: bool
    is_whole: bool = False
    is_answered: bool = False
    is_gone: bool = False
    is_late: bool = False
    _was_received: bool = False
    _body: list[bytes] = field(default_factory=list)
    _size: int = 0
    _received: int = 0
    _changed: asyncio.Future[None] | None = None
    _status: int = 0
    _fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    _content: list[bytes] = field(default_factory=list)

    async def run(self) -> None:
        """Has the application answer, and reports what became of it."""
        started = perf_counter()
        connection, scope = self.connection, self.scope
        observer, cross_origin = connection.observer, connection.cross_origin
        method, headers = scope["method"], self.headers
        fields, span = observer.begin(method, headers)
        request_fields.set(fields)
        self._fields.append((b"x-request-id", fields["request_id"].encode("ascii")))
        answer = None
        if cross_origin is not None:
            answer = cross_origin.preflight(method, headers)
            self._fields += cross_origin.fields(headers.get(b"origin"))
        try:
            if self.is_large:
                await connection.turns.take()
            if answer is None:
                await connection.app(scope, self.receive, self.send)
            else:
                await answer.send(self.send)
        except (Exception, asyncio.CancelledError) as error:
            # Else its client has gone before its turn came.
            if not (self.is_gone and isinstance(error, asyncio.CancelledError)):
                log.exception("unexpected fault after the answer had begun")
        if not (self.is_answered or self.is_gone):
            connection.abort()
        status = self._status if self.is_answered else CLIENT_CLOSED_REQUEST
        observer.end(scope, status, perf_counter() - started, span)

    @property
    def is_full(self) -> bool:
        """Whether enough of the body waits for the application."""
        return self._size >= MAX_WAITING_BYTES and not self.is_answered

    def take(self, body: bytes) -> None:
        """Keeps a part of the body."""
        if not self.is_answered:
            self._body.append(body)
            self._size += len(body)
            self.wake()

    def wake(self) -> None:
        """Has `receive` look again at what has come."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def receive(self) -> Message:
        """The next part of the body, or word that the client is gone or has its answer (ASGI, "Receive")."""
        if self.expects_continue and self._waits():
            self.connection.interim(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.expects_continue = False
        while self._waits():
            self.connection.resume()
            self._changed = self.connection.loop.create_future()
            await self._changed
        if self.is_gone or self.is_answered:
            return {"type": "http.disconnect"}
        body = b"".join(self._body)
        self._body.clear()
        self._received += len(body)
        self._size = 0
        self._was_received = self.is_whole
        if self.is_whole and self._received > LARGE_BYTES:
            await self.connection.turns.take()
        return {"type": "http.request", "body": body, "more_body": not self.is_whole}

    def _waits(self) -> bool:
        is_over = self.is_gone or self.is_answered or self.is_late
        return not (is_over or self._body or (self.is_whole and not self._was_received))

    async def send(self, message: Message) -> None:
        """Takes the answer; it leaves once it is whole, so every answer has a Content-Length (ASGI, "Send")."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._fields += message.get("headers", ())
            return
        self._content.append(message.get("body", b""))
        if not (message.get("more_body", False) or self.is_answered or self.is_gone):
            content = b"".join(self._content)
            self._content.clear()
            self.connection.answer(self, self._status, self._fields, content)


def written(status: int, fields: Fields, content: bytes, *, is_head: bool = False) -> bytes:
    """A whole answer as the bytes of HTTP/1.1 (RFC 9112, section 2.1).

    Args:
        fields: the headers, names in lower case; Content-Length is added where it is missing and allowed.
        is_head: whether the content is left out, as for HEAD, and with it a Content-Length that is not known.

    Raises:
        ValueError: for a header that would begin another line.
    """
    lines = list(map(b": ".join, fields))
    has_length = b"content-length" in map(_name, fields)
    if not has_length and not is_head and status not in _WITHOUT_CONTENT:
        lines.append(b"content-length: %d" % len(content))
    lines += b"", b""
    head = b"\r\n".join(lines)
    # A line break within a header makes one line more.
    if len(head.splitlines()) != len(lines) - 1 or b"\0" in head:
        raise ValueError("a header of the answer holds a line break")
    return b"".join((_STATUS_LINES[status], head, b"" if is_head else content))


class HeadTooLarge(Failure):
    """The headers are larger than the service reads (RFC 6585, section 5)."""

    status_code = 431
    sentence = "The headers of the request are too large. Send fewer or shorter ones"


class TargetTooLong(Failure):
    """The request's target is longer than the service reads (RFC 9112, section 3)."""

    status_code = 414
    sentence = "The request's target is too long. Send a shorter path and query"


def check_head(version: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Lets a head pass that has one meaning only.

    Raises:
        BadRequest: for another version than 1.0 and 1.1; for no Host (RFC 9112, section 3.2), two, or one that
            is none; for a Transfer-Encoding other than `chunked` alone, or beside a Content-Length
            (RFC 9112, section 6.3).
    """
    if version not in VERSIONS:
        raise BadRequest("The request must be HTTP/1.1 or HTTP/1.0")
    names = list(map(_name, headers))
    hosts, codings = names.count(b"host"), names.count(b"transfer-encoding")
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise BadRequest("The request must have one Host header")
    if hosts and not _is_host(headers[names.index(b"host")][1]):
        raise BadRequest("The Host header must be a host name or address, with a port or without")
    if codings > 1 or (codings and (b"content-length" in names or version == "1.0")):
        raise BadRequest("The request must say in one way how long its body is")
    if codings and headers[names.index(b"transfer-encoding")][1].lower() != b"chunked":
        raise BadRequest("Transfer-Encoding must be chunked, and nothing else")


def _is_host(value: bytes) -> bool:
    match = _HOST.fullmatch(value) if len(value) <= _LONGEST_HOST else None
    if match is None:
        return False
    if match["ipv6"] is None:
        # RFC 1035, section 2.3.4.
        return len(value) <= 63 or all(len(label) <= 63 for label in value.partition(b":")[0].split(b"."))
    try:
        IPv6Address(match["ipv6"].decode())
    except AddressValueError:
        return False
    return True


def read_target(target: bytes, root_path: str = "") -> tuple[str, bytes, bytes]:
    """The path, decoded and as it was sent, and the query of a request's target, be it in origin or absolute form.

    Args:
        root_path: is left out where the path begins with it, since not every proxy takes it away.

    Raises:
        BadRequest: for a target that has no path, or a fragment (RFC 9112, section 3.2).
        TargetTooLong: for a path of more than MAX_PATH_BYTES.
    """
    if b"#" in target:
        raise BadRequest("The request's target must have no fragment (#)")
    if target.startswith(b"/"):
        raw_path, _, query = target.partition(b"?")
    else:
        try:
            url = httptools.parse_url(target)
        except httptools.HttpParserInvalidURLError:
            raise BadRequest("The request's target must be a path, or an http URL") from None
        raw_path, query = url.path or b"/", url.query or b""
    if len(raw_path) > MAX_PATH_BYTES:
        raise TargetTooLong
    if root_path and (raw_path + b"/").startswith(root_path.encode() + b"/"):
        raw_path = raw_path[len(root_path) :] or b"/"
    path = raw_path.decode("ascii")
    return unquote(path) if "%" in path else path, raw_path, query


def below(root_path: str, fields: Fields) -> Iterator[tuple[bytes, bytes]]:
    """The headers of an answer with the addresses in them as clients see them, who find the service below `root_path`.

    Absolute paths stand in Location (RFC 9110, section 10.2.2) and in the targets of Link (RFC 8288, section 3).
    """
    root = root_path.encode()
    for name, value in fields:
        if name == b"location" and value.startswith(b"/"):
            value = root + value
        elif name == b"link":
            value = value.replace(b"</", b"<" + root + b"/")
        yield name, value
