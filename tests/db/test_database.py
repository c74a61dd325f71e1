"""How a user's messages are run: until when, by which clock, and what is made for the user before."""

import asyncio

import pytest
from sqlalchemy import MetaData, literal_column, select

from db import statements
from db.driver.connection import Connection
from db.driver.database import MARGIN_SECONDS, SLOW_DEADLINE_SECONDS, Database, Tenant
from db.driver.messages import Message
from db.driver.ownership import own_row
from db.driver.pool import Pool
from db.models import NAMES, tasks
from openapi.bridge.failures import Unavailable
from tests.support.clusters import run
from tests.support.database import open_transaction, wait_for_waiting
from tests.support.played import played
from tests.support.pools import later, pool_of
from tests.support.running import wait_until

CREATE = statements.create_task(("title",))
MINE = select(tasks.c.title)
TIME_LEFT = Message("SELECT date_part('epoch', %(not_after)s - clock_timestamp()) AS seconds")
ENTER_LATE = Message(f"SELECT pg_sleep(0.3); SELECT {NAMES.enter}('late', %(not_after)s)")
AN_HOUR_AGO = "SELECT date_part('epoch', clock_timestamp()) - 3600, NULL"


async def connection_of(pool: Pool, clock: str) -> Connection:
    """The connection of a pool of one, which takes what this statement answers for the database's time."""
    connection = await pool.acquire(None, later())
    await connection.learn_clock(later(), clock)
    pool.release(connection, None)
    return connection


@played
async def test_a_database_without_owned_tables_is_ready(own_url: str) -> None:
    """Where no table has an owner, and nothing can be read as a tenant, a database that answers is ready; what was
    opened for it is closed at the end."""
    sessions = "SELECT pid FROM pg_stat_activity WHERE application_name = 'todo-api' AND datname = current_database()"
    async with pool_of(own_url) as pool:
        database = Database(pool, NAMES, probe=own_row(MetaData()))
        await database.ping()
        await database.run(TIME_LEFT, {})
        assert 2 == len(run(own_url, sessions))
        database.close()
        wait_until(lambda: run(own_url, sessions) == [])
    async with pool_of("postgresql://nobody@127.0.0.1:1/none") as pool:
        with pytest.raises(Unavailable, match="readiness"):
            await Database(pool, NAMES).ping()


@played
async def test_a_slow_statement_has_less_time(database_url: str) -> None:
    """A statement is run within the deadline, and one that is marked as slow within a shorter one."""
    async with pool_of(database_url) as pool:
        database = Database(pool, NAMES, deadline=100)
        slow, other = [
            (await database.run(TIME_LEFT._replace(slow=slow), {}))[0]["seconds"] for slow in (True, False)
        ]
    assert slow <= SLOW_DEADLINE_SECONDS - MARGIN_SECONDS < other <= 100 - MARGIN_SECONDS


@played
async def test_a_clock_that_was_set(database_url: str, user: str) -> None:
    """When the database's clock was set forward, its time is asked again and the change is made, once."""
    async with pool_of(database_url) as pool:
        await connection_of(pool, AN_HOUR_AGO)
        tenant = Tenant(Database(pool, NAMES, register=statements.register()), user, {"email": None})
        await tenant.fetch(CREATE, title="A task")
        assert [{"title": "A task"}] == await tenant.fetch(MINE)


@played
async def test_what_is_sent_again_has_the_role_too(database_url: str, user: str) -> None:
    """The first message of a connection, which would leave its session in the tenant's role, enters again when it is
    sent again."""
    async with pool_of(database_url) as pool:
        await connection_of(pool, AN_HOUR_AGO)
        tenant = Tenant(Database(pool, NAMES), user, {"email": None})
        assert [{"role": NAMES.tenant}] == await tenant.fetch(
            select(literal_column("current_user::text").label("role"))
        )


