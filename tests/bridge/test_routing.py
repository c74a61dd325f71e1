"""What was laid out flat at the start serves as Connexion's own routing and security would."""

import asyncio
from typing import Any

import pytest
from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.middleware.routing import RoutingMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.resolver import Resolver
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from openapi.bridge.contract import Contract
from openapi.bridge.document.grammar import METHODS
from openapi.bridge.failures import Failure
from openapi.bridge.routing import OpenAPI31Specification
from openapi.bridge.security import Security, Verifiers
from openapi.bridge.service import ContractService
from openapi.contract import contract
from tests.bridge.test_security import SCHEMES, VERIFIERS
from tests.support.contracts import contract_of, document
from tests.support.serving import echo, nothing, operation

SECURED = {
    f"/{name}": {"get": operation(name, security=security)}
    for name, security in {
        **{name: [{name: ["read"]}] for name in SCHEMES},
        "either": [{"token": ["read"]}, {"header": []}],
        "both": [{"cookie": [], "header": ["read"]}],
        "perhaps": [{}, {"token": ["read"]}],
        "open": [],
    }.items()
}
CONTRACTS = {
    "todo": contract(),
    "security": contract_of(document(SECURED, components={"securitySchemes": SCHEMES})),
}
USER = "alice+read"
CREDENTIALS: list[list[tuple[bytes, bytes]]] = [
    [],
    [(b"authorization", b"Bearer alice+read")],
    [(b"authorization", b"Bearer alice")],
    [(b"authorization", b"Bearer wrong")],
    [(b"authorization", b"Basic bmFtZTphbGljZStyZWFk")],
    [(b"authorization", b"Digest alice+read")],
    [(b"x-key", b"alice+read")],
    [(b"cookie", b"session=alice+read"), (b"x-key", b"bob+read")],
    [(b"cookie", b"session=alice+read")],
]


def scope_of(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> Scope:
    """A request as the server hands it on."""
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"key=alice%2Bread",
        "headers": headers,
    }


class Found(Exception):  # noqa: N818 - it is what was asked for
    """What a request has found: an operation and the values of its path, or a status."""


async def tell(scope: Scope, _receive: Receive, _send: Send) -> None:
    """Tells what Connexion has found."""
    identifier = scope["extensions"][ROUTING_CONTEXT]["operation_id"]
    raise Found(404 if identifier is None else (identifier, list(scope["path_params"].values())))


async def tell_status(message: Message) -> None:
    """Tells what Connexion answers."""
    raise Found(message.get("status"))


def verifiers_for(contract: Contract) -> Verifiers:
    """What verifies the credentials of the schemes that a contract has."""
    return VERIFIERS if contract is CONTRACTS["security"] else {"bearer": VERIFIERS["bearer"]}


def connexion_for(contract: Contract) -> RoutingMiddleware:
    """Connexion's own routing and security for a contract."""
    security = Security(contract.document, verifiers_for(contract))
    specification = OpenAPI31Specification("3.1.0", contract.operations.values(), security)
    secured = SecurityMiddleware(tell)
    secured.add_api(specification, resolver=Resolver(echo), security_map=security.security_map())
    routing = RoutingMiddleware(secured)
    routing.add_api(specification, resolver=Resolver(echo))
    mount: Any = routing.router.routes[-1]
    mount.app.redirect_slashes = routing.router.redirect_slashes = False
    return routing


async def by_connexion(routing: RoutingMiddleware, scope: Scope) -> Any:
    """The status with which Connexion refuses a request, or the operation and the path's values that it finds."""
    try:
        await routing(scope, nothing, tell_status)
    except Found as found:
        return found.args[0]
    except HTTPException as error:
        return error.status_code
    except Failure as failure:
        return failure.status_code
    raise AssertionError("nothing was found")


async def by_us(service: ContractService, scope: Scope) -> Any:
    """The same of our own service; a request that comes as far as the owner, the parameters or the body is found."""
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        statuses.append(message.get("status", 0))

    await service(scope, receive, send)
    if statuses[0] in (401, 403, 404, 405) and "claims" not in scope:
        return statuses[0]
    return scope["operation"].id, list(scope["path_params"].values())


@pytest.mark.parametrize("name", CONTRACTS)
def test_what_is_flat_serves_as_connexion_does(name: str) -> None:
    """For every path, method and kind of credentials both find the same operation, or refuse with the same status.

    Where several paths match, as in neither of these contracts, ours holds to the most specific one for any method.
    """
    contract = CONTRACTS[name]
    service = ContractService(contract, echo, lambda claims: claims, verifiers_for(contract), nothing)
    connexion = connexion_for(contract)
    templates = {operation.path for operation in contract.operations.values()}
    paths = {template.replace("{user_id}", USER).replace("{id}", "1") for template in templates}
    paths = {path.replace("{", "").replace("}", "") for path in paths}
    others = {"/", "/nothing", *(f"{path}/" for path in paths), *(f"{path}/more" for path in paths)}

    async def compare() -> None:
        for path in sorted(paths | others):
            for method in [*(method.upper() for method in METHODS), "LINK"]:
                for headers in CREDENTIALS if path in paths else CREDENTIALS[:1]:
                    theirs = await by_connexion(connexion, scope_of(method, path, headers))
                    ours = await by_us(service, scope_of(method, path, headers))
                    assert theirs == ours, (method, path, headers)

    asyncio.run(compare())
