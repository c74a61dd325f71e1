"""The middleware between Connexion's security and the handlers: it checks a request against the contract,
calls the operation's handler and sends what it answers.

Checks run in this order: owner (403), body's arrival, size and media type (408, 413, 415), parameters and body (400).
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from connexion.middleware.abstract import ROUTING_CONTEXT
from starlette.types import ASGIApp, Receive, Scope, Send

from openapi.bridge.answers import Answer, AnswerWriter
from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import ContractError
from openapi.bridge.failures import Forbidden
from openapi.bridge.request.body import BodyReader
from openapi.bridge.request.parameters import ParameterReader

Handler = Callable[..., Awaitable[Answer[Any]]]
# The handler's first argument, from the claims of the verified token, None where no token is asked for.
CallerOf = Callable[[Mapping[str, Any] | None], object]


class ValidatedOperation:
    """One operation and its handler; all that can be compiled or looked up is, before the first request.

    Raises:
        ContractError: if the handler cannot take the operation's parameters.
    """

    def __init__(
        self, contract: Contract, operation: Operation, handler: Handler, caller_of: CallerOf
    ) -> None:
        self._handler = handler
        self._caller_of = caller_of
        self._owner = operation.owner
        self._success = operation.success
        self._writer = AnswerWriter(contract)
        self._parameters = ParameterReader(contract, operation)
        self._body = BodyReader(contract, operation.body) if operation.body else None
        self._check_signature(operation)

    def _check_signature(self, operation: Operation) -> None:
        arguments = [*self._parameters.arguments, *(["body"] if self._body else [])]
        try:
            inspect.signature(self._handler).bind(None, **dict.fromkeys(arguments))
        except TypeError as error:
            raise ContractError(
                f"{operation.method} {operation.path}: the handler {operation.id} cannot be called with "
                f"({', '.join(['caller', *arguments])}): {error}"
            ) from None
        if not inspect.iscoroutinefunction(self._handler):
            raise ContractError(
                f"{operation.method} {operation.path}: the handler {operation.id} must be an async function"
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Where the contract makes a token optional, an absent one leaves an empty mapping.
        claims = scope["extensions"].get("connexion_context", {}).get("token_info") or None
        if self._owner is not None and (claims is None or scope["path_params"][self._owner] != claims["sub"]):
            raise Forbidden
        content = await self._body.receive(scope, receive) if self._body else b""
        arguments = self._parameters.read(scope)
        if self._body:
            arguments["body"] = self._body.parse(content)
        answer = await self._handler(self._caller_of(claims), **arguments)
        status = answer.status or self._success
        await self._writer.write(status, answer.body, answer.headers).send(send)


class ValidationMiddleware:
    """Stands where Connexion's request validation would: answers each operation that the routing found.

    Args:
        operations: by operationId; a request for none of them goes on to `app`.
    """

    def __init__(self, app: ASGIApp, operations: Mapping[str, ValidatedOperation]) -> None:
        self.app = app
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        routing = scope.get("extensions", {}).get(ROUTING_CONTEXT, {})
        answer = self._operations.get(routing.get("operation_id"), self.app)
        await answer(scope, receive, send)


def bind_handlers(
    contract: Contract, find: Callable[[str], Handler | None], caller_of: CallerOf
) -> dict[str, ValidatedOperation]:
    """Every operation of the contract with its handler, by operationId.

    Args:
        find: the handler that has the name of an operationId, or None.
        caller_of: makes a handler's first argument.

    Raises:
        ContractError: for an operation without a handler, or with one that cannot take its parameters.
    """
    operations = {}
    for operation in contract.operations.values():
        handler = find(operation.id)
        if handler is None:
            raise ContractError(
                f"{operation.method} {operation.path}: no handler has the name of the operationId {operation.id!r}"
            )
        operations[operation.id] = ValidatedOperation(contract, operation, handler, caller_of)
    return operations
