"""The parts put together. A request passes, from the outside in: observation, CORS, errors, routing and security
(Connexion, from the contract), then validation and handler. What is no operation goes on to the pages."""

import gc
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import connexion
from a2wsgi import WSGIMiddleware
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.middleware.main import API
from connexion.middleware.security import SecurityMiddleware
from connexion.resolver import Resolver
from starlette.types import ASGIApp, Receive, Scope, Send

from db import statements
from db.driver.database import Database, Tenant
from db.driver.pool import Pool
from db.driver.url import normalise
from db.models import NAMES
from handlers import health, tasks
from openapi.bridge.contract import Contract
from openapi.bridge.failures import PathNotFound
from openapi.bridge.operation import Handler, ValidationMiddleware, bind_handlers
from openapi.bridge.routing import ContractRouting, OpenAPI31Specification
from openapi.bridge.service import ErrorMiddleware
from openapi.contract import contract
from openapi.types import HealthHandlers, TasksHandlers
from server.cors import cors_middleware
from server.identity.verifier import create_verifier, demo_token
from server.pages.site import create_pages, is_page
from server.settings import Settings
from server.telemetry.observe import ObserveMiddleware, Observer, create_observer

# The types say that each module has a handler for every operation of its tag, with the contract's own types.
_tasks: TasksHandlers[Tenant] = tasks
_health: HealthHandlers[Database] = health
HANDLERS = (_tasks, _health)

CONNECTIONS = 8
QUEUE = 512


def create_app(settings: Settings, database_url: str) -> connexion.AsyncApp:
    """The service as an ASGI application; it connects to the database with the first request.

    Raises:
        ContractError: if the contract cannot be served, with one line that names the place.
    """
    verifier = create_verifier(settings)
    service = Service(database_url)
    observer = create_observer(
        settings,
        contract(),
        {**service.readings(), "todo_api_jwks_age_seconds": lambda: verifier.keys_age_seconds},
    )
    operations = bind_handlers(contract(), find_handler, service.caller)
    app = connexion.AsyncApp(
        "todo-api",
        lifespan=partial(lifespan, service, observer),
        resolver=Resolver(find_handler),
        security_map=verifier.security_map(),
        middlewares=[
            partial(ObserveMiddleware, observer=observer),
            *cors_middleware(contract(), settings.cors_origins),
            partial(ErrorMiddleware, contract=contract()),
            ContractRouting,
            SecurityMiddleware,
            partial(ValidationMiddleware, operations=operations),
            LifespanMiddleware,
            partial(Pages, wsgi=create_pages(contract(), partial(demo_token, settings))),
        ],
    )
    add_contract(app, contract())
    return app


def add_contract(app: connexion.AsyncApp, contract: Contract) -> None:
    """Registers the contract as `ConnexionMiddleware.add_api` does, which would take OpenAPI 3.0 only."""
    specification = OpenAPI31Specification(contract.document)
    options = app.middleware.options
    app.middleware.apis.append(API(specification, base_path=None, name=None, **vars(options)))


@asynccontextmanager
async def lifespan(service: "Service", observer: Observer, _app: object) -> AsyncIterator[dict[str, Any]]:
    """From the server's start to its end; what it yields is known to each of the server's connections."""
    # What the start has made stays; the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    async with observer.running():
        yield {"observer": observer}
        service.close()


def find_handler(operation_id: str) -> Handler | None:
    """The handler that has the name of the operationId, or None."""
    return next((getattr(module, operation_id) for module in HANDLERS if hasattr(module, operation_id)), None)


class Service:
    """What the operations share: the database."""

    def __init__(self, database_url: str) -> None:
        self._pool = Pool(normalise(database_url), CONNECTIONS, QUEUE)
        self._database = Database(self._pool, NAMES, register=statements.register())

    def caller(self, claims: Mapping[str, Any] | None) -> object:
        """The tenant of a verified token; the whole database's health where no token is asked for."""
        return (
            self._database if claims is None else self._database.tenant(claims["sub"], email=claims["email"])
        )

    def readings(self) -> dict[str, Callable[[], float]]:
        """What tells the values of the gauges, by their names in `server.telemetry.metrics`."""
        return {
            "todo_api_database_connections_in_use": lambda: self._pool.in_use,
            "todo_api_requests_waiting": lambda: self._pool.waiting,
        }

    def close(self) -> None:
        """Closes the connections; by then the requests have ended."""
        self._pool.close()


class Pages:
    """The pages for people, in Flask; any other path is none of ours."""

    def __init__(self, _app: ASGIApp, wsgi: Any) -> None:
        self._pages: Any = WSGIMiddleware(wsgi)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_page(scope["path"]):
            raise PathNotFound
        await self._pages(scope, receive, send)
