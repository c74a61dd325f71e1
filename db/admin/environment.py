"""How Alembic reaches a database: one transaction, one deployer at a time, no long wait for anybody's lock.

Every setting is local to the transaction, because behind PgBouncer in transaction mode a session's settings and
locks would stay with a server connection that serves others next.
"""

import warnings
from typing import Any

from alembic import context
from sqlalchemy import MetaData
from sqlalchemy.exc import SAWarning

from db.admin.migrate import connect

_SETTINGS = (
    # Citus otherwise changes shards over several connections at once, which do not see each other's part of a
    # transaction that holds more than one change of the schema.
    "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'",
    # A second deployer waits here until the first has finished; only then are the revisions read, so it finds
    # nothing left to do. The wait has a limit of its own, and no other limit may cut it short.
    "SET LOCAL statement_timeout TO 0",
    "SET LOCAL lock_timeout TO '10min'",
    "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('todo-api migrations'))",
    # A change of a table queues behind those who use it, and everybody else queues behind the change: so it
    # gives up soon, rather than stop the service. A migration of much data may raise the second limit.
    "SET LOCAL lock_timeout TO '5s'",
    "SET LOCAL statement_timeout TO '60s'",
    # Row level security binds the owner as well, so a change of data would silently touch nothing; this makes
    # it an error. Such a migration sets NO FORCE ROW LEVEL SECURITY first, and FORCE again at its end.
    "SET LOCAL row_security TO off",
)


def run_migrations(metadata: MetaData) -> None:
    """Runs what Alembic's command asks for; to be called by the `env.py` of a folder of migrations.

    Args:
        metadata: the tables as they should be after the newest migration.
    """
    if context.is_offline_mode():
        offline = {
            "dialect_name": "postgresql",
            "dialect_opts": {"paramstyle": "named"},
            "literal_binds": True,
        }
        _run(metadata, **offline)
    else:
        with connect(context.config.attributes["url"]) as connection:
            _run(metadata, connection=connection)


def _run(metadata: MetaData, **target: Any) -> None:
    context.configure(
        **target,
        target_metadata=metadata,
        process_revision_directives=_number,
        # The contract's limits are CHECK constraints, and their names hold their values (see db/models.py).
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction(), warnings.catch_warnings():
        # SQLAlchemy 2.1 and Alembic 1.20 warn of their own doing where they find a constraint that is NOT VALID.
        warnings.filterwarnings("ignore", "Can't validate argument", SAWarning)
        for setting in _SETTINGS:
            context.execute(setting)
        context.run_migrations()


def _number(migration: Any, _revision: Any, scripts: Any) -> None:
    """Numbers a new migration after the newest one, so that the files stand in their order."""
    for script in scripts:
        script.rev_id = f"{int(migration.script.get_current_head() or 0) + 1:04}"
