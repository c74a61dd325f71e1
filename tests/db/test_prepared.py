"""Prepared statements: each is named by its own text, and where one is not as it was left, the plain one is sent."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Integer, bindparam, column, func, literal_column, select, table, text
from sqlalchemy.sql.selectable import ReturnsRows

from db import statements
from db.admin import isolation
from db.driver.connection import Connection
from db.driver.database import DEADLINE_SECONDS, MARGIN_SECONDS, Database, Tenant
from db.driver.faults import is_too_late
from db.driver.messages import STATEMENT_SECONDS, as_tenant
from db.driver.names import Names
from db.driver.opening import open_connection
from db.driver.pool import Pool
from db.driver.url import libpq_parameters
from db.models import NAMES, metadata, tasks
from openapi.bridge.failures import InternalError
from tests.support.clusters import run
from tests.support.played import played
from tests.support.pools import pool_of

CREATE = statements.create_task(("title",))


def tenant_on(pool: Pool, user: str) -> Tenant:
    """The user's own view of the database, as the service uses it."""
    return Tenant(Database(pool, NAMES, register=statements.register()), user, {"email": None})


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[Pool, Connection, str]]:
    """A pool of one connection, that connection and a user who has one task."""
    async with pool_of(url) as pool:
        user = f"prepared-{uuid.uuid4()}"
        await tenant_on(pool, user).fetch(CREATE, title="A task")
        connection = await pool.acquire(user, inf)
        pool.release(connection, user)
        yield pool, connection, user


async def prepared_in(connection: Connection) -> set[str]:
    """The names of what is prepared in the session behind the connection."""
    return {str(name) for (name,) in await connection.run("SELECT name FROM pg_prepared_statements", {})}


async def titles_of(pool: Pool, user: str) -> list[str]:
    """The titles of the user's tasks, the newest first."""
    statement = select(tasks.c.title).order_by(tasks.c.id.desc())
    return [task["title"] for task in await tenant_on(pool, user).fetch(statement)]


def test_a_name_is_a_digest_of_the_text() -> None:
    """Two statements that differ in anything have two names, and the same statement always has the same one."""
    one, other = as_tenant(select(tasks.c.id), NAMES), as_tenant(select(tasks.c.id, tasks.c.title), NAMES)
    assert set(one.prepared) != set(other.prepared)
    as_tenant.cache_clear()
    assert one.prepared == as_tenant(select(tasks.c.id), NAMES).prepared


@played
async def test_functions_of_postgresql_s_and_what_only_looks_like_one(database_url: str) -> None:
    """A statement calls PostgreSQL's own function, and may use what the grammar has in the form of a function."""
    two = literal_column("2", Integer)
    asked = {
        "trim": func.trim(text("' a '")),
        "least": func.least(two, func.log10(text("10"))),
        "any": two == func.any(func.array(select(two).scalar_subquery())),
        "row": func.row(two, two) > func.row(two, text("1")),
    }
    statement = select(*(value.label(name) for name, value in asked.items()))
    assert 1 == as_tenant(statement, NAMES).plain.count("pg_catalog.")
    assert "pg_catalog.log10(" in as_tenant(statement, NAMES).plain
    async with connected(database_url) as (pool, _, user):
        assert {"trim": "a", "least": 1, "any": True, "row": True} == await tenant_on(pool, user).fetch_one(
            statement
        )


def test_a_session_s_number_is_never_cut_off() -> None:
    """However long a service's name is, PostgreSQL keeps all of a statement's name with the number of the session."""
    longest = [f"{name}_{2**62}" for name in as_tenant(statements.get_task(), Names("s" * 40)).prepared]
    assert all(len(name) <= 63 for name in longest)


async def change_all(pool: Pool, user: str) -> Any:
    """What changes of every kind answer, each by whatever form of its message the connection takes."""
    tenant = tenant_on(pool, user)
    (task,) = await tenant.fetch(CREATE, title="A task")
    changed = [
        await tenant.fetch_one(statements.set_status(False), id=task["id"], status=status)
        for status in ("complete", "incomplete")
    ]
    deleted = await tenant.fetch(statements.delete_tasks(), status=["incomplete"])
    return [task["status"] for task in changed], deleted


CHANGED = ["complete", "incomplete"], [{"deleted": 2}]


@played
async def test_only_a_login_may_enter(own_url: str) -> None:
    """The function that enters is called as the login, also in a session that stays in the tenant's role, which may
    have no right to it."""
    run(own_url, "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC")
    async with connected(own_url) as (pool, _, user):
        assert CHANGED == await change_all(pool, user)


