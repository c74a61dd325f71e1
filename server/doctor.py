"""The checks of `todo-api doctor`: what a person should know before the service is blamed."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from db.embedded import EmbeddedPostgresError
from db.messages import Message
from db.migrate import MigrationError
from db.models import metadata
from db.pool import Pool
from db.tenant import Database
from db.url import normalise
from openapi.contract import contract
from openapi.document import ContractError
from openapi.errors import Failure
from openapi.validation import bind_handlers
from server.app import Service, find_handler
from server.identity import create_verifier
from server.jwks import JwksStore
from server.serve import StartError, ready_database
from server.settings import Settings, SettingsError

# Less is not worth a person's time; tokens may be 30 seconds off.
MOST_SECONDS_APART = 5

# As a request of a user who cannot exist, since no `sub` may hold a slash.
_AS_TENANT = """
SELECT todo_enter('/doctor');
SELECT current_setting('server_version') AS version,
       extract(epoch FROM clock_timestamp())::float AS time,
       (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS bypasses,
       (SELECT string_agg(name, ', ' ORDER BY name)
          FROM unnest(%(tables)s) AS name LEFT JOIN pg_class ON pg_class.oid = to_regclass(name)
         WHERE (relrowsecurity AND relforcerowsecurity) IS NOT TRUE) AS open_tables
"""


class Finding(NamedTuple):
    """One check: what was looked at, whether it is well, and a sentence that says what to do if it is not."""

    subject: str
    healthy: bool
    sentence: str


def examine() -> Iterator[Finding]:
    """Every check, in the order in which one needs another; what cannot be looked at for want of it is left out."""
    yield _contract()
    try:
        settings = Settings.load()
        create_verifier(settings)
    except SettingsError as error:
        yield from (Finding("settings", False, line) for line in str(error).splitlines())
        return
    yield Finding("settings", True, f"in order; tokens come from {_issuer(settings)}")
    if settings.auth_jwks_url:
        yield _keys(settings.auth_jwks_url)
    yield from _database(settings)


def _contract() -> Finding:
    try:
        # The database's address stands for none: nothing connects before the first request.
        operations = bind_handlers(contract(), find_handler, Service("postgresql://").caller)
    except ContractError as error:
        return Finding("contract", False, f"openapi.yaml: {error}")
    return Finding("contract", True, f"{len(operations)} operations, each with its handler")


def _issuer(settings: Settings) -> str:
    if settings.auth_jwks_url:
        return "the issuer of AUTH_JWKS_URL"
    return "`todo-api token`, in development mode" if settings.development else "whoever has AUTH_JWT_SECRET"


def _keys(url: str) -> Finding:
    keys = asyncio.run(JwksStore(url).refreshed())
    if keys is None:
        return Finding(
            "keys",
            False,
            "AUTH_JWKS_URL gives none that can be used: see that it answers this machine with 200 and a JWKS of "
            "Ed25519, P-256 or RSA keys (2048 bits or more)",
        )
    return Finding("keys", True, f"AUTH_JWKS_URL gives {keys.size} that can be used")


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        with ready_database(settings) as url:
            yield Finding("schema", True, "the one of this version")
            yield from _tenancy(url)
    except (EmbeddedPostgresError, MigrationError) as error:
        yield Finding("database", False, str(error))
    except StartError as error:
        yield Finding("schema", False, str(error))


async def _ask_as_tenant(url: str) -> dict[str, Any]:
    pool = Pool(normalise(url), size=1, queue=0)
    try:
        found: dict[str, Any]
        (found,) = await Database(pool).run(Message.of(_AS_TENANT), {"tables": list(metadata.tables)})
        return found
    finally:
        pool.close()


def _tenancy(url: str) -> Iterator[Finding]:
    asked_at = time.time()
    try:
        found = asyncio.run(_ask_as_tenant(url))
    except Failure as failure:
        yield Finding(
            "database",
            False,
            f"no request can enter the role todo_tenant ({failure.reason}): run `todo-api migrate`, or have an "
            "administrator GRANT todo_tenant to the login of DATABASE_URL",
        )
        return
    yield Finding("database", True, f"PostgreSQL {found['version']} answers, and requests run as todo_tenant")
    if found["bypasses"]:
        remedy = "have an administrator run ALTER ROLE todo_tenant NOSUPERUSER NOBYPASSRLS"
        yield Finding("role", False, f"todo_tenant bypasses row level security: {remedy}")
    else:
        yield Finding("role", True, "todo_tenant is bound by row level security")
    if found["open_tables"]:
        remedy = "have its owner run ALTER TABLE ... ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
        yield Finding("row level security", False, f"not in force on {found['open_tables']}: {remedy}")
    else:
        yield Finding("row level security", True, f"in force on {', '.join(metadata.tables)}")
    # The answer was made between the question and now.
    apart = max(asked_at - found["time"], found["time"] - time.time(), 0)
    if apart > MOST_SECONDS_APART:
        remedy = "let both machines take the time by NTP"
        yield Finding("clock", False, f"{apart:.0f} seconds apart from the database's: {remedy}")
    else:
        yield Finding("clock", True, f"within {MOST_SECONDS_APART} seconds of the database's")
