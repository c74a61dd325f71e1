"""A contract, served. A request's whole way through the bridge stands here, in two functions.

It passes these checks in this order: path and method (404, 405), credentials (401, 403), owner (403), the body's
arrival, size and media type (408, 413, 415), parameters and body (400). Whatever is raised on the way is refused.
"""

from asyncio import CancelledError
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openapi.bridge.answers import AnswerWriter, WrittenAnswer
from openapi.bridge.contract import Contract
from openapi.bridge.failures import BadRequest, Forbidden, MethodNotAllowed, Unauthorized
from openapi.bridge.media_types import accept_of, preferred
from openapi.bridge.operation import CallerOf, Handler, bind
from openapi.bridge.refusals import Refuser
from openapi.bridge.routing import (
    OpenAPI31Specification,
    Path,
    check_path_encoding,
    paths_of,
    verifications_of,
)
from openapi.bridge.security import Security, Verifiers, merged, without_keys

# As a number, since to look for bytes in bytes raises and catches an exception first.
_PERCENT = ord("%")
_PRINTABLE = bytes(range(0x20, 0x7F))


class ContractService:
    """An ASGI application that serves every operation of a contract.

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
        self._beyond = beyond
        self._caller_of = caller_of
        writer = writer or AnswerWriter(contract)
        self._write = writer.write
        security = Security(contract.document, verifiers)
        operations = contract.operations
        self._refuser = Refuser(
            contract, writer, {name: security.challenge(operations[name]) for name in operations}
        )
        specification = OpenAPI31Specification(contract.document["openapi"], operations.values(), security)
        verify = verifications_of(specification, security)
        secured = {name: security.of(operations[name], verify[name]) for name in verify}
        served = {
            name: bind(contract, each, find(name), secured.get(name)) for name, each in operations.items()
        }
        self._fixed, self._by_slashes = paths_of(specification, served)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._beyond(scope, receive, send)
            return
        has_begun = False

        async def send_beyond(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            answer = await self._answer(scope, receive)
            if answer is None:
                await self._beyond(scope, receive, send_beyond)
        except (Exception, CancelledError) as error:
            answer = self._refuser.answer(scope, error)
            if has_begun:
                raise
        if answer is not None:
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.fields})
            await send({"type": "http.response.body", "body": answer.content})

    def find(self, text: str) -> tuple[Path | None, Sequence[str]]:
        """The contract's path that matches a request's path, or None, and the values of its parameters."""
        if (fixed := self._fixed.get(text)) is not None:
            return fixed, ()
        for path in self._by_slashes.get(text.count("/"), ()):
            if (match := path.matches(text[::-1] if path.is_backwards else text)) is not None:
                values = match.groups()
                return path, [value[::-1] for value in reversed(values)] if path.is_backwards else values
        return None, ()

    async def _answer(self, scope: Scope, receive: Receive) -> WrittenAnswer | None:
        """The handler's answer to a request that keeps the contract; None for a path that the contract does not have.

        The operation is noted in `scope["operation"]`, the values of its path in `scope["path_params"]` and the claims
        of the credentials in `scope["claims"]`.
        """
        if _PERCENT in scope["raw_path"]:
            check_path_encoding(scope["raw_path"])
        path, values = self.find(scope["path"])
        if path is None:
            return None
        served = path.operations.get(scope["method"])
        if served is None:
            raise MethodNotAllowed(path.allow)
        scope["operation"] = served.operation
        values_by_name = scope["path_params"] = dict(zip(path.names, values, strict=True))

        claims = None
        if (security := served.security) is not None:
            request = CredentialsRequest(scope)
            await security.verify(request)
            claims = request.context["token_info"] or None
            if security.combined:
                claims = merged(claims, security.combined)
            if security.query_keys:
                scope["query_string"] = without_keys(scope["query_string"], security.query_keys)
            scope["claims"] = claims
        owner = served.operation.owner
        if owner is not None and (claims is None or values_by_name[owner] != claims.get("sub")):
            raise Forbidden

        body = served.body
        received = None if body is None else await body.receive(scope, receive)
        try:
            arguments = served.parameters.read(scope)
        except BadRequest as refused:
            # Whoever asks for all violations gets those of the body too.
            raise (refused if body is None else refused.joined_by(partial(body.parse, received))) from None
        if body is not None:
            arguments["body"] = body.parse(received)

        answer = await served.handler(self._caller_of(claims), **arguments)
        status, content, others = answer.status or served.operation.success, answer.body, answer.others
        media_type, headers = answer.media_type or served.answer_type(status), answer.headers
        if others:
            media_type, _ = preferred([media_type, *others], accept_of(scope).decode("latin-1"))
            content = others[media_type]() if media_type in others else content
        if served.rules is not None:
            content = served.rules.visible(status, content, media_type)
        is_head = scope["method"] == "HEAD"
        written = self._write(status, content, headers, media_type, is_head=is_head)
        if others:
            # A line of its own, beside one that the handler or the contract may have (RFC 9110, section 5.3).
            written.fields.append((b"vary", b"Accept"))
        return written


class CredentialsRequest:
    """What Connexion's security handlers read of a request, read when they ask."""

    __slots__ = ("_fields", "_query_string", "context")

    def __init__(self, scope: Scope) -> None:
        self._fields = scope["headers"]
        self._query_string: bytes = scope["query_string"]
        self.context: dict[str, Any] = {}

    @property
    def headers(self) -> "CredentialsRequest":
        """The headers, of which only `get` is used."""
        return self

    def get(self, name: str) -> str | None:
        """The value of a header.

        Raises:
            Unauthorized: if it came twice, since only one could be meant; for an `Authorization` with white space that
                is no space, which Connexion would take for the space after the scheme (RFC 9110, section 11.4).
        """
        key = name.lower().encode("latin-1")
        values = [value for field, value in self._fields if field == key]
        if not values:
            return None
        if len(values) > 1:
            raise Unauthorized(f"{name} was sent more than once")
        if key == b"authorization" and values[0].translate(None, _PRINTABLE):
            raise Unauthorized("the Authorization header holds what is no visible ASCII")
        return str(values[0], "latin-1")

    @property
    def query_params(self) -> dict[str, str]:
        """The query parameters; one that came twice is no credential, since only one could be meant."""
        parameters = parse_qs(self._query_string.decode("latin-1"), keep_blank_values=True)
        return {name: values[0] for name, values in parameters.items() if len(values) == 1}
