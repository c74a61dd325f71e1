"""`todo-api purge`: expired Idempotency-Keys go, everybody's, and nothing else can."""

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege

from db.admin.purge import BATCH, purge
from db.migrations import migrations
from tests.support.clusters import Cluster, run
from tests.support.running import SECRET, todo_api

PRODUCTION = {"AUTH_JWT_SECRET": SECRET.decode()}
ENTER = "SELECT todo_enter_purger();"


@pytest.fixture
def url(database_url: str) -> Iterator[str]:
    """A database of the test's own with the schema of this version."""
    with Cluster(database_url).database() as url:
        migrations.upgrade(url)
        yield url


def add_keys(url: str, user: str, age: str, count: int = 1) -> None:
    """Gives the user so many keys of this age, and a task that one of them made."""
    run(url, "INSERT INTO users VALUES (%s) ON CONFLICT DO NOTHING", user)
    run(
        url,
        "INSERT INTO tasks (user_id, title, created_at) VALUES (%s, 'A task', now() - interval '1 year')",
        user,
    )
    keys = "SELECT %s, gen_random_uuid()::text, 'fingerprint', 1, now() - %s::interval FROM generate_series(1, %s)"
    run(url, f"INSERT INTO idempotency_keys {keys}", user, age, count)


DROPPED = "6 expired Idempotency-Keys and 2 deleted tasks"
NOTHING = "0 expired Idempotency-Keys and 0 deleted tasks"


def add_deleted(url: str, user: str, age: str) -> None:
    """A task of the user that was deleted as long ago as `age`."""
    run(url, "INSERT INTO users (id) VALUES (%s) ON CONFLICT DO NOTHING", user)
    deleted = "INSERT INTO tasks (user_id, title, deleted_at) VALUES (%s, 'Deleted', now() - %s::interval)"
    run(url, deleted, user, age)


def counts(url: str) -> dict[str, int]:
    """How many keys each user has."""
    return dict(run(url, "SELECT user_id, count(*) FROM idempotency_keys GROUP BY 1"))


def test_expired_keys_go_and_nothing_else(url: str, tmp_path: Path) -> None:
    """The command drops every user's keys of 24 hours and tasks deleted 30 days ago, says how many, and no others."""
    for user in ("alice", "bob"):
        add_deleted(url, user, "30 days")
        add_deleted(url, user, "29 days 23 hours 59 minutes")
        add_keys(url, user, "24 hours", 3)
        add_keys(url, user, "23 hours 59 minutes", 2)
    outcomes = [todo_api("purge", cwd=tmp_path, DATABASE_URL=url, **PRODUCTION) for _ in range(2)]

    said = [(ended.returncode, ended.stdout, ended.stderr) for ended in outcomes]
    assert [
        (0, f"Dropped {n} expired Idempotency-Keys and {m} deleted tasks.\n", "") for n, m in ((6, 2), (0, 0))
    ] == said
    assert {"alice": 2, "bob": 2} == counts(url)
    assert [(6,)] == run(url, "SELECT count(*) FROM tasks")


def test_many_keys_go_in_batches(url: str) -> None:
    """More keys than one batch holds all go."""
    add_keys(url, "alice", "2 days", BATCH + 1)
    assert (BATCH + 1, 0) == purge(url)
    assert {} == counts(url)


@pytest.mark.parametrize("statement", ["DELETE FROM idempotency_keys", "TABLE idempotency_keys"])
@pytest.mark.parametrize("context", ["", "SET LOCAL app.user_id = 'alice';"])
def test_a_wrong_statement_reaches_expired_keys_only(url: str, statement: str, context: str) -> None:
    """To the role there are no keys but the expired ones, also when a statement forgets to say so or names a user."""
    add_keys(url, "alice", "1 day")
    add_keys(url, "alice", "1 hour")
    returning = " RETURNING *" if statement.startswith("DELETE") else ""

    assert 1 == len(run(url, f"{ENTER} {context} {statement}{returning}"))
    assert {"alice": 1 if returning else 2} == counts(url)


@pytest.mark.parametrize("statement", ["DELETE FROM tasks", "TABLE tasks"])
@pytest.mark.parametrize("context", ["", "SET LOCAL app.user_id = 'alice';"])
def test_a_wrong_statement_reaches_expired_tasks_only(url: str, statement: str, context: str) -> None:
    """To the role there are no tasks but those deleted 30 days ago, whatever the statement says."""
    add_deleted(url, "alice", "31 days")
    add_deleted(url, "alice", "1 day")
    run(url, "INSERT INTO tasks (user_id, title) VALUES ('alice', 'A task')")
    returning = " RETURNING *" if statement.startswith("DELETE") else ""

    assert 1 == len(run(url, f"{ENTER} {context} {statement}{returning}"))
    assert [(2 if returning else 3,)] == run(url, "SELECT count(*) FROM tasks")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tasks SET deleted_at = NULL",
        "INSERT INTO tasks (user_id, title) VALUES ('alice', 'A task')",
        "TABLE users",
        "UPDATE idempotency_keys SET created_at = now()",
        "INSERT INTO idempotency_keys VALUES ('alice', 'key', 'fingerprint', 1)",
        "SELECT nextval('tasks_id_seq')",
    ],
)
def test_the_role_may_do_nothing_else(url: str, statement: str) -> None:
    """The role that purges may not read users, nor write keys and tasks."""
    with pytest.raises(InsufficientPrivilege):
        run(url, f"{ENTER} {statement}")


def test_the_role_ends_with_the_message(url: str) -> None:
    """Nothing stays in a session that a pooler hands to others."""
    assert [("todo_purger",)] == run(url, f"{ENTER} SELECT current_user::text")
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(ENTER)
        cursor.execute("SELECT current_user::text, current_setting('lock_timeout')")
        assert ("postgres", "0") == cursor.fetchone()
    connection.close()


def test_a_login_that_may_not_enter_is_one_line(url: str, tmp_path: Path) -> None:
    """A login without the role is told what it needs; nothing is dropped."""
    add_keys(url, "alice", "2 days")
    refuse = "RAISE insufficient_privilege USING MESSAGE = 'permission denied to set role \"todo_purger\"'"
    body = f"LANGUAGE plpgsql AS $$ BEGIN {refuse}; END $$"
    run(url, f"CREATE OR REPLACE FUNCTION todo_enter_purger() RETURNS void {body}")
    ended = todo_api("purge", cwd=tmp_path, DATABASE_URL=url, **PRODUCTION)

    assert (1, "") == (ended.returncode, ended.stdout)
    assert ended.stderr.startswith("error: what has expired cannot be dropped (database: ")
    assert "GRANT todo_purger TO" in ended.stderr
    assert 1 == len(ended.stderr.splitlines())
    assert {"alice": 1} == counts(url)
