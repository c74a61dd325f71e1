"""Behind PgBouncer in transaction mode: a few server connections go round among many users, and carry nothing over."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from db.driver.database import Database
from db.driver.messages import Message
from db.driver.pool import Pool
from db.migrations import migrations
from db.models import NAMES
from tests.support.clusters import DEPLOYER, cluster, pooler, run
from tests.support.database import open_transaction
from tests.support.running import Service, service_in_thread
from tests.support.together import together

pytestmark = pytest.mark.faults

USERS = [f"user-{number}" for number in range(24)]
SERVER_CONNECTIONS = 3
READS = 200  # By each user.
# No owner is named: what keeps users apart here is row level security alone.
EVERYTHING = "SELECT user_id FROM tasks"


@pytest.fixture(scope="module")
def direct() -> Iterator[str]:
    """A database of an ordinary login, with tasks of every user; reached past the pooler."""
    with cluster(15) as server, server.database(DEPLOYER) as url:
        migrations.upgrade(url)
        for user in USERS:
            add = "INSERT INTO users VALUES (%s); INSERT INTO tasks (user_id, title) VALUES (%s, 'A task')"
            run(url, f"SELECT todo_enter(%s); {add}", user, user, user)
        yield url


@pytest.fixture(scope="module")
def pooled(direct: str) -> Iterator[str]:
    """The database by way of the pooler."""
    with pooler(direct, size=SERVER_CONNECTIONS) as url:
        yield url


@pytest.fixture(scope="module")
def service(pooled: str) -> Iterator[Service]:
    """The service on the pooler."""
    with service_in_thread(pooled) as service:
        yield service


def test_no_read_shows_another_user_s_row(pooled: str, record_testsuite_property: Any) -> None:
    """Of thousands of reads without an owner, by 24 users at once over 3 connections, each shows the reader's own."""
    message = Message(f"SELECT todo_enter(%(tenant)s); {EVERYTHING}")

    async def read_all() -> list[Counter[tuple[str, ...]]]:
        pool = Pool(pooled, size=len(USERS), queue=0)
        database = Database(pool, NAMES, deadline=60)

        async def read(user: str) -> Counter[tuple[str, ...]]:
            seen: Counter[tuple[str, ...]] = Counter()
            for _ in range(READS):
                rows = await database.run(message, {"tenant": user}, user)
                seen[tuple(row["user_id"] for row in rows)] += 1
            return seen

        try:
            return await asyncio.gather(*map(read, USERS))
        finally:
            pool.close()

    seen = asyncio.run(read_all())
    record_testsuite_property("pgbouncer: reads", sum(counter.total() for counter in seen))
    assert [{(user,): READS} for user in USERS] == seen


def test_a_setting_of_the_session_would_leak(pooled: str, direct: str) -> None:
    """The negative control: with role and user set for the session, as one must not, readers see each other's."""

    def read(number: int) -> int:
        with closing(psycopg2.connect(pooled)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            leaks = 0
            for _ in range(READS // 10):
                cursor.execute(f"SET ROLE todo_tenant; SET app.user_id = '{USERS[number]}'")
                cursor.execute(EVERYTHING)
                leaks += [(USERS[number],)] != cursor.fetchall()
            return leaks

    try:
        assert sum(together(len(USERS), read)) > 0
    finally:
        # The connections that were spoilt must not serve the other tests.
        own = "usename = current_user AND pid <> pg_backend_pid()"
        run(direct, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {own}")


def test_users_work_side_by_side(service: Service) -> None:
    """Over the API each of 24 users creates, changes and reads own tasks only."""

    def work(number: int) -> list[tuple[int, set[str]]]:
        user = USERS[number]
        with service.client(user) as client:
            outcomes = []
            for _ in range(5):
                created = client.post(f"/api/{user}/tasks", json={"title": user})
                client.patch(f"{created.headers['location']}/complete")
                listed = client.get(f"/api/{user}/tasks", params={"status": "complete"})
                outcomes.append((listed.status_code, {task["title"] for task in listed.json()}))
            return outcomes

    assert [[(200, {user})] * 5 for user in USERS] == together(len(USERS), work)


def test_a_locked_table_is_told_and_leaves_no_setting(service: Service, pooled: str, direct: str) -> None:
    """The time limits hold behind the pooler and end with the transaction: nobody who comes next has them."""
    with service.client(USERS[0]) as client:
        with open_transaction(direct) as cursor:
            cursor.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            locked = together(SERVER_CONNECTIONS, lambda _: client.get(f"/api/{USERS[0]}/tasks").status_code)
        assert [503] * SERVER_CONNECTIONS == locked
        assert 200 == client.get(f"/api/{USERS[0]}/tasks").status_code

    names = ("lock_timeout", "statement_timeout", "role", "app.user_id")
    settings = ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in names)
    answers = set(itertools.chain(*together(12, lambda _: run(pooled, f"SELECT {settings}"))))
    assert {("0", "0", "none", "")} == answers
