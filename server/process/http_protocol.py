"""What is said over a connection: bytes become requests, one at a time, and answers bytes (RFC 9112, by httptools)."""

import re
from contextlib import suppress
from math import inf
from typing import Any

import httptools

from openapi.bridge.failures import BadRequest, Failure
from server.process.client_connection import ClientConnection
from server.process.exchange import (
    Exchange,
    Fields,
    HeadTooLarge,
    TargetTooLong,
    below,
    check_head,
    read_target,
    written,
)
from server.process.turns import LARGE_BYTES

MAX_HEAD_BYTES = 64 * 1024
NOT_HTTP = f"The request must be valid HTTP/1.1 with {MAX_HEAD_BYTES} bytes of headers or less"
NOT_A_LINE = "The request must begin with a method, a path without spaces, and HTTP/1.1"
NOT_A_TARGET = (
    "The request's target must be a path that begins with a slash, or an http URL, in percent-encoded UTF-8"
)

# A head, and a body in chunks, end with it, so a piece of input that ends with it holds no second request.
_END = b"\r\n\r\n"
# The parser knows some methods by name, and this stands in for any other (RFC 9110, section 9.1). No operation has it.
_STAND_IN = b"QUERY"
_OTHER_METHOD = "_OTHER"
_METHOD_BYTES = 64  # Less of a head than that is kept until its method is whole.
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_METHOD = re.compile(rb"(?:\r\n)*(?:%b+(?= )|%b{1,%d}\Z)" % (_TOKEN, _TOKEN, _METHOD_BYTES - 1))
_REQUEST_LINE = re.compile(_METHOD.pattern + rb" +[^ \r\n]+ +HTTP/1\.[01]\r?\n")

# Of one connection only (RFC 9110, section 7.6.1), so they mean nothing once the upgrade is declined.
_OFFER = (b"upgrade", b"http2-settings")


