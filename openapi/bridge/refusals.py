"""From whatever was raised while a request was served to the answer to it, and to the log."""

import logging
from asyncio import CancelledError
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Scope

from openapi.bridge.answers import AnswerWriter, WrittenAnswer
from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.failures import Failure, Forbidden, InternalError, Unauthorized, Unavailable
from openapi.bridge.framework import ProblemException
from openapi.bridge.media_types import accept_of

log = logging.getLogger(__name__)


CLIENT_IS_GONE = "the client is gone"
"""What a server cancels a request with when nobody waits for its answer any more."""


class Refuser:
    """Answers for what was raised.

    Args:
        challenges: the value of `WWW-Authenticate` for each operation, by its id.
    """

    def __init__(self, contract: Contract, writer: AnswerWriter, challenges: Mapping[str, str]) -> None:
        self._contract = contract
        self._writer = writer
        self._challenges = challenges

    def answer(self, scope: Scope, error: BaseException) -> WrittenAnswer | None:
        """The answer to a request, None where nobody is there to read one; what is no refusal is logged."""
        if isinstance(error, ClientDisconnect) or (
            isinstance(error, CancelledError) and error.args == (CLIENT_IS_GONE,)
        ):
            log.info("the client went away before its request was answered")
            return None
        failure = self._failure(error)
        report(failure, error)
        operation: Operation | None = scope.get("operation")
        if isinstance(failure, Unauthorized) and operation is not None:
            failure.headers = {"WWW-Authenticate": self._challenges[operation.id], **failure.headers}
        return self._writer.refuse(failure, accept_of(scope), operation)

    def _failure(self, error: BaseException) -> Failure:
        """The failure that stands for `error`; what nobody foresaw is an InternalError."""
        if isinstance(error, CancelledError):
            return Unavailable("the server stopped before the request was complete")
        if isinstance(error, ProblemException):
            # Connexion's own: no or broken credentials, or a scope that is missing.
            return (Forbidden if error.status == Forbidden.status_code else Unauthorized)(str(error.detail))
        if isinstance(error, Failure) and self._contract.knows(error):
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
