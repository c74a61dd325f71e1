"""One operation of a contract, ready to be served: what can be compiled or looked up is, before the first request."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from openapi.bridge.answer_rules import AnswerRules
from openapi.bridge.answers import Answer
from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import ContractError
from openapi.bridge.request.body import BodyReader
from openapi.bridge.request.parameters import ParameterReader
from openapi.bridge.security import OperationSecurity

Handler = Callable[..., Awaitable[Answer[Any]]]
# The handler's first argument, from the claims of the verified credentials, None where nobody asked for any.
CallerOf = Callable[[Mapping[str, Any] | None], object]


@dataclass(frozen=True, slots=True)
class ServedOperation:
    """One operation and its handler.

    Args:
        handler: called with the caller, and the parameters and the body by name.
        security: how the credentials of a request are verified; None where the operation asks for none.
        body: reads the body; None where the operation takes none.
        rules: what is left out of answers; None where the contract has nothing that is.
        answer_type: the media type of an answer by its status, where the handler names none.
    """

    operation: Operation
    handler: Handler
    security: OperationSecurity | None
    parameters: ParameterReader
    body: BodyReader | None
    rules: AnswerRules | None
    answer_type: Callable[[int], str]


def bind(
    contract: Contract,
    operation: Operation,
    handler: Handler | None,
    security: OperationSecurity | None,
) -> ServedOperation:
    """The operation with its handler.

    Raises:
        ContractError: if there is no handler, or it cannot take the operation's parameters.
    """
    where = f"{operation.method} {operation.path}"
    if handler is None:
        in_python = contract.handler_names[operation.id]
        if "operationId" not in operation.place.node:
            raise ContractError(f"{where}: it has no operationId, and no handler is called {in_python}")
        spelt = "" if in_python == operation.id else f", which is {in_python} in Python"
        raise ContractError(f"{where}: no handler has the name of the operationId {operation.id!r}{spelt}")
    served = ServedOperation(
        operation,
        handler,
        security,
        ParameterReader(contract, operation),
        BodyReader(contract, operation.body) if operation.body else None,
        AnswerRules(contract, operation) if contract.hides_members else None,
        cache(operation.answer_type),
    )
    arguments = [*served.parameters.arguments, *(["body"] if served.body else [])]
    try:
        inspect.signature(handler).bind(None, **dict.fromkeys(arguments))
    except TypeError as error:
        raise ContractError(
            f"{where}: the handler {operation.id} cannot be called with "
            f"({', '.join(['caller', *arguments])}): {error}"
        ) from None
    if not inspect.iscoroutinefunction(handler):
        raise ContractError(f"{where}: the handler {operation.id} must be an async function")
    return served
