"""Row level security: the database keeps users apart also where a query forgets the owner; and each of the three
walls (the path against the token, the scoped query, row level security) holds without the other two."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import httpx
import pytest
from sqlalchemy import BinaryExpression, Insert, select, true
from sqlalchemy.sql.visitors import replacement_traverse

from db.driver.database import Database, Tenant
from db.driver.messages import Message
from db.migrations import migrations
from db.models import NAMES, idempotency_keys, tasks, users
from openapi.bridge.answers import Answer
from openapi.bridge.contract import Contract
from openapi.contract import contract
from server.todo import todo
from tests.support.clusters import Cluster, run
from tests.support.pools import pool_of
from tests.support.running import Service, service_in_thread


def test_requests_on_shared_connections_see_their_own_rows(database_url: str) -> None:
    """24 users at once on 3 connections see their own rows in thousands of queries that forget the owner."""
    names = [f"shared-{index}-{uuid.uuid4()}" for index in range(24)]
    for name in names:
        run(database_url, "INSERT INTO users (id) VALUES (%s)", name)
        run(database_url, "INSERT INTO tasks (user_id, title) VALUES (%s, 'A task')", name)
        run(database_url, "INSERT INTO idempotency_keys VALUES (%s, 'key', 'fingerprint', 1)", name)
    forgetful = [select(users.c.id), select(tasks.c.user_id), select(idempotency_keys.c.user_id)]
    without_entering = Message("SELECT user_id FROM tasks WHERE user_id = ANY(%(names)s)")

    async def look(database: Database, name: str) -> tuple[set[str], set[str]]:
        own_view = database.caller({"sub": name, "email": None})
        entered: set[str] = set()
        control: set[str] = set()
        for _ in range(50):
            for statement in forgetful:
                rows = await own_view.fetch(statement)
                assert 1 == len(rows)
                entered.update(value for row in rows for value in row.values())
            everything = await database.run(without_entering, {"names": names})
            control.update(row["user_id"] for row in everything)
        return entered, control

    async def look_all() -> list[tuple[set[str], set[str]]]:
        async with pool_of(database_url, size=3, queue=len(names)) as pool:
            return await asyncio.gather(*(look(Database(pool, NAMES), name) for name in names))

    for name, (entered, control) in zip(names, asyncio.run(look_all()), strict=True):
        assert {name} == entered
        # The same connections without `todo_enter`: this is what a leak would look like.
        assert set(names) <= control


# The three walls. Each test takes two away in the running service and tries every way to the other's task.


@pytest.fixture(scope="module")
def bypassing_url(database_url: str) -> Iterator[str]:
    """A database of its own whose tables have no row level security, as for a login that bypasses it."""
    with Cluster(database_url).database() as url:
        migrations.upgrade(url)
        for table in ("users", "tasks", "idempotency_keys"):
            run(url, f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        yield url


def _without_owner(statement: Any) -> Any:
    """The statement without its conditions on the owner."""
    found = []

    def replaced(part: Any, **_: Any) -> Any:
        if isinstance(part, BinaryExpression) and getattr(part.right, "key", None) == "tenant":
            found.append(part)
            return true()
        return None

    forgetful = replacement_traverse(statement, {}, replaced)
    assert found or isinstance(statement, Insert)
    return forgetful


_forgetful = cache(_without_owner)  # A message is compiled once for each statement.


class ForgetfulTenant:
    """A tenant whose queries forget the owner."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self.user_id = tenant.user_id

    async def fetch(self, statement: Any, *, before: tuple[Insert, ...] = (), **values: Any) -> list[Any]:
        return await self._tenant.fetch(_forgetful(statement), before=before, **values)

    async def fetch_one(self, statement: Any, **values: Any) -> Any:
        return next(iter(await self.fetch(statement, **values)), None)