class HttpProtocol(ClientConnection):
    """What is said over a connection, as requests and their answers.

    A request is read when the one before it is answered and that answer is taken; until then it waits unread.
    """

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._parser = httptools.HttpRequestParser(self)
        self._forget_request()

    def _forget_request(self) -> None:
        self._target = b""
        self._headers = []
        self._is_other_method = False
        self._in_head = True
        # What has come of the head or, after the last part of a body, of chunk extensions and trailers.
        self._head_bytes = 0
        # What a Content-Length has left of the body.
        self._body_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Reads what has come, as far as it may."""
        if not self._is_ended:
            self._input += data
            self._read()

    def answer(self, exchange: Exchange, status: int, fields: Fields, content: bytes) -> None:
        """Sends the final answer; raises what `written` does, and then the request is not answered."""
        if self._connections.root_path:
            fields = below(self._connections.root_path, fields)
        all_fields = [*self._server_state.default_headers, *fields]
        if not exchange.keep_alive:
            all_fields.append((b"connection", b"close"))
        is_head = exchange.scope["method"] == "HEAD"
        message = written(status, all_fields, content, is_head=is_head)
        exchange.is_answered = True
        exchange.wake()
        self._transport.write(message)
        self._go_on()

    # The parser calls these.

    def on_url(self, target: bytes) -> None:
        """Takes a part of the request's target."""
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header without the white space around its value (RFC 9110, section 5.5).

        A trailer is none (RFC 9110, section 6.5.1), and nothing here has a use for it.
        """
        if self._in_head:
            # The parser leaves the white space after a value.
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Starts the request, unless its head has to be read again."""
        parser = self._parser
        if self._offers_upgrade():
            return
        version = parser.get_http_version()
        check_head(version, self._headers)
        path, raw_path, query = read_target(self._target, self._connections.root_path)
        headers = dict(self._headers)
        self._body_bytes = int(headers.get(b"content-length", 0))
        is_large = self._head_bytes > LARGE_BYTES
        self._in_head, self._head_bytes = False, 0
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "server": None,
            "client": None,
            "scheme": "http",
            "method": _OTHER_METHOD if self._is_other_method else parser.get_method().decode("ascii"),
            "root_path": "",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self._headers,
            "state": self._app_state.copy(),
            "extensions": {},
        }
        keep_alive = version == "1.1" and parser.should_keep_alive() and not self._connections.is_stopping
        # HTTP/1.0 knows no interim answer (RFC 9110, section 10.1.1).
        expects_continue = version == "1.1" and headers.get(b"expect", b"").lower() == b"100-continue"
        exchange = self._exchange = Exchange(self, scope, headers, keep_alive, expects_continue, is_large)
        task = self._task = self.loop.create_task(exchange.run())
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    def on_body(self, body: bytes) -> None:
        """Takes a part of the body, whose length has bounds of its own."""
        self._head_bytes = 0
        if self._body_bytes:
            self._body_bytes -= len(body)
        if self._exchange is not None:
            self._exchange.take(body)

    def on_message_complete(self) -> None:
        """Ends the request."""
        if self._exchange is not None:
            self._exchange.is_whole = True
            self._exchange.wake()

    def _read(self) -> None:
        """Feeds the parser with one piece of input after the other, each with the end of one request at most.

        Other connections have their turn between the pieces of a large head, or of many chunks.
        """
        last = self._position + LARGE_BYTES
        while True:
            exchange = self._exchange
            if self._is_ended:
                return
            if exchange is not None and exchange.is_whole:
                if not exchange.is_answered or self._is_stalled:
                    # What follows waits; meanwhile only the end of the connection is looked for.
                    if not self._is_stalled:
                        self.deadline = inf
                    break
                self._exchange = None
                self._forget_request()
                self._is_timed = False
                self.deadline = self.loop.time() + self._connections.keep_alive
            if self._position == len(self._input):
                self._wait_for_more()
                return
            if self._position >= last:
                self.loop.call_soon(self._read)
                break
            self._read_piece()
        if self._position < len(self._input):
            self._pause()
        else:
            self._input, self._position = b"", 0

    def _wait_for_more(self) -> None:
        """Reads on from the network, unless enough waits for the application; what has begun has to arrive in time."""
        if self._exchange is not None and self._exchange.is_full:
            self._pause()
        elif self._is_paused:
            self.resume()
        if self._exchange is None and not self._head_bytes:
            self._input, self._position = b"", 0
            return
        # Among its last bytes an end may have begun, or a method.
        self._input = self._input[-_METHOD_BYTES:]
        self._position = len(self._input)
        if not self._target and self._head_bytes < _METHOD_BYTES:
            # The parser begins again with the whole method, which it may not know.
            self._position, self._head_bytes = self._position - self._head_bytes, 0
            self._parser = httptools.HttpRequestParser(self)
        if not self._is_timed:
            self._is_timed = True
            self.deadline = self.loop.time() + self._connections.request_timeout

    def _read_piece(self) -> None:
        start, end = self._position, self._end_of_piece()
        if self._in_head:
            end = min(end, start + MAX_HEAD_BYTES - self._head_bytes)
        self._head_bytes += end - start
        self._position = end
        try:
            self._feed(start, end)
        except httptools.HttpParserCallbackError as error:
            reason = error.__context__
            self._refuse(reason if isinstance(reason, Failure) else BadRequest(NOT_HTTP))
        except httptools.HttpParserInvalidURLError:
            self._refuse(BadRequest(NOT_A_TARGET))
        except httptools.HttpParserError:
            is_begun = self._headers or not self._in_head or _REQUEST_LINE.match(self._input, start)
            self._refuse(BadRequest(NOT_HTTP if is_begun else NOT_A_LINE))
        else:
            if self._head_bytes >= MAX_HEAD_BYTES:
                # As soon as the parser has read a header, the request line is not what was too long.
                self._refuse(HeadTooLarge() if self._headers else TargetTooLong())

    def _end_of_piece(self) -> int:
        data, start = self._input, self._position
        if self._body_bytes:
            return min(start + self._body_bytes, len(data))
        # An end may have begun in the piece before, if that was of this request.
        begun = max(start - 3, 0) if self._head_bytes or not self._in_head else start
        place = data.find(_END, begun, start + LARGE_BYTES)
        return min(start + LARGE_BYTES, len(data)) if place < 0 else place + len(_END)

    def _feed(self, start: int, end: int) -> None:
        data, method = self._input, None
        try:
            self._parser.feed_data(data if end - start == len(data) else memoryview(data)[start:end])
            return
        except httptools.HttpParserUpgrade as upgrade:
            self._position = start + upgrade.args[0]
            if self._exchange is not None:  # CONNECT, and what follows could be its body, or a request.
                self._exchange.keep_alive = False
        except httptools.HttpParserCallbackError:
            raise  # Nothing is wrong with the method.
        except httptools.HttpParserError:
            first = end - self._head_bytes
            method = _METHOD.match(data, first, end) if first >= 0 else None
            if method is None or self._headers or self._is_head():
                raise
            if method.end() == end:
                return  # More of it may come.
        if method is not None:
            # The piece ends with the head, so nothing is left of it where that offers an upgrade too.
            with suppress(httptools.HttpParserUpgrade):
                self._feed_instead(_STAND_IN + data[method.end() : end], end - first, is_other_method=True)
        if self._offers_upgrade():
            head = self._without_offer()
            self._feed_instead(head, len(head), self._is_other_method)

    def _feed_instead(self, head: bytes, size: int, is_other_method: bool) -> None:
        """Begins the request again with a head that is written anew, and counts as `size` bytes."""
        self._parser = httptools.HttpRequestParser(self)
        self._forget_request()
        self._is_other_method, self._head_bytes = is_other_method, size
        self._parser.feed_data(head)

    def _is_head(self) -> bool:
        # The parser knows of no method before the target has begun.
        return bool(self._target) and self._parser.get_method() == b"HEAD"

    def _offers_upgrade(self) -> bool:
        # To the parser CONNECT is an upgrade too; its answer is the last one.
        return self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT"

    def _without_offer(self) -> bytes:
        """The head once more without the offer, since httptools skips the body of a request that has one.

        A server may ignore the offer (RFC 9110, section 7.8), but not what the client meant to send.
        """
        version = self._parser.get_http_version().encode()
        head = [b"%s %s HTTP/%s" % (self._parser.get_method(), self._target, version)]
        head += (b"%s: %s" % each for each in self._headers if each[0] not in _OFFER)
        return b"\r\n".join(head) + _END

    def _go_on(self) -> None:
        """Does what comes after an answer: the rest of its request, the next one, or the end."""
        exchange = self._exchange
        if exchange is not None and exchange.is_answered and not self._is_stalled:
            if exchange.keep_alive:
                self._read()
            else:
                self._end()
