"""The parts put together. A request passes, from the outside in: its exchange with the server, the
contract's service with its checks, and the handler. What is no operation goes on to the pages."""

import gc
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from a2wsgi import WSGIMiddleware
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from db import statements
from db.driver.database import Database, Tenant
from db.driver.pool import Pool
from db.driver.url import normalise
from db.models import NAMES
from handlers import changes, health, tasks, users
from openapi.bridge.answer_rules import AnswerValidation
from openapi.bridge.answers import AnswerWriter
from openapi.bridge.failures import PathNotFound
from openapi.bridge.operation import CallerOf, Handler
from openapi.bridge.security import Verifier
from openapi.bridge.service import ContractService
from openapi.contract import contract
from openapi.types import ChangesHandlers, HealthHandlers, TasksHandlers, UsersHandlers
from server.cors import CrossOrigin
from server.identity.verifier import create_verifier, demo_token
from server.pages.site import create_pages, is_page
from server.settings import Settings
from server.telemetry.observe import REQUEST_ID, Observer, create_observer

# The types say that each module has a handler for every operation of its tag, with the contract's own types.
_tasks: TasksHandlers[Tenant] = tasks
_changes: ChangesHandlers[Tenant] = changes
_users: UsersHandlers[Tenant] = users
_health: HealthHandlers[Database] = health
HANDLERS = (_tasks, _changes, _users, _health)

CONNECTIONS = 8
QUEUE = 512


def create_app(settings: Settings, database_url: str, *, validate_answers: bool = False) -> ASGIApp:
    """The service as an ASGI application; it connects to the database with the first request.

    Args:
        validate_answers: whether an answer that the contract does not have is a fault (500), for tests.

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
    cross_origin = None
    if settings.cors_origins:
        cross_origin = CrossOrigin(contract(), AnswerWriter(contract()), settings.cors_origins)
    wsgi: Any = create_pages(contract(), partial(demo_token, settings))
    beyond = Router(
        default=partial(answer_pages, WSGIMiddleware(wsgi)),
        lifespan=partial(lifespan, service, observer, cross_origin),
        redirect_slashes=False,
    )
    app = serve_contract(service.caller, lambda _request, token: verifier.verify(token), beyond)
    return AnswerValidation(app, contract(), {REQUEST_ID}) if validate_answers else app


def serve_contract(caller_of: CallerOf, verify: Verifier, beyond: ASGIApp) -> ContractService:
    """The contract's operations, each with its handler; raises ContractError as `ContractService` does."""
    return ContractService(contract(), find_handler, caller_of, {"bearer": verify}, beyond)


@asynccontextmanager
async def lifespan(
    service: "Service", observer: Observer, cross_origin: CrossOrigin | None, _app: object
) -> AsyncIterator[dict[str, Any]]:
    """From the server's start to its end; what it yields is known to each of the server's connections."""
    # What the start has made stays; the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    async with observer.running():
        yield {"observer": observer, "writer": AnswerWriter(contract()), "cross_origin": cross_origin}
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
        self._database.close()


async def answer_pages(pages: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Has the pages for people, which are Flask's, answer; raises PathNotFound for any path but theirs."""
    if not is_page(scope["path"]):
        raise PathNotFound
    await pages(scope, receive, send)
