"""Row level security: the database keeps users apart also where a query forgets the owner; and each of the three
walls (the path against the token, the scoped query, row level security) holds without the other two."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import httpx
import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege
from sqlalchemy import BinaryExpression, Insert, select, true
from sqlalchemy.sql.visitors import replacement_traverse

from db.driver.database import Database, Tenant
from db.driver.messages import Message
from db.driver.pool import Pool
from db.migrations import migrations
from db.models import NAMES, idempotency_keys, tasks, users
from openapi.bridge.answers import Answer
from openapi.bridge.contract import Contract
from openapi.contract import contract
from server.todo import todo
from tests.support.running import Service, service_in_thread

# A table and its column that names the owner.
TABLES = {"users": "id", "tasks": "user_id", "idempotency_keys": "user_id"}
every_table = pytest.mark.parametrize(("table", "owner"), TABLES.items(), ids=TABLES)

# How a connection comes to be: a superuser bypasses row level security until it enters, as Neon's logins do.
LOGINS = {
    "superuser": "SET SESSION AUTHORIZATION DEFAULT",
    "ordinary login": "SET SESSION AUTHORIZATION todo_ordinary",
    "the role itself": "SET ROLE todo_tenant",
}
every_login = pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)


class Session:
    """A connection in autocommit, as the service uses it: one message is one transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, message: str, **values: Any) -> list[tuple[Any, ...]]:
        """Sends one message and returns what its last statement answers."""
        with self._connection.cursor() as cursor:
            cursor.execute(message, values)
            return [] if cursor.description is None else list(cursor.fetchall())


@contextmanager
def superuser(url: str) -> Iterator[Session]:
    """A superuser's session with the database at `url`."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        yield Session(connection)


@pytest.fixture(scope="module")
def ordinary_login(database_url: str) -> Iterator[None]:
    """A login that may enter the role and is bound by row level security like anybody."""
    with superuser(database_url) as session:
        session.run("CREATE ROLE todo_ordinary NOSUPERUSER NOBYPASSRLS IN ROLE todo_tenant")
        yield
        session.run("DROP ROLE todo_ordinary")


@pytest.fixture
def session(database_url: str, ordinary_login: None) -> Iterator[Session]:
    """A superuser's session, which may become any of the logins."""
    with superuser(database_url) as session:
        yield session


@pytest.fixture
def people(session: Session) -> tuple[str, str]:
    """Two users, each with a row in every table."""
    names = f"alice-{uuid.uuid4()}", f"bob-{uuid.uuid4()}"
    for name in names:
        session.run("INSERT INTO users (id) VALUES (%(name)s)", name=name)
        session.run("INSERT INTO tasks (user_id, title) VALUES (%(name)s, 'A task')", name=name)
        session.run("INSERT INTO idempotency_keys VALUES (%(name)s, 'key', 'fingerprint', 1)", name=name)
    return names


@every_table
@every_login
def test_a_query_that_forgets_the_owner_sees_own_rows_only(
    session: Session, people: tuple[str, str], login: str, table: str, owner: str
) -> None:
    """After `todo_enter`, `SELECT * FROM <table>` answers the user's own rows, whoever logged in."""
    alice, _ = people
    session.run(login)
    rows = session.run(f"SELECT todo_enter(%(user)s); SELECT {owner} FROM {table}", user=alice)
    assert [(alice,)] == rows


@every_table
@pytest.mark.parametrize("login", [LOGINS["ordinary login"], LOGINS["the role itself"]])
def test_without_a_context_there_are_no_rows(
    session: Session, people: tuple[str, str], login: str, table: str, owner: str
) -> None:
    """Whoever is bound by the policies and has not entered as a user sees nothing."""
    session.run(login)
    assert [] == session.run(f"SELECT {owner} FROM {table}")


@every_table
@pytest.mark.parametrize("context", ["", "nobody/", "%/", "/' OR true --", "/', true); RESET ROLE; --"])
def test_a_context_of_nobody_has_no_rows(
    session: Session, people: tuple[str, str], table: str, owner: str, context: str
) -> None:
    """Entering with what can be no user's name, an empty one and SQL included, shows nothing."""
    assert [] == session.run(f"SELECT todo_enter(%(user)s); SELECT {owner} FROM {table}", user=context)


def test_a_superuser_who_has_not_entered_sees_everything(session: Session, people: tuple[str, str]) -> None:
    """The control: without `todo_enter` the very same query on the same connection shows both users' rows."""
    for table, owner in TABLES.items():
        assert set(people) <= {row[0] for row in session.run(f"SELECT {owner} FROM {table}")}


@every_login
@pytest.mark.parametrize(
    "insertion",
    [
        "INSERT INTO users (id) VALUES (%(new)s)",
        "INSERT INTO tasks (user_id, title) VALUES (%(bob)s, 'A task')",
        "INSERT INTO idempotency_keys VALUES (%(bob)s, 'new', 'fingerprint', 1)",
    ],
    ids=TABLES,
)
def test_another_s_row_cannot_be_inserted(
    session: Session, people: tuple[str, str], login: str, insertion: str
) -> None:
    """A row of another user, or another user, is refused with insufficient privilege."""
    alice, bob = people
    session.run(login)
    with pytest.raises(InsufficientPrivilege):
        session.run(f"SELECT todo_enter(%(alice)s); {insertion}", alice=alice, bob=bob, new=f"new-{bob}")


