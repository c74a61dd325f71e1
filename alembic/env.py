"""How Alembic reaches the database: one transaction, one deployer at a time, no long wait for anybody's lock.

Every setting is local to the transaction, because behind PgBouncer in transaction mode a session's settings and
locks would stay with a server connection that serves others next.
"""

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from alembic import context
from sqlalchemy.exc import SAWarning

from db.admin.migrate import connect
from db.models import metadata

SETTINGS = (
    # Citus otherwise changes shards over several connections at once, which do not see each other's part of a
    # transaction that holds more than one change of the schema.
    "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'",
    # A second deployer waits here until the first has finished; only then are the revisions read, so it finds
    # nothing left to do. The wait has a limit of its own, and no other limit may cut it short.
    "SET LOCAL statement_timeout TO 0",
    "SET LOCAL lock_timeout TO '10min'",
    "SELECT pg_advisory_xact_lock(hashtext('todo-api migrations'))",
    # A change of a table queues behind those who use it, and everybody else queues behind the change: so it
    # gives up soon, rather than stop the service. A migration of much data may raise the second limit.
    "SET LOCAL lock_timeout TO '5s'",
    "SET LOCAL statement_timeout TO '60s'",
    # Row level security binds the owner as well, so a change of data would silently touch nothing; this makes
    # it an error. Such a migration sets NO FORCE ROW LEVEL SECURITY first, and FORCE again at its end.
    "SET LOCAL row_security TO off",
)


def database_in_use() -> AbstractContextManager[str]:
    """The URL that db/admin/migrate.py gives; when the command `alembic` is run, that of the service's settings."""
    if "url" in context.config.attributes:
        return nullcontext(context.config.attributes["url"])
    from server.process.serve import database
    from server.settings import Settings

    return database(Settings.load())


def number(migration: Any, _revision: Any, scripts: Any) -> None:
    """Numbers a new migration after the newest one, so that the files stand in their order."""
    for script in scripts:
        script.rev_id = f"{int(migration.script.get_current_head() or 0) + 1:04}"


def run(**target: Any) -> None:
    """Runs what the command asks for, on a connection or, for `--sql`, as text for a dialect."""
    context.configure(
        **target,
        target_metadata=metadata,
        process_revision_directives=number,
        # The contract's limits are CHECK constraints, and their names hold their values (see db/models.py).
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction(), warnings.catch_warnings():
        # SQLAlchemy 2.1 and Alembic 1.20 warn of their own doing where they find a constraint that is NOT VALID.
        warnings.filterwarnings("ignore", "Can't validate argument", SAWarning)
        for setting in SETTINGS:
            context.execute(setting)
        context.run_migrations()


if context.is_offline_mode():
    run(dialect_name="postgresql", dialect_opts={"paramstyle": "named"}, literal_binds=True)
else:
    with database_in_use() as url, connect(url) as connection:
        run(connection=connection)
