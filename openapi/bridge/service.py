"""A contract, served: an ASGI application that finds a request's operation, has it answered and sends the answer.

Whatever is raised on the way becomes a refusal.
"""

import logging
from asyncio import CancelledError
from collections.abc import Callable

from connexion.exceptions import ProblemException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openapi.bridge.answers import AnswerWriter, WrittenAnswer
from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import ContractError
from openapi.bridge.failures import Failure, InternalError, Unauthorized, Unavailable
from openapi.bridge.operation import CallerOf, Handler, ServedOperation
from openapi.bridge.routing import OpenAPI31Specification, Routes, verifications_of
from openapi.bridge.security import Security, Verifiers, as_security_failure

log = logging.getLogger("todo_api")

CLIENT_IS_GONE = "the client is gone"
"""What a server cancels the task of a request with when nobody waits for its answer any more."""


class ContractService:
    """Serves every operation of a contract.

    Args:
        find: the handler that has the name of an operationId, or None.
        caller_of: makes a handler's first argument.
        verifiers: what verifies credentials, by the names or kinds of security schemes (`openapi.bridge.security`).
        beyond: what answers the paths that the contract does not have, and all that is no request; it raises
            PathNotFound for a path that it does not have either.
        writer: what writes the answers and refusals, where it is another than the contract's own.

    Raises:
        ContractError: for an operation without a handler, with one that cannot take its parameters, or whose
            credentials cannot be verified.
    """

    def __init__(
        self,
        contract: Contract,
        find: Callable[[str], Handler | None],
        caller_of: CallerOf,
        verifiers: Verifiers,
        beyond: ASGIApp,
        writer: AnswerWriter | None = None,
    ) -> None:
        self._contract = contract
        self._beyond = beyond
        self._writer = writer or AnswerWriter(contract)
        security = Security(contract.document, verifiers)
        operations = contract.operations
        specification = OpenAPI31Specification(contract.document["openapi"], operations.values(), security)
        verifications = verifications_of(specification, security)
        self._challenges = {name: security.challenge(each) for name, each in operations.items()}
        served = {
            name: ServedOperation(
                contract,
                each,
                _handler(find, each),
                caller_of,
                verifications.get(name),
                security.query_keys(each),
                self._writer,
            )
            for name, each in operations.items()
        }
        self._routes = Routes(specification, operations, served)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._beyond(scope, receive, send)
            return
        has_begun = False

        async def send_beyond(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        answer: WrittenAnswer | None = None
        try:
            served = self._routes.find(scope)
            if served is None:
                await self._beyond(scope, receive, send_beyond)
            else:
                # What reports the request takes the route from here, so that it need not read the path.
                scope["operation"] = served.operation
                answer = await served.answer(scope, receive)
        except (Exception, CancelledError) as error:
            answer = self._refusal(scope, error)
            if has_begun:
                raise
        if answer is not None:
            await answer.send(send)

    def _refusal(self, scope: Scope, error: BaseException) -> WrittenAnswer | None:
        """The answer for what was raised; None where nobody is there to read one."""
        if isinstance(error, ClientDisconnect) or error.args == (CLIENT_IS_GONE,):
            log.info("the client went away before its request was answered")
            return None
        failure = self._failure(error)
        report(failure, error)
        if isinstance(failure, Unauthorized) and "operation" in scope:
            challenge = self._challenges[scope["operation"].id]
            failure.headers = {"WWW-Authenticate": challenge, **failure.headers}
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
        return self._writer.refuse(failure, accept, scope.get("operation"))

    def _failure(self, error: BaseException) -> Failure:
        """The failure that `error` amounts to; what nobody foresaw is an InternalError."""
        if isinstance(error, CancelledError):
            return Unavailable("the server stopped before the request was complete")
        if isinstance(error, ProblemException):
            return as_security_failure(error)
        if isinstance(error, Failure) and self._contract.knows(error):
            return error
        return InternalError()


def _handler(find: Callable[[str], Handler | None], operation: Operation) -> Handler:
    handler = find(operation.id)
    if handler is None:
        raise ContractError(
            f"{operation.method} {operation.path}: no handler has the name of the operationId {operation.id!r}"
        )
    return handler


def report(failure: Failure, error: BaseException) -> None:
    """Writes the reason to the log: a fault of ours with its traceback, trouble elsewhere as one warning."""
    if isinstance(failure, InternalError):
        log.error("unexpected fault", exc_info=error)
    elif isinstance(failure, Unavailable):
        log.warning("unavailable: %s", failure.reason)
    elif isinstance(failure, Unauthorized):
        log.info("unauthorized: %s", failure.reason)