@every_login
@pytest.mark.parametrize("table", ["tasks", "idempotency_keys"])
def test_an_own_row_cannot_be_given_away(
    session: Session, people: tuple[str, str], login: str, table: str
) -> None:
    """An update that would make an own row another's is refused with insufficient privilege."""
    alice, bob = people
    session.run(login)
    with pytest.raises(InsufficientPrivilege):
        session.run(
            f"SELECT todo_enter(%(alice)s); UPDATE {table} SET user_id = %(bob)s", alice=alice, bob=bob
        )


@every_login
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tasks SET title = 'Taken'",
        "UPDATE idempotency_keys SET fingerprint = 'taken'",
    ],
)
def test_a_change_that_forgets_the_owner_changes_own_rows_only(
    session: Session, people: tuple[str, str], login: str, change: str
) -> None:
    """An UPDATE or DELETE without any condition leaves another's rows as they are."""
    alice, bob = people
    rows = "SELECT * FROM tasks JOIN idempotency_keys USING (user_id) WHERE user_id = %(bob)s"
    before = session.run(rows, bob=bob)
    session.run(login)
    changed = session.run(f"SELECT todo_enter(%(alice)s); {change} RETURNING user_id", alice=alice)
    session.run("RESET ROLE; SET SESSION AUTHORIZATION DEFAULT")
    assert [(alice,)] == changed
    assert 1 == len(before)
    assert before == session.run(rows, bob=bob)


@pytest.mark.parametrize(
    "forbidden", ["DELETE FROM tasks", "UPDATE users SET email = NULL", "TRUNCATE tasks"]
)
def test_the_role_may_do_only_what_the_service_needs(
    session: Session, people: tuple[str, str], forbidden: str
) -> None:
    """What no operation needs is not granted, not even on the user's own rows."""
    with pytest.raises(InsufficientPrivilege):
        session.run(f"SELECT todo_enter(%(user)s); {forbidden}", user=people[0])


@every_table
def test_the_policies_bind_the_owner_of_the_table_too(session: Session, table: str, owner: str) -> None:
    """Row level security is enabled and forced, by one policy, which limits reading and writing alike."""
    condition = f"({owner} = current_setting('app.user_id'::text, true))"
    state = "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %(table)s::regclass"
    policies = (
        "SELECT permissive, cmd, qual, with_check FROM pg_policies WHERE policyname = %(table)s || '_own'"
    )
    assert [(True, True)] == session.run(state, table=table)
    assert [("PERMISSIVE", "ALL", condition, condition)] == session.run(policies, table=table)


@every_login
def test_the_context_ends_with_the_transaction(session: Session, people: tuple[str, str], login: str) -> None:
    """The next message on the same connection has neither the user nor the role of the one before."""
    session.run(login)
    who = "SELECT current_user, coalesce(current_setting('app.user_id', true), '')"
    before = session.run(who)
    entered = session.run(f"SELECT todo_enter(%(user)s); {who}", user=people[0])
    assert [("todo_tenant", people[0])] == entered
    assert before == session.run(who)
    session.run("SET ROLE todo_tenant")
    assert [] == session.run("SELECT user_id FROM tasks")


def test_a_context_ends_with_a_failed_transaction_too(session: Session, people: tuple[str, str]) -> None:
    """A message that fails halfway leaves no context behind either."""
    with pytest.raises(psycopg2.errors.DivisionByZero):
        session.run("SELECT todo_enter(%(user)s); SELECT 1 / 0", user=people[0])
    session.run("SET ROLE todo_tenant")
    assert [] == session.run("SELECT user_id FROM tasks")


def test_requests_on_shared_connections_see_their_own_rows(database_url: str, session: Session) -> None:
    """24 users at once on 3 connections see their own rows in thousands of queries that forget the owner."""
    names = [f"shared-{index}-{uuid.uuid4()}" for index in range(24)]
    for name in names:
        session.run("INSERT INTO users (id) VALUES (%(name)s)", name=name)
        session.run("INSERT INTO tasks (user_id, title) VALUES (%(name)s, 'A task')", name=name)
        session.run("INSERT INTO idempotency_keys VALUES (%(name)s, 'key', 'fingerprint', 1)", name=name)
    forgetful = [select(users.c.id), select(tasks.c.user_id), select(idempotency_keys.c.user_id)]
    without_entering = Message.of("SELECT user_id FROM tasks WHERE user_id = ANY(%(names)s)")

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
        pool = Pool(database_url, size=3, queue=len(names))
        try:
            return await asyncio.gather(*(look(Database(pool, NAMES), name) for name in names))
        finally:
            pool.close()

    for name, (entered, control) in zip(names, asyncio.run(look_all()), strict=True):
        assert {name} == entered
        # The same connections without `todo_enter`: this is what a leak would look like.
        assert set(names) <= control


# The three walls. Each test takes two away in the running service and tries every way to the other's task.


@pytest.fixture(scope="module")
def bypassing_url(database_url: str) -> Iterator[str]:
    """A database of its own whose tables have no row level security, as for a login that bypasses it."""
    name = f"bypassing_{uuid.uuid4().hex}"
    url = database_url.replace("@/todo?", f"@/{name}?")
    assert database_url != url
    with superuser(database_url) as session:
        session.run(f"CREATE DATABASE {name}")
        migrations.upgrade(url)
        with superuser(url) as bypassing:
            for table in TABLES:
                bypassing.run(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        yield url
        session.run(f"DROP DATABASE {name} WITH (FORCE)")


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
