"""One operation of a contract, served: all that can be compiled or looked up is, before the first request.

Checks run in this order: credentials (401, 403), owner (403), body's arrival, size and media type (408, 413, 415),
parameters and body (400).
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from starlette.types import Receive, Scope

from openapi.bridge.answer_rules import AnswerRules
from openapi.bridge.answers import Answer, AnswerWriter, WrittenAnswer
from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import ContractError
from openapi.bridge.failures import BadRequest, Forbidden
from openapi.bridge.request.body import NO_BODY, BodyReader
from openapi.bridge.request.parameters import ParameterReader
from openapi.bridge.routing import Verify
from openapi.bridge.security import CredentialsRequest, claims_of, without_keys

Handler = Callable[..., Awaitable[Answer[Any]]]
# The handler's first argument, from the claims of the verified credentials, None where nobody asked for any.
CallerOf = Callable[[Mapping[str, Any] | None], object]


class ServedOperation:
    """One operation and its handler.

    Args:
        handler: called with the caller, and the parameters and the body by name.
        verify: Connexion's verification of a request's credentials; None where the operation asks for none.
        query_keys: the names of query parameters that hold credentials.

    Raises:
        ContractError: if the handler cannot take the operation's parameters.
    """

    def __init__(
        self,
        contract: Contract,
        operation: Operation,
        handler: Handler,
        caller_of: CallerOf,
        verify: Verify | None,
        query_keys: frozenset[str],
        writer: AnswerWriter,
    ) -> None:
        self.operation = operation
        self._handler = handler
        self._caller_of = caller_of
        self._verify = verify
        self._query_keys = query_keys
        self._combined = frozenset(frozenset(each) for each in operation.security if len(each) > 1)
        self._owner = operation.owner
        self._success = operation.success
        self._parameters = ParameterReader(contract, operation)
        self._body = BodyReader(contract, operation.body) if operation.body else None
        self._writer = writer
        self._rules = AnswerRules(contract, operation) if contract.hides_members else None
        self._check_signature()

    def _check_signature(self) -> None:
        operation = self.operation
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

    async def answer(self, scope: Scope, receive: Receive) -> WrittenAnswer:
        """The handler's answer to a request that keeps the contract.

        The claims of the credentials are noted in `scope["claims"]`.

        Raises:
            Failure: for the first check that the request does not pass, and as the handler does.
        """
        claims = None
        if self._verify is not None:
            request = CredentialsRequest(scope)
            await self._verify(request)
            claims = scope["claims"] = claims_of(request, self._combined)
            if self._query_keys:
                scope["query_string"] = without_keys(scope["query_string"], self._query_keys)
        owner = self._owner
        if owner is not None and (claims is None or scope["path_params"][owner] != claims.get("sub")):
            raise Forbidden
        received = await self._body.receive(scope, receive) if self._body is not None else NO_BODY
        try:
            arguments = self._parameters.read(scope)
        except BadRequest as refused:
            # Whoever asks for all violations gets those of the body too.
            raise (
                refused if self._body is None else refused.joined_by(partial(self._body.parse, received))
            ) from None
        if self._body is not None:
            arguments["body"] = self._body.parse(received)
        answer = await self._handler(self._caller_of(claims), **arguments)
        status, body = answer.status or self._success, answer.body
        if self._rules is not None:
            body = self._rules.visible(status, body, answer.media_type)
        return self._writer.write(status, body, answer.headers, answer.media_type)
