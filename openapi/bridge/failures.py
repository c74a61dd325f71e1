"""One table of failures: what can go wrong, and what the contract says that the client is told.

Failure
├── BadRequest             a parameter or the body breaks a rule of the contract
├── Unauthorized           no valid token
├── Forbidden              a valid token, for another user's path
├── PathNotFound           no such path in the contract
├── MethodNotAllowed       the path does not take this method
├── RequestTimeout         the request did not arrive whole in time
├── ContentTooLarge        the body is larger than the service reads
├── UnsupportedMediaType   the body is not of a media type that the operation takes
├── Unavailable            the database or the issuer's keys cannot be had for now
└── InternalError          anything unexpected

A class has the name of its response in `components.responses`; status, sentence and fixed headers are there.
"""

import logging
from asyncio import CancelledError
from collections.abc import Mapping
from functools import cache

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openapi.bridge.contract import Refusal, fill
from openapi.contract import contract

log = logging.getLogger("todo_api")


class Failure(Exception):  # noqa: N818 - a request that is refused is no error of the program
    """A request that cannot be answered as asked.

    Args:
        reason: for the log only; it may name details that the client must not see.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def refusal(self) -> Refusal:
        """Status, sentence and headers of the answer."""
        return contract().refusals[type(self).__name__]

    @property
    def status_code(self) -> int:
        """The answer's status; Connexion's security reads it under this name."""
        return self.refusal.status


class BadRequest(Failure):
    """Args: sentence: for the client; it names the field and the rule and never echoes what was sent."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)

    @property
    def refusal(self) -> Refusal:
        return super().refusal._replace(sentence=self.reason)


class Unauthorized(Failure):
    pass


class Forbidden(Failure):
    pass


class PathNotFound(Failure):
    @property
    def refusal(self) -> Refusal:
        # No operation can refer to it, so it is no response component.
        return contract().path_not_found


class MethodNotAllowed(Failure):
    """Args: allow: the value of the `Allow` header."""

    def __init__(self, allow: str) -> None:
        super().__init__(allow)

    @property
    def refusal(self) -> Refusal:
        return super().refusal._replace(headers={"Allow": self.reason})


class RequestTimeout(Failure):
    pass


class ContentTooLarge(Failure):
    pass


class UnsupportedMediaType(Failure):
    """Args: media_type: the one that the operation takes."""

    def __init__(self, media_type: str) -> None:
        super().__init__(media_type)

    @property
    def refusal(self) -> Refusal:
        refusal = super().refusal
        return refusal._replace(sentence=fill(refusal.sentence, {"media-type": self.reason}))


class Unavailable(Failure):
    pass


class InternalError(Failure):
    pass


def failure_of(error: BaseException) -> Failure:
    """The failure that `error` amounts to; what nobody foresaw is an InternalError."""
    if isinstance(error, CancelledError):
        error = Unavailable("the server stopped before the request was complete")
    if isinstance(error, PathNotFound):
        return error
    if isinstance(error, Failure) and type(error).__name__ in contract().refusals:
        return error
    return InternalError()


class ErrorMiddleware:
    """The outermost ASGI layer: whatever is raised below becomes the envelope `{"error": "<sentence>"}`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except ClientDisconnect:
            log.info("the client went away before its request was complete")
        except (Exception, CancelledError) as error:
            failure = failure_of(error)
            report(failure, error)
            if started:
                raise
            refusal = failure.refusal
            await send_json(send, refusal.status, {"error": refusal.sentence}, refusal.headers)


def report(failure: Failure, error: BaseException) -> None:
    """Writes the reason to the log: a fault of ours with its traceback, trouble elsewhere as one warning."""
    if isinstance(failure, InternalError):
        log.error("unexpected fault", exc_info=error)
    elif isinstance(failure, Unavailable):
        log.warning("unavailable: %s", failure.reason)
    elif isinstance(failure, Unauthorized):
        log.info("unauthorized: %s", failure.reason)


@cache
def _fields_of_every_answer() -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.lower().encode(), value.encode()) for name, value in contract().headers.items())


async def send_json(send: Send, status: int, body: object, headers: Mapping[str, str]) -> None:
    """Sends one whole JSON answer; `body` None is an answer without a body (204, 304).

    Dates without a zone are UTC and end in `Z` (RFC 3339).
    """
    fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    fields += _fields_of_every_answer()
    content = b""
    if body is not None:
        content = orjson.dumps(body, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)
        fields.append((b"content-type", b"application/json"))
        fields.append((b"content-length", b"%d" % len(content)))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": content})