@pytest.mark.parametrize("prepares", [True, False])
@played
async def test_a_function_of_the_same_name_is_never_called(own_url: str, prepares: bool) -> None:
    """What another login has once made in the schema, with the names of our functions, takes none of our calls."""
    body = "BEGIN RAISE division_by_zero; END"
    for function, answer in (
        ("todo_enter(text)", "void"),
        ("todo_enter(text, text)", "void"),
        ("todo_in_time(text)", "boolean"),
        ("todo_next_ordinal(text, text, int)", "int"),
        ("todo_next_ordinal(varchar, text, int)", "int"),
    ):
        made = f"CREATE OR REPLACE FUNCTION {function} RETURNS {answer}"
        run(own_url, f"{made} LANGUAGE plpgsql AS '{body}'")
    async with connected(own_url) as (pool, connection, user):
        connection.prepares = prepares
        assert CHANGED == await change_all(pool, user)
    await asyncio.to_thread(isolation.require, own_url, metadata, NAMES)


@played
async def test_a_session_whose_schema_cannot_be_told_is_shared(database_url: str) -> None:
    """Where PostgreSQL's own schema comes first in the path, as in a session that was ours before, nothing stays."""
    parameters = libpq_parameters(f"{database_url}&options=-csearch_path%3Dpg_catalog,public")
    with closing(await open_connection(parameters)) as connection:
        assert 0 == connection.session


@played
async def test_a_statement_is_prepared_once(database_url: str) -> None:
    """What a connection has run before is executed by name."""
    async with connected(database_url) as (pool, connection, user):
        seen = [await titles_of(pool, user) for _ in range(3)]
        names = {f"{name}_{connection.session}" for name in connection.prepared}
        assert (set(), 3 * [["A task"]]) == (await prepared_in(connection) ^ names, seen)


async def _forget(connection: Connection) -> None:
    await connection.run("DEALLOCATE ALL", {})


async def _find_prepared(connection: Connection) -> None:
    connection.prepared.clear()


@pytest.mark.parametrize("meddle", [_forget, _find_prepared], ids=["gone", "there already"])
@played
async def test_a_session_that_is_not_as_it_was_left(
    database_url: str, meddle: Callable[[Connection], Awaitable[None]]
) -> None:
    """Behind a pooler a statement may be gone or there already: the answer is right, and none is prepared again."""
    async with connected(database_url) as (pool, connection, user):
        before = await titles_of(pool, user)
        await meddle(connection)
        after = [await titles_of(pool, user) for _ in range(2)]
        assert (3 * [["A task"]], False) == ([before, *after], connection.prepares)


@played
async def test_a_change_that_meets_such_a_session_is_made_once(database_url: str) -> None:
    """The error comes before anything is done, so a creation that is sent again makes one task."""
    async with connected(database_url) as (pool, connection, user):
        await _forget(connection)
        await tenant_on(pool, user).fetch(CREATE, title="Another")
        assert ["Another", "A task"] == await titles_of(pool, user)


@played
async def test_what_a_migration_has_changed(own_url: str) -> None:
    """A statement that answers other types than it was prepared for is sent plain, and its connection is given up."""
    kept = select(column("title")).select_from(table("kept"))
    run(own_url, "CREATE TABLE kept AS SELECT 'milk' AS title; GRANT SELECT ON kept TO todo_tenant")
    async with connected(own_url) as (pool, connection, user):
        tenant = tenant_on(pool, user)
        before = await tenant.fetch(kept)
        run(own_url, "ALTER TABLE kept ALTER COLUMN title TYPE varchar")
        after = [await tenant.fetch(kept) for _ in range(2)]
        assert (3 * [[{"title": "milk"}]], False) == ([before, *after], connection.is_open)


@pytest.mark.parametrize("name", ["alice", "o'hara", r"back\slash", "50 % '; RESET ROLE; --", "名"])
@played
async def test_what_only_reads_enters_by_settings(database_url: str, name: str) -> None:
    """On a session of its own, which stays in the tenant's role, a prepared read enters the user without the function,
    and leaves with its end."""
    shown = [
        func.current_setting(text("'app.user_id'"), text("true")).label("user"),
        literal_column("current_user::text"),
    ]
    message = as_tenant(select(*shown), NAMES)
    async with connected(database_url) as (_, connection, _user):
        preparing = f"{message.owning}; {message.preparing(connection.prepared)}"
        await connection.run(connection.named(preparing), {"_schema": connection.own_schema})
        entered = await connection.run(connection.named(message.direct), {"tenant": name})
        left = await connection.run(message.plain.split("; ")[1], {})
        assert [(name, "todo_tenant"), ("", "todo_tenant")] == [*entered, *left]


@played
async def test_a_session_is_our_own_once_a_message_has_succeeded(database_url: str) -> None:
    """What is prepared outlives a message that fails, and the role does not: such a session is given up."""
    divisor = bindparam("divisor", type_=Integer)
    divided = select(literal_column("current_user::text").label("role"), (1 / divisor).label("one"))
    async with connected(database_url) as (pool, connection, user):
        connection.close()
        with pytest.raises(InternalError):
            await tenant_on(pool, user).fetch(divided, divisor=0)
        assert [{"role": "todo_tenant", "one": 1}] == await tenant_on(pool, user).fetch(divided, divisor=1)


