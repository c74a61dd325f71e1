"""The bridge between Connexion 3.3 and a contract in OpenAPI 3.1: routing and security, on small contracts."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import connexion
import httpx
import pytest
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.middleware.main import API
from connexion.middleware.security import SecurityMiddleware
from connexion.resolver import Resolver

from openapi.answer import Answer
from openapi.contract import Contract
from openapi.errors import BadRequest, ErrorMiddleware, PathNotFound
from openapi.specification import ContractRouting, OpenAPI31Specification, check_path_encoding
from openapi.validation import ValidationMiddleware, bind_handlers
from server.bearer import BearerVerifier, TokenRules, issue_token
from server.jwks import SharedSecret
from tests.contracts import Json, contract_of, document, refusals

SECRET = b"a secret of the test suite, 32 bytes and more"
BEARER = {"type": "http", "scheme": "bearer"}


class InlineHost:
    """Runs handlers in place; a caller is the user's name."""

    def caller(self, claims: Mapping[str, Any] | None) -> object:
        return claims and claims["sub"]

    async def run(self, call: Callable[[], Answer[Any]]) -> Answer[Any]:
        return call()


def echo(identifier: str) -> Callable[..., Any]:
    """A handler that answers its operation, its caller and its arguments."""

    def handle(caller: object, **arguments: Any) -> Answer[Any]:
        return Answer({"operation": identifier, "caller": caller, **arguments})

    async def handle_soon(caller: object, **arguments: Any) -> Answer[Any]:
        return handle(caller, **arguments)

    return handle_soon if identifier.startswith("soon") else handle


class NotFound:
    """What stands behind the bridge."""

    def __init__(self, _app: object) -> None:
        pass

    async def __call__(self, *_: object) -> None:
        raise PathNotFound


def app_of(contract: Contract) -> connexion.AsyncApp:
    """An application that serves `contract`, put together as the service is."""
    operations = bind_handlers(contract, echo, InlineHost())
    verifier = BearerVerifier(SharedSecret(SECRET), TokenRules())
    app = connexion.AsyncApp(
        "test",
        resolver=Resolver(echo),
        security_map=verifier.security_map(),
        middlewares=[
            ErrorMiddleware,
            ContractRouting,
            SecurityMiddleware,
            partial(ValidationMiddleware, operations=operations),
            LifespanMiddleware,
            NotFound,
        ],
    )
    options = app.middleware.options
    specification = OpenAPI31Specification(contract.document)
    app.middleware.apis.append(API(specification, base_path=None, name=None, **vars(options)))
    return app


def serve(paths: Json, **fields: Any) -> Callable[..., httpx.Response]:
    """What sends requests to an application that serves these paths."""
    components = {"responses": refusals(), "securitySchemes": {"token": BEARER}, **fields.pop("components", {})}
    app = app_of(contract_of(document(paths, components=components, **fields)))

    async def send(method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)

    return lambda method, path, **options: asyncio.run(send(method, path, **options))


def operation(identifier: str, **fields: Any) -> Json:
    """An operation that refers to every refusal."""
    responses = {str(status): {"$ref": f"#/components/responses/{name}"} for status, name in enumerate(refusals(), 400)}
    return {"operationId": identifier, "responses": {"200": {"description": "Done"}, **responses}, **fields}


def parameter(name: str, where: str = "path", **fields: Any) -> Json:
    """A parameter, a string unless said otherwise."""
    return {"name": name, "in": where, "required": where == "path", "schema": {"type": "string"}, **fields}


def signed_in(user: str) -> dict[str, str]:
    """The header of `user`'s token."""
    return {"Authorization": f"Bearer {issue_token(SECRET, user)}"}