@played
async def test_what_comes_too_late_is_not_sent_again(database_url: str) -> None:
    """Where less time is left than a message needs, one that the database has refused as late is Unavailable."""
    async with pool_of(database_url) as pool:
        await connection_of(pool, AN_HOUR_AGO)
        with pytest.raises(Unavailable):
            await Database(pool, NAMES, deadline=2.5 * MARGIN_SECONDS).run(ENTER_LATE, {})


@played
async def test_the_clock_is_learned_anew(database_url: str) -> None:
    """When two clocks may have drifted apart the database's time is asked again before anything is sent."""
    async with pool_of(database_url) as pool:
        connection = await connection_of(pool, AN_HOUR_AGO)
        connection.clock_known_until = 0
        (left,) = await Database(pool, NAMES).run(TIME_LEFT, {})
        assert left["seconds"] > 0
        assert connection.clock_known_until > asyncio.get_running_loop().time()


@played
async def test_a_user_is_registered_until_it_is_known(own_url: str) -> None:
    """Creations make the user's row, those of a known user only where it was erased; and what only reads makes none."""
    async with pool_of(own_url) as pool:
        database = Database(pool, NAMES, register=statements.register(), known_users=1)
        known, other = (Tenant(database, name, {"email": None}) for name in ("known", "other"))

        async def create(erased: bool) -> int:
            if erased:
                run(own_url, "DELETE FROM users")
            return int((await known.fetch(CREATE, title="A task"))[0]["id"])

        await known.fetch(MINE)
        assert [] == run(own_url, "SELECT id FROM users")
        ids = [await create(erased=False), await create(erased=False), await create(erased=True)]
        known.forget()
        ids.append(await create(erased=True))
        await other.fetch(CREATE, title="A task")
        ids.append(await create(erased=True))
    # An attempt that fails for want of the user's row has taken a number.
    assert [1, 2, 4, 5, 7] == ids


@played
async def test_a_user_who_is_erased_while_registered(own_url: str) -> None:
    """A creation whose user is erased between its registration and its end makes the user anew."""
    *before, answer = statements.create_task_once(("title",))
    values = {"key": "key", "fingerprint": "of the body", "title": "A task"}
    async with pool_of(own_url) as pool:
        tenant = Tenant(Database(pool, NAMES, register=statements.register()), "fickle", {"email": None})
        run(own_url, "INSERT INTO users (id) VALUES ('fickle')")
        with open_transaction(own_url) as erasing:
            erasing.execute("INSERT INTO idempotency_keys VALUES ('fickle', 'key', 'another', 1)")
            created = asyncio.create_task(tenant.fetch(answer, before=tuple(before), **values))
            await asyncio.to_thread(wait_for_waiting, own_url, 1)
            erasing.execute("DELETE FROM users")

        assert ["A task"] == [task["title"] for task in await created]


@played
async def test_what_a_deadlock_has_undone_is_tried_again(own_url: str) -> None:
    """A message that PostgreSQL gives up, since it and another wait for each other, is run when that one has ended."""
    run(own_url, "CREATE TABLE counts AS SELECT name, 0 AS count FROM unnest(ARRAY['a', 'b']) AS name")
    both = Message(
        "UPDATE counts SET count = count + 1 WHERE name = 'a'; UPDATE counts SET count = count + 1 WHERE name = 'b'"
    )
    async with pool_of(own_url) as pool:
        with open_transaction(own_url) as other:
            # So it is the service's message that is given up.
            other.execute("SET deadlock_timeout TO '1min'; UPDATE counts SET count = 10 WHERE name = 'b'")
            counted = asyncio.create_task(Database(pool, NAMES).run(both._replace(only_reads=False), {}))
            await asyncio.to_thread(wait_for_waiting, own_url, 1)
            await asyncio.to_thread(other.execute, "UPDATE counts SET count = 10 WHERE name = 'a'")
        await counted

    assert [(11,), (11,)] == run(own_url, "SELECT count FROM counts")