class OpenHandlers:
    """The product's handlers, called whoever the path names, and with a tenant that may be forgetful."""

    def __init__(self, forgetful: bool) -> None:
        self._forgetful = forgetful

    def __getattr__(self, operation_id: str) -> Any:
        handler = todo().find_handler(operation_id)
        assert handler

        async def handle(caller: Any, user_id: str | None = None, **arguments: Any) -> Answer[Any]:
            is_tenant = self._forgetful and isinstance(caller, Tenant)
            return await handler(ForgetfulTenant(caller) if is_tenant else caller, **arguments)

        return handle


@contextmanager
def service_without(url: str, *, path_check: bool = False, scoped_query: bool = False) -> Iterator[Service]:
    """The service without these walls: from a contract that names no owner, with queries that name no owner."""
    text = contract().text
    assert 1 == text.count("x-owner: true")
    opened = Contract(text.replace("x-owner: true", "x-was-owner: true")) if path_check else contract()
    product = replace(todo(), contract=opened, handlers=[OpenHandlers(scoped_query)])
    with service_in_thread(url, load=lambda: product) as service:
        yield service


class Attempts:
    """Alice tries to reach Bob's task; each attempt is made below her own path and below his."""

    def __init__(self, service: Service) -> None:
        self.alice, self.bob = f"alice-{uuid.uuid4()}", f"bob-{uuid.uuid4()}"
        with service.client(self.bob) as bob, service.client(self.alice) as alice:
            self._bob = f"/api/{self.bob}/tasks"
            task = bob.post(self._bob, json={"title": "A secret of Bob"}).json()
            before = self._stored(bob)
            self.answers = [
                answer
                for user in (self.alice, self.bob)
                for answer in self._all(alice, f"/api/{user}/tasks", task["id"])
            ]
            self.leaked = any("A secret of Bob" in answer.text for answer in self.answers)
            self.changed = before != self._stored(bob)

    def _stored(self, bob: httpx.Client) -> Any:
        return [task for task in bob.get(self._bob).json() if task["user_id"] == self.bob]

    def _all(self, alice: httpx.Client, path: str, id: int) -> Iterator[httpx.Response]:
        yield alice.get(path)
        yield alice.get(f"{path}/{id}")
        yield alice.put(f"{path}/{id}", json={"description": "Taken"})
        yield alice.patch(f"{path}/{id}/complete")
        yield alice.delete(f"{path}/{id}", headers={"If-Match": '"stale"'})
        yield alice.delete(f"{path}/{id}")

    @property
    def statuses(self) -> list[int]:
        """The six answers below Alice's own path, then the six below Bob's."""
        return [answer.status_code for answer in self.answers]


NOT_THERE = [200, 404, 404, 404, 404, 404]


def test_row_level_security_holds_alone(database_url: str) -> None:
    """With neither the path check nor an owner in any query, the database still shows no row of another user."""
    with service_without(database_url, path_check=True, scoped_query=True) as service:
        attempts = Attempts(service)
    assert [*NOT_THERE, *NOT_THERE] == attempts.statuses
    assert (False, False) == (attempts.leaked, attempts.changed)


def test_the_scoped_query_holds_alone(bypassing_url: str) -> None:
    """With neither the path check nor row level security, every query is still about the token's user alone."""
    with service_without(bypassing_url, path_check=True) as service:
        attempts = Attempts(service)
    assert [*NOT_THERE, *NOT_THERE] == attempts.statuses
    assert (False, False) == (attempts.leaked, attempts.changed)


def test_the_path_check_holds_alone(bypassing_url: str) -> None:
    """With neither an owner in any query nor row level security, another's path is still closed to every method."""
    with service_without(bypassing_url, scoped_query=True) as service:
        attempts = Attempts(service)
    assert 6 * [403] == attempts.statuses[6:]
    assert not any(answer.json() != {"error": "Forbidden"} for answer in attempts.answers[6:])


def test_without_any_wall_the_attempts_succeed(bypassing_url: str) -> None:
    """The control: with all three walls taken away the same attempts read, change and delete another's task."""
    with service_without(bypassing_url, path_check=True, scoped_query=True) as service:
        attempts = Attempts(service)
    assert (True, True) == (attempts.leaked, attempts.changed)
