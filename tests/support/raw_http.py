"""HTTP by hand: a request goes onto the socket byte for byte, and the answer is taken as it comes."""

import json
import select
import socket
import struct
from contextlib import suppress
from http.client import HTTPMessage, parse_headers
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.support.running import Service

JSON = b"Content-Type: application/json"
TASK = b'{"title":"Buy milk"}'
TIMEOUT_SECONDS = 10


class Answer(NamedTuple):
    """A final answer and the interim ones (RFC 9110, section 15.2) that came before it."""

    status: int
    headers: HTTPMessage
    body: bytes
    interim: tuple[int, ...]

    @property
    def sentence(self) -> str:
        """The sentence of the error envelope; fails where the answer is anything but the envelope."""
        assert "application/json" == self.headers["content-type"]
        envelope = json.loads(self.body)
        assert ["error"] == list(envelope)
        assert isinstance(envelope["error"], str)
        assert envelope["error"]
        return str(envelope["error"])


class RawConnection:
    """A connection to a service; use it as a context. A service that says nothing for too long is an error."""

    def __init__(self, service: Service) -> None:
        self._address = urlsplit(service.url).hostname, urlsplit(service.url).port

    def __enter__(self) -> "RawConnection":
        self.socket = socket.create_connection(self._address, timeout=TIMEOUT_SECONDS)
        self._stream = self.socket.makefile("rb")
        self.port = self.socket.getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self.socket.close()

    def send(self, content: bytes) -> None:
        """Sends `content`, as much of it as the service still wants."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(content)

    def end(self) -> None:
        """Says that nothing more will come."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Ends the connection as the system does for a client that has crashed (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.close()
        self.socket.close()

    def receive_head(self) -> tuple[int, HTTPMessage] | None:
        """Status and headers of the next answer, an interim one included; None where the connection is closed."""
        try:
            status_line = self._stream.readline()
        except ConnectionResetError:
            return None
        return (int(status_line.split()[1]), parse_headers(self._stream)) if status_line else None

    def receive(self, method: str = "GET") -> Answer | None:
        """The next answer, to a request of this method; None where the service has closed the connection."""
        interim: list[int] = []
        while (head := self.receive_head()) is not None:
            status, headers = head
            if status >= 200:
                empty = method == "HEAD" or status in (204, 304)
                body = b"" if empty else self._stream.read(int(headers["content-length"]))
                return Answer(status, headers, body, tuple(interim))
            interim.append(status)
        return None

    def answer(self, method: str = "GET") -> Answer:
        """The next answer, as `receive` has it; fails where the service just closes the connection."""
        answer = self.receive(method)
        assert answer is not None, "the service closed the connection without an answer"
        return answer

    def is_answered(self, within: float) -> bool:
        """Whether the service says something, or closes the connection, within so many seconds."""
        return bool(select.select([self.socket], [], [], within)[0])

    def is_closed(self) -> bool:
        """Whether the service closes the connection and sends nothing more."""
        try:
            return b"" == self._stream.read()
        except ConnectionResetError:
            return True


def request(
    method: str, target: str | bytes, *headers: bytes, body: bytes = b"", version: str = "1.1"
) -> bytes:
    """A request with these header lines and, where there is a body, its Content-Length."""
    raw_target = target if isinstance(target, bytes) else target.encode("ascii")
    lines = [b"%s %s HTTP/%s" % (method.encode(), raw_target, version.encode()), b"Host: localhost", *headers]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes) -> bytes:
    """A body in chunks (RFC 9112, section 7.1), without the header that announces them."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def signed_in(service: Service, user: str) -> bytes:
    """The header line of `user`'s token."""
    return b"Authorization: Bearer " + service.token(user).encode()


def percent_encoded(text: str) -> str:
    """`text` with every single byte percent-encoded, so that no client or proxy finds a meaning in it."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def exchange(service: Service, content: bytes, method: str = "GET") -> Answer:
    """The answer to a request on a connection of its own; fails where the service just closes it."""
    with RawConnection(service) as connection:
        connection.send(content)
        return connection.answer(method)
