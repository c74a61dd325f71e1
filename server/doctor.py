"""The checks of `todo-api doctor`: what a person should know before the service is blamed."""

import asyncio
import time
from collections.abc import Iterator
from typing import NamedTuple

from starlette.routing import Router

from db.admin.deployment import describe
from db.admin.isolation import IsolationError, isolation_of
from db.admin.migrate import MigrationError
from db.driver.ownership import owners
from db.embedded.programs import EmbeddedPostgresError
from db.tables import Tables
from openapi.bridge.document.places import ContractError
from server.advice import warnings
from server.app import serve_contract
from server.identity.issuer import IssuerClient, IssuerError
from server.identity.keys import MIN_RSA_BITS, JsonWebKeySet
from server.identity.verifier import create_verifier
from server.process.listening import StartError
from server.process.serve import ready_database
from server.product import LoadProduct, Product
from server.settings import Settings, SettingsError

# Less is not worth a person's time; tokens may be 30 seconds off.
MOST_SECONDS_APART = 5


class Finding(NamedTuple):
    """One check: what was looked at, whether it is well, and a sentence that says what to do if it is not.

    A warning is about what need not be a fault.
    """

    subject: str
    healthy: bool
    sentence: str
    is_warning: bool = False


def examine(load: LoadProduct) -> Iterator[Finding]:
    """Every check, in the order in which one needs another; what cannot be looked at for want of it is left out."""
    yield _contract(load)
    try:
        settings = Settings.load()
        create_verifier(settings, load().contract)
    except SettingsError as error:
        yield from (Finding("settings", False, line) for line in str(error).splitlines())
        return
    except ContractError:
        return
    yield Finding("settings", True, f"in order; tokens come from {_source(settings)}")
    yield from (Finding("settings", False, line, is_warning=True) for line in warnings(settings))
    if settings.source_of_keys:
        yield _keys(IssuerClient(settings.auth_jwks_url, settings.auth_issuer))
    yield from _database(load(), settings)


def _contract(load: LoadProduct) -> Finding:
    try:
        # Nothing is called before the first request, so it does not matter what stands here.
        serve_contract(load(), lambda claims: claims, dict, beyond=Router())
    except ContractError as error:
        return Finding("contract", False, f"openapi.yaml: {error}")
    return Finding("contract", True, f"{len(load().contract.operations)} operations, each with its handler")


def _source(settings: Settings) -> str:
    if settings.source_of_keys:
        return f"the issuer of {settings.source_of_keys}"
    return (
        "the command `token`, in development mode" if settings.development else "whoever has AUTH_JWT_SECRET"
    )


def _keys(issuer: IssuerClient) -> Finding:
    try:
        keys = JsonWebKeySet(asyncio.run(issuer.key_set()))
    except (IssuerError, ValueError) as error:
        return Finding("keys", False, f"the issuer's keys cannot be had: {error}")
    if keys.size == 0:
        return Finding(
            "keys",
            False,
            "the issuer publishes none that can be used: it must sign with Ed25519, P-256, P-384, P-521 or RSA keys of "
            f"{MIN_RSA_BITS} bits or more",
        )
    return Finding("keys", True, f"the issuer publishes {keys.size} that can be used")


def _database(product: Product, settings: Settings) -> Iterator[Finding]:
    try:
        with ready_database(product, settings) as url:
            yield Finding("schema", True, "the one of this version")
            yield from _isolation(product.tables, url)
            deployment = describe(url)
            yield Finding("deployment", not deployment.is_warning, deployment.kind, deployment.is_warning)
            yield Finding("log", True, deployment.log)
    except (EmbeddedPostgresError, MigrationError) as error:
        yield Finding("database", False, str(error))
    except StartError as error:
        yield Finding("schema", False, str(error))


def _owned(tables: Tables) -> str:
    owned = owners(tables.metadata)
    names = [table.name for table in tables.metadata.tables.values() if table in owned]
    return ", ".join(names) or "no table, since all are shared"


def _isolation(tables: Tables, url: str) -> Iterator[Finding]:
    asked_at = time.time()
    try:
        found = isolation_of(url, tables.metadata, tables.names)
    except IsolationError as error:
        yield Finding("database", False, str(error))
        return
    yield Finding(
        "database", True, f"PostgreSQL {found.version} answers, and requests can enter {tables.names.tenant}"
    )
    in_order = {
        "role": f"{tables.names.tenant} is bound by row level security",
        "row level security": f"in force on {_owned(tables)}",
        "rows": "requests can read every table, on every machine that has a part of it",
        "search path": "nobody else may create what requests would run",
    }
    for subject, sentence in in_order.items():
        yield Finding(subject, subject not in found.faults, found.faults.get(subject, sentence))
    # The answer was made between the question and now.
    apart = max(asked_at - found.time, found.time - time.time(), 0)
    if apart > MOST_SECONDS_APART:
        remedy = "let both machines take the time by NTP"
        yield Finding("clock", False, f"{apart:.0f} seconds apart from the database's: {remedy}")
    else:
        yield Finding("clock", True, f"within {MOST_SECONDS_APART} seconds of the database's")