@pytest.mark.parametrize("meddle", ["SET ROLE pg_monitor", "SET search_path TO pg_temp"])
@played
async def test_a_session_that_finds_nothing_any_more_is_given_up(database_url: str, meddle: str) -> None:
    """A session whose role may nothing, or whose path leads nowhere, fails one message; the next has another one."""
    async with connected(database_url) as (pool, connection, user):
        before = await titles_of(pool, user)
        await connection.run(meddle, {})
        with pytest.raises(InternalError):
            await titles_of(pool, user)
        assert 2 * [["A task"]] == [before, await titles_of(pool, user)]


@pytest.mark.parametrize(
    ("statement", "left"),
    [
        (CREATE, ["In time", "To prepare it", "A task"]),
        (statements.update_task(("title",), is_conditional=False), ["In time"]),
        (statements.update_task(("title",), is_conditional=True), ["In time"]),
    ],
    ids=["create", "update", "update-if"],
)
@played
async def test_a_change_by_settings_comes_in_time_or_not_at_all(
    database_url: str, statement: ReturnsRows, left: list[str]
) -> None:
    """What changes a task enters by settings too, since its statement refuses to run after its time."""
    message = as_tenant(statement, NAMES)
    async with connected(database_url) as (pool, connection, user):
        tenant = tenant_on(pool, user)
        (task,) = await tenant.fetch(select(tasks.c.id))
        anyhow = {**task, "versions": None, "unwanted": None}
        await tenant.fetch(statement, **anyhow, title="To prepare it")
        now, minute = datetime.now(UTC), timedelta(minutes=1)
        values = {**anyhow, "tenant": user, "title": "In time", "not_after": now + minute}
        await connection.run(connection.named(message.direct), values)
        late = {**values, "title": "Too late", "not_after": now - minute}
        with pytest.raises(psycopg2.Error) as refused:
            await connection.run(connection.named(message.direct), late)
        assert is_too_late(refused.value)
        assert left == await titles_of(pool, user)


@played
async def test_a_change_that_came_in_time_may_wait_for_its_row(database_url: str) -> None:
    """What another change holds beyond that time is changed when it is free, though PostgreSQL looks at it again."""
    update = statements.update_task(("title",), is_conditional=False)
    message = as_tenant(update, NAMES)
    async with connected(database_url) as (pool, connection, user):
        tenant = tenant_on(pool, user)
        (task,) = await tenant.fetch(select(tasks.c.id))
        await tenant.fetch(update, **task, title="To prepare it")
        with closing(psycopg2.connect(database_url)) as other:
            other.cursor().execute("UPDATE tasks SET title = 'Held' WHERE id = %(id)s", task)
            until = datetime.now(UTC) + timedelta(seconds=1.5)
            values = {**task, "tenant": user, "title": "Waited", "not_after": until}
            changing = asyncio.create_task(connection.run(connection.named(message.direct), values))
            await asyncio.sleep(2)
            other.commit()
        assert ["Waited"] == [dict(zip(message.columns, row, strict=True))["title"] for row in await changing]


@played
async def test_a_change_by_settings_is_over_in_time(database_url: str) -> None:
    """It has to begin so early that the session's limit ends it before the service gives up; what does not refuse to
    be late never enters so."""
    async with connected(database_url) as (pool, connection, user):
        await tenant_on(pool, user).fetch(CREATE, title="Again")
        asked = "SELECT query, now() FROM pg_stat_activity WHERE pid = %s"
        ((text, now),) = await asyncio.to_thread(run, database_url, asked, connection.process)
    assert text.startswith("SET LOCAL app.user_id")
    (not_after,) = map(datetime.fromisoformat, re.findall(r"'(\d{4}-[^']*)'", text))
    assert not_after + timedelta(seconds=STATEMENT_SECONDS + MARGIN_SECONDS) <= now + timedelta(
        seconds=DEADLINE_SECONDS
    )
    assert "" == as_tenant(statements.delete_tasks(), NAMES).direct


@played
async def test_a_read_by_settings_ends_in_time(database_url: str) -> None:
    """What enters without the function is ended by the limit of the session."""
    async with connected(database_url) as (_, connection, _user):
        assert connection.session
        assert [(f"{STATEMENT_SECONDS * 1000:.0f}ms",)] == await connection.run("SHOW statement_timeout", {})


@played
async def test_prepared_for_one_user_executed_for_another(database_url: str) -> None:
    """What is prepared while one user is entered shows the next one no row but their own."""
    async with connected(database_url) as (pool, connection, user):
        forgetful = select(tasks.c.user_id)
        seen = [await tenant_on(pool, name).fetch(forgetful) for name in (user, "nobody", user, "nobody")]
        names = {f"{name}_{connection.session}" for name in as_tenant(forgetful, NAMES).prepared}
        assert names <= await prepared_in(connection)
    assert [[{"user_id": user}], [], [{"user_id": user}], []] == seen
