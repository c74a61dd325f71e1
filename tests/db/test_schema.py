"""What the migrations make, looked at from inside: limits, rights, and the walls between users."""

from collections.abc import Iterator
from contextlib import closing, nullcontext
from typing import Any, NamedTuple

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.errors import DivisionByZero, InsufficientPrivilege, QueryCanceled
from sqlalchemy import make_url

from db.migrations import migrations
from openapi.contract import contract
from tests.support.clusters import DEPLOYER, Cluster, cluster, run

Row = tuple[Any, ...]

OWNED = {"users": "id", "tasks": "user_id", "idempotency_keys": "user_id"}
ROWS = """
    INSERT INTO users (id, email) VALUES ('{0}', '{0}@example.com');
    INSERT INTO tasks (user_id, title) VALUES ('{0}', 'A secret of {0}');
    INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id) VALUES ('{0}', 'key', 'print', 1)
"""
each_table = pytest.mark.parametrize("table", OWNED)


class Schema(NamedTuple):
    """A migrated database with a row of alice and one of bob in each table, and the login that migrated it."""

    server: Cluster
    url: str
    login: str
    bypasses: bool

    def try_out(self, *messages: str) -> list[Row]:
        """Runs messages in one transaction, takes it back, and returns what the last one answered."""
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            for message in messages:
                cursor.execute(message)
            return cursor.fetchall()


@pytest.fixture(
    scope="module",
    params=[(None, None), (16, DEPLOYER), (15, DEPLOYER)],
    ids=["18-superuser", "16-ordinary-login", "15-ordinary-login"],
)
def schema(request: pytest.FixtureRequest, database_url: str) -> Iterator[Schema]:
    """The schema as a superuser makes it on the embedded server, and as an ordinary login does elsewhere."""
    version, owner = request.param
    running = cluster(version) if version else nullcontext(Cluster(database_url))
    with running as server, server.database(owner) as url:
        migrations.upgrade(url)
        for user in ("alice", "bob"):
            run(url, f"SELECT todo_enter('{user}'); {ROWS.format(user)}")
        yield Schema(server, url, owner or "postgres", bypasses=owner is None)


@pytest.fixture(scope="module")
def limits(database_url: str) -> Iterator[str]:
    """A migrated database on the embedded server, as its URL."""
    with Cluster(database_url).database() as url:
        migrations.upgrade(url)
        run(url, "INSERT INTO users (id) VALUES ('alice')")
        yield url


@each_table
def test_who_enters_sees_the_own_rows(schema: Schema, table: str) -> None:
    """A statement that forgets to ask for the owner still finds the entered user's rows alone."""
    find = f"SELECT DISTINCT {OWNED[table]} FROM {table}"
    assert [("alice",)] == schema.try_out("SELECT todo_enter('alice')", find)
    assert [("alice",)] == schema.try_out("SET LOCAL ROLE todo_tenant", "SELECT todo_enter('alice')", find)
    assert [("bob",)] == schema.try_out("SELECT todo_enter('alice')", "SELECT todo_enter('bob')", find)
    assert [] == schema.try_out("SELECT todo_enter('carol')", find)
    assert [] == schema.try_out("SELECT todo_enter('')", find)


