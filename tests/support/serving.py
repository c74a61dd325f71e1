"""Small contracts, served in this process by handlers that answer what they were called with."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from starlette.types import ASGIApp

from openapi.bridge.answer_rules import AnswerValidation
from openapi.bridge.answers import Answer
from openapi.bridge.failures import PathNotFound
from openapi.bridge.security import Verifiers
from openapi.bridge.service import ContractService
from server.identity.bearer import BearerVerifier
from server.identity.claims import TokenRules, issue_token
from server.identity.keys import SharedSecret
from tests.support.contracts import Json, contract_of, document

SECRET = b"a secret of the test suite, 32 bytes and more"
BEARER = {"type": "http", "scheme": "bearer"}


def caller_of(claims: Mapping[str, Any] | None) -> object:
    """A caller is the user's name."""
    return claims and claims["sub"]


def echo(identifier: str) -> Callable[..., Any]:
    """A handler that answers its operation, its caller and its arguments."""

    async def handle(caller: object, **arguments: Any) -> Answer[Any]:
        return Answer({"operation": identifier, "caller": caller, **arguments}, {"Operation": identifier})

    return handle


async def nothing(*_: object) -> None:
    """What stands behind the bridge."""
    raise PathNotFound


def serve(
    paths: Json,
    verifiers: Verifiers | None = None,
    find: Callable[[str], Callable[..., Any]] = echo,
    validate_answers: bool = False,
    **fields: Any,
) -> Callable[..., httpx.Response]:
    """What sends requests to an application that serves these paths, by default with our bearer."""
    components = {"securitySchemes": {"token": BEARER}, **fields.pop("components", {})}
    contract = contract_of(document(paths, components=components, **fields))
    verifier = BearerVerifier(SharedSecret(SECRET), TokenRules())
    verifiers = verifiers or {"bearer": verifier.verify}
    app: ASGIApp = ContractService(contract, find, caller_of, verifiers, nothing)
    if validate_answers:
        app = AnswerValidation(app, contract)

    async def send(method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)

    return lambda method, path, **options: asyncio.run(send(method, path, **options))


def operation(identifier: str, **fields: Any) -> Json:
    """An operation that answers 200."""
    return {"operationId": identifier, "responses": {"200": {"description": "Done"}}, **fields}


def parameter(name: str, where: str = "path", **fields: Any) -> Json:
    """A parameter, a string unless said otherwise."""
    return {"name": name, "in": where, "required": where == "path", "schema": {"type": "string"}, **fields}


def signed_in(user: str) -> dict[str, str]:
    """The header of `user`'s token."""
    return {"Authorization": f"Bearer {issue_token(SECRET, user)}"}


def told(response: httpx.Response) -> Any:
    """What an echo answers without what every echo does."""
    assert 200 == response.status_code, response.text
    return {name: value for name, value in response.json().items() if value is not None}
