"""The check of `make lint` that migrations and statements keep to what Citus allows."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, func, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql import ClauseElement

from db.embedded.cluster import embedded_postgres
from db.models import idempotency_keys, tasks
from lint import sharding
from openapi.contract import CONTRACT_FILE
from tests.support.clusters import run
from tests.support.contracts import project_with

KEYS = insert(idempotency_keys).values(
    user_id="u", key="k", fingerprint="f", task_id=func.nextval("tasks_id_seq")
)
VOLATILE = frozenset({"clock_timestamp", "random", "nextval", "gen_random_uuid"})


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
    """A table, key, trigger or policy that Citus would refuse is told by its name, and nothing else is."""
    run(sharded, violation)
    try:
        assert [fault] == sharding.schema_faults(sharded)
    finally:
        run(sharded, remedy)


@pytest.mark.parametrize(
    ("statement", "calls"),
    [
        (update(tasks).values(updated_at=func.clock_timestamp()), ["clock_timestamp"]),
        (update(tasks).values(title=text("gen_random_uuid()")), ["gen_random_uuid"]),
        (update(tasks).values(title="x").where(func.random() < literal_column("random()")), ["random"]),
        (delete(tasks).where(tasks.c.created_at < func.clock_timestamp()), ["clock_timestamp"]),
        (select(update(tasks).values(title=func.random()).returning(tasks.c.id).cte("c")), ["random"]),
        (
            KEYS.on_conflict_do_update(
                index_elements=["user_id", "key"], set_={"task_id": func.nextval("s")}
            ),
            ["nextval"],
        ),
        (KEYS, []),
        (KEYS.on_conflict_do_update(index_elements=["user_id", "key"], set_={"fingerprint": "f"}), []),
        (update(tasks).values(updated_at=func.now(), title="random() is a title"), []),
        (select(func.random()), []),
    ],
)
def test_volatile_functions_in_changes_are_found(statement: ClauseElement, calls: list[str]) -> None:
    """A function that answers otherwise each time is told where rows are changed, and only there."""
    assert calls == sharding.volatile_calls(statement, VOLATILE)


def test_volatile_is_what_the_database_says(server: str) -> None:
    """The names come from PostgreSQL's catalogue; those of the transaction's start are not among them."""
    assert sharding.volatile_functions(server) >= VOLATILE
    assert {"now", "timezone"}.isdisjoint(sharding.volatile_functions(server))


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
            *("db/statements.py", "func.greatest(func.now(),", "func.greatest(func.clock_timestamp(),"),
            "Citus: db.statements.update_task(('description',)) calls the volatile function clock_timestamp "
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
