"""Whatever is raised while a request is served becomes the answer to it."""

import logging
from asyncio import CancelledError

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openapi.bridge.answers import AnswerWriter
from openapi.bridge.contract import Contract
from openapi.bridge.failures import Failure, InternalError, Unauthorized, Unavailable

log = logging.getLogger("todo_api")


class ErrorMiddleware:
    """The outermost ASGI layer: whatever is raised below becomes a refusal."""

    def __init__(self, app: ASGIApp, contract: Contract) -> None:
        self.app = app
        self._contract = contract
        self._writer = AnswerWriter(contract)

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
            failure = as_failure(error, self._contract)
            report(failure, error)
            if started:
                raise
            accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
            await self._writer.refuse(failure, accept).send(send)


def as_failure(error: BaseException, contract: Contract) -> Failure:
    """The failure that `error` amounts to; what nobody foresaw is an InternalError."""
    if isinstance(error, CancelledError):
        return Unavailable("the server stopped before the request was complete")
    if isinstance(error, Failure) and contract.knows(error):
        return error
    return InternalError()


def report(failure: Failure, error: BaseException) -> None:
    """Writes the reason to the log: a fault of ours with its traceback, trouble elsewhere as one warning."""
    if isinstance(failure, InternalError):
        log.error("unexpected fault", exc_info=error)
    elif isinstance(failure, Unavailable):
        log.warning("unavailable: %s", failure.reason)
    elif isinstance(failure, Unauthorized):
        log.info("unauthorized: %s", failure.reason)
