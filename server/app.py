"""The parts put together. A request passes, from the outside in: its exchange with the server, the
contract's service with its checks, and the handler. What is no operation goes on to the pages."""

import gc
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any

from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from db.driver.database import Database
from db.driver.ownership import own_row
from db.driver.pool import Pool
from openapi.bridge.answer_rules import AnswerValidation
from openapi.bridge.answers import AnswerWriter
from openapi.bridge.document.checks import forget_grammars
from openapi.bridge.failures import PathNotFound
from openapi.bridge.operation import CallerOf
from openapi.bridge.security import Verifier
from openapi.bridge.service import ContractService
from server.cors import CrossOrigin
from server.identity.verifier import create_verifier, demo_token
from server.pages.paths import is_page
from server.product import Product
from server.settings import Settings
from server.telemetry.observe import REQUEST_ID, create_observer

CONNECTIONS = 8
QUEUE = 1024


def create_app(
    product: Product, settings: Settings, database_url: str, *, validate_answers: bool = False
) -> ASGIApp:
    """The service as an ASGI application; it connects to the database with the first request.

    Args:
        validate_answers: whether an answer that the contract does not have is a fault (500), for tests.

    Raises:
        ContractError: if the contract cannot be served, with one line that names the place.
    """
    verifier = create_verifier(settings, product.contract)
    database = open_database(product, database_url)
    observer = create_observer(
        settings,
        product.contract,
        {
            "todo_api_database_connections_in_use": lambda: database.pool.in_use,
            "todo_api_requests_waiting": lambda: database.pool.waiting,
            "todo_api_jwks_age_seconds": lambda: verifier.keys.age_seconds,
        },
    )
    writer = AnswerWriter(product.contract)
    origins = settings.cors_origins
    cross_origin = CrossOrigin(product.contract, writer, origins) if origins else None

    @cache
    def pages() -> Any:
        # Most workers are never asked for a page, for which they would need 7 MB.
        from a2wsgi import WSGIMiddleware

        from server.pages.site import create_pages

        issue_token = partial(demo_token, settings, product.contract)
        wsgi: Any = create_pages(product.contract, issue_token, settings.root_path)
        return WSGIMiddleware(wsgi)

    beyond = Router(
        default=partial(answer_pages, pages),
        lifespan=partial(
            lifespan, database, {"observer": observer, "writer": writer, "cross_origin": cross_origin}
        ),
        redirect_slashes=False,
    )
    app = serve_contract(product, database.caller, verifier.verify, beyond)
    return AnswerValidation(app, product.contract, {REQUEST_ID.lower()}) if validate_answers else app


def serve_contract(
    product: Product, caller_of: CallerOf, verify: Verifier, beyond: ASGIApp
) -> ContractService:
    """The contract's operations, each with its handler; raises ContractError as `ContractService` does."""
    verifiers = {"bearer": verify, **product.verifiers}
    return ContractService(product.contract, product.find_handler, caller_of, verifiers, beyond)


@asynccontextmanager
async def lifespan(database: Database, state: dict[str, Any], _app: object) -> AsyncIterator[dict[str, Any]]:
    """From the server's start to its end; each of the server's connections knows `state`."""
    forget_grammars()
    # What the start has made stays; the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    async with state["observer"].running():
        yield state
        database.close()


def open_database(product: Product, url: str) -> Database:
    """The product's database at `url`, which is connected to when it is first asked."""
    tables = product.tables
    pool = Pool(url, CONNECTIONS, QUEUE)
    return Database(pool, tables.names, register=tables.register, probe=own_row(tables.metadata))


async def answer_pages(pages: Callable[[], ASGIApp], scope: Scope, receive: Receive, send: Send) -> None:
    """Has the pages for people, which are Flask's, answer; raises PathNotFound for any path but theirs."""
    if not is_page(scope["path"]):
        raise PathNotFound
    # To import and make them takes a while, in which others are answered.
    answer = await to_thread(pages)
    await answer(scope, receive, send)
