"""The databases that contestants are measured on: all in one cluster, each a fresh copy of one that was filled once."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg2
from sqlalchemy import make_url

from db.migrations import migrations

USERS = 100
TASKS_PER_USER = 200

# Rows as they might be: a title of some 30 characters, and every other task with a description of 96.
_INSERT_TASKS = """
INSERT INTO tasks (user_id, title, description, status, created_at, updated_at)
SELECT
    'user' || owner,
    'Task ' || number || ' of the user ' || owner,
    CASE WHEN number %% 2 = 0 THEN repeat(md5(number::text), 3) END,
    CASE WHEN number %% 3 = 0 THEN 'complete' ELSE 'incomplete' END,
    now() - number * interval '1 minute',
    now() - number * interval '1 minute'
FROM generate_series(%(first_user)s, %(last_user)s) AS owner, generate_series(1, %(tasks)s) AS number
ORDER BY owner, number
"""
_INSERT_USERS = """
INSERT INTO users (id) SELECT 'user' || owner FROM generate_series(%(first_user)s, %(last_user)s) AS owner
ON CONFLICT DO NOTHING
"""


class Databases:
    """Makes databases in a cluster and drops them again.

    Args:
        url: of any database of the cluster, for a login that may create databases and that row level security does
            not bind, such as the embedded PostgreSQL's.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)

    def url(self, name: str) -> str:
        """The URL of the cluster's database `name`."""
        return self._url.set(database=name).render_as_string(hide_password=False)

    @property
    def process(self) -> psutil.Process:
        """The process that has started PostgreSQL's others."""
        with closing(psycopg2.connect(self.url("postgres"))) as connection:
            return psutil.Process(connection.info.backend_pid).parent()

    @contextmanager
    def empty(self, name: str) -> Iterator[str]:
        """The URL of a database with the schema of this version and no rows, until the context ends."""
        with self._made(f"CREATE DATABASE {name}", name) as url:
            migrations.upgrade(url)
            yield url

    @contextmanager
    def filled(self, name: str, users: int = USERS, tasks: int = TASKS_PER_USER) -> Iterator[str]:
        """As `empty`, with `users` users of `tasks` tasks each: user1 has the tasks 1 to `tasks`, user2 the next."""
        with self.empty(name) as url:
            fill(url, 1, users, tasks)
            yield url

    @contextmanager
    def copy(self, of: str, name: str, row_level_security: bool) -> Iterator[str]:
        """The URL of a fresh copy of the database `of`, which nobody may be connected to.

        Args:
            row_level_security: without it the tables are the same, and only the policies do not bind.
        """
        with self._made(f"CREATE DATABASE {name} TEMPLATE {of}", name) as url:
            if not row_level_security:
                for table in ("users", "tasks", "idempotency_keys"):
                    execute(url, f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
                    execute(url, f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
            # So that no checkpoint of the copying falls into the measuring.
            execute(url, "CHECKPOINT")
            yield url

    @contextmanager
    def _made(self, statement: str, name: str) -> Iterator[str]:
        administration = self.url("postgres")
        drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
        execute(administration, drop)
        execute(administration, statement)
        try:
            yield self.url(name)
        finally:
            execute(administration, drop)


def fill(url: str, first_user: int, last_user: int, tasks: int) -> None:
    """Adds `tasks` tasks to each of the users of these numbers, and brings the planner's statistics up to date."""
    parameters = {"first_user": first_user, "last_user": last_user, "tasks": tasks}
    execute(url, _INSERT_USERS, parameters)
    execute(url, _INSERT_TASKS, parameters)
    execute(url, "VACUUM ANALYZE users, tasks")


def execute(url: str, statement: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """Runs one statement in autocommit and returns its rows."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []
