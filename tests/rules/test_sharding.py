"""The check of `make lint` that migrations and statements keep to what Citus allows."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Text, case, cast, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql import ClauseElement

from db.embedded.cluster import embedded_postgres
from db.migrations import migrations
from db.models import idempotency_keys, tasks, users
from lint import refused_forms, sharding
from openapi.contract import CONTRACT_FILE
from tests.support.clusters import run
from tests.support.contracts import project_with

KEYS = insert(idempotency_keys).values(user_id="u", key="k", fingerprint="f", task_id=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_postgres(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(scope="module")
def sharded(server: str) -> str:
    return sharding.create_sharded(server)


def test_our_own_migrations_take_their_way_for_citus(sharded: str) -> None:
    """Where there is an extension `citus` every table is distributed by its owner, and nothing there is forbidden."""
    distributed = (
        "SELECT relation::regclass::text, attname FROM stand_in.distributed JOIN pg_attribute ON attrelid = "
    )
    found = run(sharded, f"{distributed} relation AND attnum = attribute ORDER BY 1")

    assert [("idempotency_keys", "user_id"), ("tasks", "user_id"), ("users", "id")] == found
    assert [] == sharding.schema_faults(sharded)


@pytest.mark.parametrize(
    ("violation", "remedy", "fault"),
    [
        (
            *("CREATE TABLE notes (id int)", "DROP TABLE notes"),
            "the table notes is not distributed by its owner",
        ),
        (
            *("CREATE UNIQUE INDEX titles ON tasks (title)", "DROP INDEX titles"),
            "the unique key titles does not hold the owner",
        ),
        (
            *("CREATE UNIQUE INDEX titles ON tasks (title) INCLUDE (user_id)", "DROP INDEX titles"),
            "the unique key titles does not hold the owner",
        ),
        (
            "ALTER TABLE tasks DROP CONSTRAINT tasks_pkey, ADD CONSTRAINT tasks_pkey PRIMARY KEY (id)",
            "ALTER TABLE tasks DROP CONSTRAINT tasks_pkey, ADD CONSTRAINT tasks_pkey PRIMARY KEY (user_id, id)",
            "the unique key tasks_pkey does not hold the owner",
        ),
        (
            "ALTER TABLE tasks ADD CONSTRAINT named FOREIGN KEY (title) REFERENCES users (id)",
            "ALTER TABLE tasks DROP CONSTRAINT named",
            "the foreign key named does not hold the owner",
        ),
        (
            "CREATE TRIGGER touched BEFORE UPDATE ON tasks FOR EACH ROW "
            "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "DROP TRIGGER touched ON tasks",
            "tasks has the trigger touched",
        ),
        (
            "CREATE POLICY known ON tasks USING (user_id IN (SELECT id FROM users))",
            "DROP POLICY known ON tasks",
            "the policy known on tasks has a subselect",
        ),
        (
            "CREATE POLICY known ON tasks FOR INSERT WITH CHECK (user_id = (SELECT current_setting('app.user_id')))",
            "DROP POLICY known ON tasks",
            "the policy known on tasks has a subselect",
        ),
    ],
)
def test_what_citus_forbids_in_a_schema_is_found(
    sharded: str, violation: str, remedy: str, fault: str
) -> None:
    """A table, key, trigger or policy that Citus would refuse is reported by its name, and nothing else is."""
    run(sharded, violation)
    try:
        assert [fault] == sharding.schema_faults(sharded)
    finally:
        run(sharded, remedy)


WHERE = "where it changes rows"
ON_CONFLICT = "where ON CONFLICT changes rows"
ELSEWHERE = "takes a number from a sequence and reads a table, so it would take it on another machine"


def on_conflict(where: ColumnElement[bool] | None = None, **values: Any) -> ClauseElement:
    return KEYS.on_conflict_do_update(index_elements=["user_id", "key"], set_=values, where=where)


@pytest.mark.parametrize(
    ("statement", "faults"),
    [
        (
            update(tasks).values(updated_at=func.clock_timestamp()),
            [f"calls the volatile function clock_timestamp {WHERE}"],
        ),
        (
            select(
                update(tasks).values(title=cast(func.random(), Text)).returning(tasks.c.id).cte("changed")
            ),
            [f"calls the volatile function random {WHERE}"],
        ),
        (
            delete(tasks).where(tasks.c.created_at < func.clock_timestamp()),
            [f"calls the volatile function clock_timestamp {WHERE}"],
        ),
        (
            update(tasks).values(updated_at=tasks.c.updated_at + text("interval '1 day'")),
            [f"calls timestamptz_pl_interval, which depends on the session, with a column {WHERE}"],
        ),
        (
            update(tasks).values(updated_at=case((tasks.c.id == 1, func.now()), else_=tasks.c.updated_at)),
            [f"calls now within CASE {WHERE}"],
        ),
        (
            update(tasks).values(updated_at=func.coalesce(tasks.c.deleted_at, func.now())),
            [f"calls now within COALESCE {WHERE}"],
        ),
        (
            update(tasks).where(text("updated_at = ANY (ARRAY[now()])")),
            [f"calls now within an array {WHERE}"],
        ),
        (
            on_conflict(idempotency_keys.c.created_at < func.now(), fingerprint="f"),
            [f"calls now, which depends on the session, {ON_CONFLICT}"],
        ),
        (
            on_conflict(task_id=func.nextval(text("'tasks_id_seq'"))),
            [f"calls the volatile function nextval {ON_CONFLICT}"],
        ),
        (insert(tasks).from_select(["user_id", "title"], select(users.c.id, users.c.email)), [ELSEWHERE]),
        (insert(tasks).from_select(["user_id", "id"], select(users.c.id, text("1"))), []),
        (KEYS, []),
        (on_conflict(fingerprint="f"), []),
        (update(tasks).values(updated_at=func.now(), title="random() is 50% of a title"), []),
        (select(func.random(), func.coalesce(func.now())).where(tasks.c.title.like(text("'50%'"))), []),
    ],
)
def test_refused_forms_are_found(server: str, statement: ClauseElement, faults: list[str]) -> None:
    """What Citus refuses in a statement that changes rows is told with the function's name, and nothing else is."""
    if not run(server, "SELECT to_regclass('tasks')")[0][0]:
        migrations.upgrade(server)
    assert [f"Citus: it {fault}" for fault in faults] == list(
        refused_forms.form_faults(server, [("it", statement)])
    )


@pytest.mark.parametrize(
    ("message", "is_one"),
    [
        ("DROP TABLE tasks;", True),
        ("DO $a$ BEGIN EXECUTE 'SELECT 1; SELECT 2'; END $a$", True),
        ("COMMENT ON TABLE tasks IS 'it''s one; still' -- one; yes", True),
        ("ALTER TABLE tasks ENABLE ROW LEVEL SECURITY; ALTER TABLE tasks FORCE ROW LEVEL SECURITY", False),
    ],
)
def test_messages_of_several_commands_are_found(message: str, is_one: bool) -> None:
    """A semicolon between two commands counts; one in a quotation or a comment does not."""
    assert is_one == sharding.is_one_command(message)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("path", "old", "new", "line"),
    [
        (
            *("alembic/versions/0001_first_schema.py", "USING ({column} = pg_catalog"),
            "USING ((SELECT {column}) = pg_catalog",
            "Citus: the policy idempotency_keys_own on idempotency_keys has a subselect",
        ),
        (
            *("db/statements.py", "utc(func.now()) - utc(tasks", "utc(func.clock_timestamp()) - utc(tasks"),
            "Citus: db.statements.update_task(('description',), False) calls the volatile function clock_timestamp "
            "where it changes rows",
        ),
    ],
)
def test_make_lint_fails(tmp_path: Path, path: str, old: str, new: str, line: str) -> None:
    """What `make lint` runs ends with the status 1 and one line on a project with such a fault."""
    project = project_with(CONTRACT_FILE.read_text(encoding="utf-8"), tmp_path)
    text = (project / path).read_text(encoding="utf-8")
    assert old in text
    (project / path).write_text(text.replace(old, new), encoding="utf-8")
    command = [sys.executable, "-m", "lint"]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert (1, line) == (ended.returncode, ended.stderr.strip())
