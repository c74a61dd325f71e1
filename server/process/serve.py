"""One server: its database, its schema, its workers, and what it says when it starts."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

import click
import uvicorn
from starlette.types import ASGIApp

from db.admin.isolation import require
from db.embedded.programs import EmbeddedPostgresError
from openapi.bridge.addresses import address_of
from server.app import create_app
from server.identity.verifier import DEMO_USER, demo_token
from server.process.connections import Connections, raise_file_limit
from server.process.listening import StartError, address_on, listen, no_listening, several
from server.process.workers import create_worker, run_workers
from server.product import LoadProduct, Product
from server.settings import Settings
from server.telemetry.logs import logging_config

GRACEFUL_SHUTDOWN_SECONDS = 10


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The URL of the database while it is in use: the one that is set, or that of the embedded PostgreSQL.

    Raises:
        EmbeddedPostgresError: if the latter cannot run here.
    """
    if settings.database_url:
        yield settings.database_url
    elif find_spec("fcntl") is None:
        raise EmbeddedPostgresError("This system cannot run the embedded PostgreSQL: set DATABASE_URL")
    else:
        from db.embedded.cluster import embedded_postgres

        with embedded_postgres(settings.data_dir) as url:
            yield url


def _kept_running(settings: Settings, url: str) -> AbstractContextManager[None]:
    if settings.database_url:
        return nullcontext()
    from db.embedded.supervisor import kept_running

    return kept_running(settings.data_dir, url)


@contextmanager
def ready_database(product: Product, settings: Settings) -> Iterator[str]:
    """The URL of the database while it is in use, at the schema of this version.

    The embedded one is brought there; with one that is set, that is the operator's step.

    Raises:
        StartError: if the schema is another version's.
        MigrationError: if the database cannot be asked, or brought there.
    """
    with database(settings) as url:
        if (sentence := product.tables.migrations.pending(url)) is not None:
            if settings.database_url is not None:
                raise StartError(sentence)
            product.tables.migrations.upgrade(url)
        yield url


@contextmanager
def isolated_database(product: Product, settings: Settings) -> Iterator[str]:
    """Like `ready_database`, and only where row level security keeps the users apart.

    Raises:
        IsolationError: if it does not.
    """
    with ready_database(product, settings) as url:
        require(url, product.tables.metadata, product.tables.names)
        yield url


def run_server(load: LoadProduct, settings: Settings, reload: bool = False) -> None:
    """Serves until SIGTERM or SIGINT, then finishes the requests that run and returns or exits with 0.

    Args:
        reload: whether it begins anew when the contract or the code changes; what cannot be served is logged, and the
            one before serves on.

    SIGHUP replaces the workers one by one, so that no request is lost; it stops a server that has only one, or whose
    terminal was closed.

    Raises:
        StartError: if the address cannot be had, the schema is another version's, or a worker cannot start.
        IsolationError: if the database would not keep users apart.
    """
    product = load()
    # uvicorn raises the signal again after its shutdown; the default handler would end the process there and
    # then, with the embedded database still running.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    # To close the terminal is to stop the server, unless nohup has said otherwise.
    if is_bound := signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    raise_file_limit()
    with (
        listen(settings.host, settings.port, settings.request_timeout) as listener,
        _metrics(settings),
        isolated_database(product, settings) as url,
        _kept_running(settings, url),
    ):
        # Made here even where workers make their own, so that a fault in the contract is one line.
        app = create_app(product, settings, url)
        _announce(product, settings)
        if settings.web_concurrency == 1 and not reload:
            uvicorn.Server(_configuration(settings, app)).run(sockets=several(listener))
        else:
            configuration = _configuration(settings, partial(create_worker, load, settings, url))
            watched = _folders(product) if reload else frozenset[Path]()
            if not run_workers(configuration, listener, is_bound and _has_terminal(), watched):
                raise StartError("a worker could not start: the log says why")


def _folders(product: Product) -> set[Path]:
    """Where the code and the contract of the service are: our own folders, and those of its handlers."""
    project = Path(__file__).parents[2]
    files = [getattr(handlers, "__file__", None) for handlers in product.handlers]
    return {
        *(project / name for name in ("openapi", "handlers", "db", "server")),
        *(Path(file).parent for file in files if file is not None),
    }


@contextmanager
def _metrics(settings: Settings) -> Iterator[None]:
    with ExitStack() as stack:
        if settings.metrics_port:
            folder = stack.enter_context(TemporaryDirectory(prefix="todo-api-metrics-"))
            # prometheus_client looks for it when it is imported, in this process and in the workers, which inherit it.
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
            from server.telemetry.metrics import metrics_server

            try:
                stack.enter_context(
                    metrics_server(settings.metrics_host, settings.metrics_port, Path(folder))
                )
            except OSError as error:
                remedy = "set METRICS_HOST and METRICS_PORT to what is free"
                raise no_listening(settings.metrics_host, settings.metrics_port, error, remedy) from None
        yield


def _has_terminal() -> bool:
    with suppress(OSError):
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        return True
    return False


def _configuration(settings: Settings, app: ASGIApp | partial[ASGIApp]) -> uvicorn.Config:
    connections = Connections(settings.request_timeout, settings.keep_alive, settings.root_path)
    return connections.configuration(
        app,
        factory=isinstance(app, partial),
        workers=settings.web_concurrency,
        # A worker that is still being imported on a busy machine is not a dead one.
        timeout_worker_healthcheck=60,
        # A failure to start must stop the server, not leave it half alive.
        lifespan="on",
        log_config=logging_config(settings),
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
    )


def _announce(product: Product, settings: Settings) -> None:
    """At most eight lines on standard output; the last can be pasted into a shell."""
    address = address_on(settings.host, settings.port)
    click.echo(f"{product.name} {product.version} serves {address}")
    click.echo(f"  pages     {address}/docs/")
    click.echo(f"  contract  {address}/openapi.yaml")
    if settings.metrics_port:
        click.echo(f"  metrics   {address_on(settings.metrics_host, settings.metrics_port)}/metrics")
    if settings.database_url is None:
        click.echo(f"  database  a PostgreSQL of its own in {settings.data_dir.absolute()}")
    path, scope = _first_read(product)
    token = demo_token(settings, product.contract, scope)
    if token is None:
        click.echo(f"curl {quote(f'{address}/health/ready')}")
    else:
        click.echo("  identity  development mode; the command `token USER` prints tokens; with demo's:")
        click.echo(f"curl {quote(address + path)} -H 'Authorization: Bearer {token}'")


def _first_read(product: Product) -> tuple[str, str | None]:
    """The first path of the contract that a user can read without knowing anything more, and the scopes for it."""
    for operation in product.contract.operations.values():
        names = re.findall(r"\{(.*?)\}", operation.path)
        if operation.method == "GET" and operation.secured and names in ([], [operation.owner]):
            scopes = chain.from_iterable(operation.security[0].values())
            return address_of(operation, {}, **dict.fromkeys(names, DEMO_USER)), " ".join(scopes) or None
    return "/", None
