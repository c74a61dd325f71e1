"""The check of `make lint` that no statement forgets its owner and nothing goes around `db/driver/connection.py`."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import Text, and_, bindparam, delete, exists, func, literal_column, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql import ClauseElement

from db import statements
from db.models import idempotency_keys, tasks, users
from lint import scoping
from openapi.contract import CONTRACT_FILE
from tests.support.contracts import project_with
from tests.support.running import PROJECT

TENANT = bindparam("tenant", type_=Text)
OWN = tasks.c.user_id == TENANT
THIS = tasks.c.id == bindparam("id")
ALIAS = tasks.alias("other")
KEYS = insert(idempotency_keys).values(user_id=TENANT, key="k", fingerprint="f", task_id=1)


def test_our_own_statements_and_modules_are_in_order() -> None:
    """Every statement that `db.statements` can make is bound to its owner, and nothing else talks to the database."""
    assert [] == list(scoping.faults(statements))
    calls = [call for call, _ in scoping.statements(statements)]
    public = {name: value for name, value in vars(statements).items() if callable(value) and name[0] != "_"}
    assert {name for name, value in public.items() if value.__module__ == "db.statements"} == {
        call.partition("(")[0] for call in calls
    }


@pytest.mark.parametrize(
    "statement",
    [
        select(tasks.c.id),
        select(tasks.c.id).where(THIS),
        select(tasks.c.id).where(or_(OWN, THIS)),
        select(tasks.c.id).where(~OWN),
        select(tasks.c.id).where(tasks.c.user_id != TENANT),
        select(tasks.c.id).where(tasks.c.user_id == bindparam("other")),
        select(tasks.c.id).where(tasks.c.user_id == tasks.c.user_id),
        select(tasks.c.id).where(tasks.c.title == TENANT),
        select(ALIAS.c.id).select_from(tasks, ALIAS).where(OWN),
        select(tasks.c.id).join(users, users.c.id == tasks.c.user_id).where(OWN),
        select(tasks.c.id).where(OWN).union_all(select(tasks.c.id)),
        select(select(tasks.c.id).cte("inner")),
        select(tasks.c.id).where(OWN, exists(select(users.c.id))),
        select(select(func.count(tasks.c.id)).scalar_subquery()),
        select(text("1")).select_from(text("tasks")),
        select(literal_column("(SELECT count(*) FROM users)")),
        update(tasks).values(title="x").where(THIS),
        update(tasks).values(user_id=bindparam("other")).where(OWN),
        select(update(tasks).values(title="x").returning(tasks.c.id).cte("changed")),
        delete(tasks),
        delete(tasks).where(or_(and_(OWN, THIS), THIS)),
        insert(tasks).values(title="x"),
        insert(tasks).values(user_id=bindparam("other"), title="x"),
        insert(tasks).from_select(["user_id", "title"], select(bindparam("other"), bindparam("title"))),
        insert(tasks).values(user_id=TENANT).add_cte(insert(users).values(id="x").cte("registered")),
        KEYS.on_conflict_do_update(index_elements=["key"], set_={"fingerprint": "f"}),
    ],
)
@pytest.mark.filterwarnings("ignore:Column 'tasks.user_id' is marked as a member of the primary key")
def test_a_statement_that_forgets_its_owner_is_found(statement: ClauseElement) -> None:
    """A read, change or insertion that is not bound to `:tenant`, wherever in the statement it stands, is a fault."""
    assert list(scoping.unscoped(statement))


@pytest.mark.parametrize(
    "statement",
    [
        select(tasks.c.id).where(THIS, OWN),
        select(tasks.c.id).where(and_(THIS, and_(OWN, tasks.c.title == "x"))),
        select(ALIAS.c.id).where(ALIAS.c.user_id == TENANT),
        update(tasks).values(title="x").where(OWN),
        delete(tasks).where(OWN),
        KEYS.on_conflict_do_update(index_elements=["user_id", "key"], set_={"fingerprint": "f"}),
    ],
)
def test_a_statement_that_names_its_owner_passes(statement: ClauseElement) -> None:
    """What is bound to `:tenant` by a condition that always holds is in order."""
    assert [] == list(scoping.unscoped(statement))


def test_a_statement_that_cannot_be_made_is_told() -> None:
    """A parameter that does not say what it can be is refused, so that no statement goes unseen."""
    module = ModuleType("made")

    def find(order: str, fields: Sequence[str]) -> ClauseElement:
        return select(tasks.c.id)

    find.__module__ = "made"
    module.__dict__["find"] = find
    with pytest.raises(TypeError, match=r"^find: .*str"):
        list(scoping.statements(module))


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("handlers/tasks.py", "engine.raw_connection()", "raw_connection"),
        ("handlers/tasks.py", "run = connection.execute", "execute"),
        ("server/app.py", "from psycopg2 import connect\nconnect('')", "connect"),
        ("db/statements.py", "with engine.begin() as c: pass", "begin"),
        ("db/admin/migrate.py", "connection.execute(text('SELECT 1'))", "execute"),
        ("db/tenant.py", "psycopg2.connect('')", "connect"),
    ],
)
def test_another_way_into_the_database_is_found(path: str, source: str, fault: str) -> None:
    """A connection opened, or SQL run, anywhere but in `db/driver/connection.py` is a fault with its place."""
    (sentence,) = scoping.foreign_access(path, source)
    assert f"{path}:{source.count(chr(10)) + 1}: {fault} is for db/driver/connection.py alone" == sentence


@pytest.mark.parametrize(
    ("path", "old", "new", "line"),
    [
        (
            *("db/statements.py", "select(*_columns).where(_this)", "select(*_columns)"),
            "db.statements.get_task() reads tasks without user_id = :tenant",
        ),
        (
            *("handlers/health.py", "    await database.ping()", "    database.raw_connection()"),
            "handlers/health.py:15: raw_connection is for db/driver/connection.py alone",
        ),
    ],
)
def test_make_lint_fails(tmp_path: Path, path: str, old: str, new: str, line: str) -> None:
    """What `make lint` runs ends with the status 1 and one line on a project with such a fault."""
    project = project_with(CONTRACT_FILE.read_text(encoding="utf-8"), tmp_path)
    text = (project / path).read_text(encoding="utf-8")
    assert old in text
    (project / path).write_text(text.replace(old, new), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "lint"], cwd=project, capture_output=True, text=True, timeout=120
    )
    assert (1, [line]) == (ended.returncode, ended.stderr.splitlines()[-1:])


@pytest.mark.parametrize("module", ["psycopg2", "sqlalchemy"])
@pytest.mark.parametrize("folder", ["server", "handlers", "openapi"])
def test_importing_the_driver_elsewhere_fails_lint(tmp_path: Path, folder: str, module: str) -> None:
    """A module outside of `db` that imports the driver or SQLAlchemy breaks the contract of import-linter."""
    for package in ("server", "handlers", "db", "openapi"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "db" / "own.py").write_text(f"import {module}\n")
    (tmp_path / "pyproject.toml").write_text((PROJECT / "pyproject.toml").read_text())

    def lint() -> int:
        command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60).returncode

    assert 0 == lint()
    (tmp_path / folder / "wrong.py").write_text(f"import {module}\n")
    assert 1 == lint()