@each_table
def test_the_role_alone_sees_nothing(schema: Schema, table: str) -> None:
    """Without a user there are no rows, whether none was ever entered or one has left, in a message that failed too."""
    count = f"SELECT count(*) FROM {table}"
    assert [(0,)] == schema.try_out("SET LOCAL ROLE todo_tenant", count)
    with closing(psycopg2.connect(schema.url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"SELECT todo_enter('alice'); {count}")
        assert (1,) == cursor.fetchone()
        cursor.execute(f"SET ROLE todo_tenant; {count}")
        assert (0,) == cursor.fetchone()
        with pytest.raises(DivisionByZero):
            cursor.execute("SELECT todo_enter('alice'); SELECT 1 / 0")
        cursor.execute(count)
        assert (0,) == cursor.fetchone()


@each_table
def test_who_does_not_enter(schema: Schema, table: str) -> None:
    """The tables' owner sees nothing without entering; a superuser sees everything, so every request has to enter."""
    assert [(2 if schema.bypasses else 0,)] == schema.try_out(f"SELECT count(*) FROM {table}")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO users (id) VALUES ('carol')",
        "INSERT INTO tasks (user_id, title) VALUES ('bob', 'x')",
        "INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id) VALUES ('bob', 'new', 'x', 1)",
        "UPDATE tasks SET user_id = 'bob'",
        "UPDATE idempotency_keys SET user_id = 'bob', key = 'new'",
        "UPDATE users SET email = NULL",
        "DELETE FROM tasks",
        "DELETE FROM idempotency_keys",
        "TRUNCATE tasks",
        "SELECT setval('tasks_id_seq', 1)",
        "SELECT * FROM alembic_version",
        "CREATE TABLE mine (id int)",
    ],
)
def test_what_a_user_may_not_do(schema: Schema, statement: str) -> None:
    """An entered user makes no row of another's, gives none away, and does nothing that no request needs."""
    with pytest.raises(InsufficientPrivilege):
        schema.try_out("SELECT todo_enter('alice')", statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tasks SET title = 'x' RETURNING user_id",
        "UPDATE idempotency_keys SET fingerprint = 'x' RETURNING user_id",
        "DELETE FROM users RETURNING id",
    ],
)
def test_a_change_that_forgets_the_owner(schema: Schema, statement: str) -> None:
    """A change of all rows is a change of the entered user's rows."""
    assert [("alice",)] == schema.try_out("SELECT todo_enter('alice')", statement)


def test_what_entering_sets(schema: Schema) -> None:
    """Entering holds for the rest of the message: role, user, limit and path; afterwards the login is itself again."""
    names = ("app.user_id", "statement_timeout", "search_path")
    values = ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in names)
    show = f"SELECT current_user::text, {values}"
    with closing(psycopg2.connect(schema.url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"SELECT todo_enter('alice'); {show}")
        pinned = "pg_catalog, public, pg_temp"
        assert ("todo_tenant", "alice", "4s", pinned) == cursor.fetchone()
        until = "clock_timestamp() + interval '1 hour'"
        cursor.execute(f"SELECT todo_enter('alice', {until}); {show}")
        assert ("todo_tenant", "alice", "1min", pinned) == cursor.fetchone()
        cursor.execute(show)
        assert (schema.login, "", "0", '"$user", public') == cursor.fetchone()


def test_a_stranger_cannot_enter(schema: Schema) -> None:
    """A login that the role was not granted to cannot enter anybody."""
    database = make_url(schema.server.url).set(database=make_url(schema.url).database)
    superuser = schema._replace(url=database.render_as_string(hide_password=False))
    with pytest.raises(InsufficientPrivilege):
        superuser.try_out(
            "CREATE ROLE stranger", "SET LOCAL SESSION AUTHORIZATION stranger", "SELECT todo_enter('alice')"
        )


def test_the_role(schema: Schema) -> None:
    """The role that requests run in cannot log in, passes no wall and may make nothing."""
    rights = "rolcanlogin, rolbypassrls, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolinherit"
    assert [(False,) * 7] == run(schema.url, f"SELECT {rights} FROM pg_roles WHERE rolname = 'todo_tenant'")


def test_the_rights_of_the_role(schema: Schema) -> None:
    """The role may do what requests need, and nothing else."""
    rights = """
        SELECT relname::text, string_agg(privilege_type, ' ' ORDER BY privilege_type)
        FROM pg_class, aclexplode(relacl) WHERE grantee = 'todo_tenant'::regrole GROUP BY relname ORDER BY relname
    """
    assert [
        ("idempotency_keys", "INSERT SELECT UPDATE"),
        ("tasks", "INSERT SELECT UPDATE"),
        ("tasks_id_seq", "USAGE"),
        ("users", "DELETE INSERT SELECT"),
    ] == run(schema.url, rights)


def test_every_table_is_walled(schema: Schema) -> None:
    """Row level security is on and forced on every table but Alembic's own, with one policy for the owner's everything;
    to the role that purges only expired keys and tasks are there."""
    walls = """
        SELECT relname::text, relrowsecurity, relforcerowsecurity, polname::text, polcmd::text,
               ARRAY(SELECT rolname::text FROM pg_roles WHERE oid = ANY (polroles)),
               pg_get_expr(polqual, polrelid) = pg_get_expr(polwithcheck, polrelid)
        FROM pg_class LEFT JOIN pg_policy ON polrelid = pg_class.oid
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
        ORDER BY relname, polname DESC
    """
    expected = []
    for table in sorted(OWNED):
        expires = table != "users"
        expected.append((table, True, True, f"{table}_own", "*", ["todo_tenant"] if expires else [], True))
        if expires:
            expected.append((table, True, True, f"{table}_expired", "*", ["todo_purger"], False))
    assert expected == run(schema.url, walls)


@given(user=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_name_can_enter(limits: str, user: str) -> None:
    """A user's name is entered as it is, whatever it would mean in SQL."""
    message = "SELECT todo_enter(%s); SELECT current_setting('app.user_id'), current_user::text"
    assert [(user, "todo_tenant")] == run(limits, message, user)


def test_entering_limits_a_statement(limits: str) -> None:
    """A statement that follows the entering in the same message is ended when its time is over, a wait included."""
    soon = "SELECT todo_enter('alice', clock_timestamp() + interval '100 ms')"
    with pytest.raises(QueryCanceled):
        run(limits, f"{soon}; SELECT pg_sleep(60)")
    with closing(psycopg2.connect(limits)) as connection:
        connection.cursor().execute("LOCK TABLE tasks")
        with pytest.raises(QueryCanceled):
            run(limits, f"{soon}; SELECT * FROM tasks")


def test_who_comes_too_late_cannot_enter(limits: str) -> None:
    """A message whose time is over by the database's clock is refused before anything is done."""
    with pytest.raises(psycopg2.Error) as refused:
        run(limits, "SELECT todo_enter('alice', clock_timestamp()); SELECT 1")
    assert "TODO2" == refused.value.pgcode


BLANKS = "\t\n\x0b\x0c\r\x1c\x1f \x85\xa0\u1680\u2000\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
ANYTHING = st.characters(exclude_characters="\0", exclude_categories=["Cs"])


def texts(most: int) -> st.SearchStrategy[str]:
    """Text of which much is blank, and much is as long as may be or a little longer."""
    long = st.builds(
        "".join, st.tuples(*[st.text(ANYTHING, max_size=2), st.integers(most - 2, most).map("😀".__mul__)])
    )
    return st.text(st.sampled_from(BLANKS)) | st.text(ANYTHING) | long


DATES = st.dates().map(str) | st.sampled_from(
    ["0000-01-01", "2026-02-30", "10000-01-01", "0001-01-01 BC", "infinity", "-infinity", ""]
)

# What has a meaning in arrays, objects and regular expressions of PostgreSQL.
TRICKY = st.sampled_from(
    ["NULL", "null", ",", "{}", '"', "\\", '", "', "a\nb", "$.*", "^.$", "a" * 50, "a" * 51]
)


@given(
    data=st.data(), name=st.sampled_from(["title", "description", "status", "priority", "due_date", "tags"])
)
def test_the_database_has_the_limits_of_the_contract(limits: str, data: st.DataObject, name: str) -> None:
    """A column takes exactly the values that the contract's schema takes."""
    schema = contract().schemas.at(f"/components/schemas/Task/properties/{name}")
    most = {"title": 255, "description": 5000}.get(name, 0)
    words = st.sampled_from(["incomplete", "complete", "low", "medium", "high"])
    kinds = {"due_date": DATES, "tags": st.lists(texts(50) | words | TRICKY, max_size=22)}
    value = data.draw(st.none() | kinds.get(name, texts(most) | words))
    kind = "::text[]" if name == "tags" else ""
    insert = f"BEGIN; INSERT INTO tasks (user_id, {{}}{name}) VALUES ('alice', {{}}%s{kind}); ROLLBACK"
    try:
        run(limits, insert.format(*(("", "") if name == "title" else ("title, ", "'x', "))), value)
        taken = True
    except (psycopg2.IntegrityError, psycopg2.DataError):
        taken = False
    assert schema.is_valid(value) == taken
