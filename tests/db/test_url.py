"""DATABASE_URL as providers and other tools write it: what works, what is left out, and what gets a line."""

import asyncio
import socket
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url

from db.driver.opening import open_connection
from db.driver.url import URL_RULE, address, connection_arguments, ignored_parameters, libpq_parameters
from tests.support.running import free_port

ELSEWHERE = "postgresql://app:p%40ss@db.example"


def arguments(url: str) -> dict[str, object]:
    """What of a URL reaches libpq, beside what is always set."""
    always = asyncio.run(connection_arguments(libpq_parameters("postgresql://")))
    given = asyncio.run(connection_arguments(libpq_parameters(url)))
    return {name: value for name, value in given.items() if always.get(name) != value}


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
@pytest.mark.parametrize("login", ["app%40b:p%40ss%2Fw%3Ard", "app@b:p@ss/w:rd"])
@pytest.mark.parametrize("query", ["", "?application_name=a@b"])
def test_each_scheme_and_any_login_is_taken(scheme: str, login: str, query: str) -> None:
    """A URL may begin as providers, libpq or SQLAlchemy write it, with space around it; what user and password do not
    encode (RFC 3986, section 3.2.1) is taken as it is, so no part of them is ever shown as a host."""
    found = libpq_parameters(f" {scheme}://{login}@[::1]:6432/todo{query}\n")

    assert ("app@b", "p@ss/w:rd") == (found["user"], found["password"])
    assert ("::1", "6432", "todo") == (found["host"], found["port"], found["dbname"])


@pytest.mark.parametrize("places", ["db.example:6432", "[::1]", "a.example:1,b.example"])
def test_an_at_sign_in_the_query_ends_no_login(places: str) -> None:
    """Behind hosts and the name of a parameter an @ is the parameter's, so no part of its value is shown as a host."""
    found = libpq_parameters(f"postgresql://{places}/todo?user=me@tenant&password=p@ss")

    assert ("me@tenant", "p@ss", "todo") == (found["user"], found["password"], found["dbname"])


@pytest.mark.parametrize(
    ("query", "ignored"),
    [
        (
            "pgbouncer=true&connection_limit=1&pool_timeout=20",
            ["pgbouncer", "connection_limit", "pool_timeout"],
        ),
        ("schema=public&sslaccept=strict&sslmode=require", ["schema", "sslaccept"]),
        ("supa=base-pooler.x&workaround=supabase-pooler.vercel", ["supa", "workaround"]),
        ("uselibpqcompat=true&application_name=x", ["uselibpqcompat"]),
        ("prepareThreshold=0&currentSchema=public", ["prepareThreshold", "currentSchema"]),
        ("pool_max_conns=5&default_query_exec_mode=exec", ["pool_max_conns", "default_query_exec_mode"]),
        ("serverVersion=16&charset=utf8", ["serverVersion", "charset"]),
    ],
)
def test_what_is_other_tools_is_left_out(query: str, ignored: list[str]) -> None:
    """Parameters of Prisma, Supabase, node-postgres, JDBC, pgx and Doctrine are left out and can be named."""
    url = f"{ELSEWHERE}/todo?{query}"

    assert ignored == ignored_parameters(url)
    assert set() == set(ignored) & set(libpq_parameters(url))


def test_texts_are_utf8_whatever_the_url_says() -> None:
    """Another encoding, which a program beside this one may need, is passed over: no text would survive it."""
    assert {} == arguments("postgresql://?client_encoding=latin1")


def test_what_is_libpqs_reaches_it() -> None:
    """Neon's address and libpq's own parameters are passed on, decoded, a value with `=` too."""
    query = "sslmode=require&channel_binding=require&options=endpoint=ep-x&keepalives_idle=7&target_session_attrs=any"
    expected = {
        **libpq_parameters(f"{ELSEWHERE}/todo"),
        "sslmode": "require",
        "channel_binding": "require",
        "options": "endpoint=ep-x",
        "keepalives_idle": "7",
        "target_session_attrs": "any",
    }

    assert expected == libpq_parameters(f"{ELSEWHERE}/todo?{query}")
    assert [] == ignored_parameters(f"{ELSEWHERE}/todo?{query}")


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("ssl=true", "require"),
        ("ssl", "require"),
        ("ssl=verify-full", "verify-full"),
        ("ssl=false", "prefer"),
        ("ssl=no-verify", "require"),
        ("sslmode=no-verify", "require"),
        ("sslmode=verify-full&ssl=true", "verify-full"),
        ("ssl=true&sslmode=verify-full", "verify-full"),
    ],
)
def test_ssl_is_sslmode(written: str, mode: str) -> None:
    """What JDBC, node-postgres and asyncpg call `ssl` never turns into a connection that is less safe than asked."""
    assert {**libpq_parameters(ELSEWHERE), "sslmode": mode} == libpq_parameters(f"{ELSEWHERE}?{written}")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("foo=1", "has the parameter foo, which PostgreSQL does not know: remove it"),
        ("<b>=1", "has a parameter, which PostgreSQL does not know: remove it"),
        (
            "schema=app",
            "has the parameter schema, which must be public or absent: the tables are in that schema",
        ),
        ("sslmode=on", "has the parameter sslmode with a value that PostgreSQL does not know"),
        (
            "variables[lock-timeout]=1",
            "has the parameter variables[lock-timeout], which PostgreSQL does not know: remove it",
        ),
        ("ssl=on", "has the parameter sslmode with a value that PostgreSQL does not know"),
        (
            "target_session_attrs=x",
            "has the parameter target_session_attrs with a value that PostgreSQL does not know",
        ),
        (
            "connect_timeout=soon",
            "has the parameter connect_timeout with a value that PostgreSQL does not know",
        ),
        ("channel_binding", URL_RULE),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_named(query: str, sentence: str) -> None:
    """An unknown parameter, or one with an unknown value, is a line that names it and not the value."""
    with pytest.raises(ValueError, match=r"^(has|must)") as error:
        libpq_parameters(f"{ELSEWHERE}/todo?{query}")
    assert sentence == str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "todo",
        "mysql://db/todo",
        "postgresql://db:port/todo",
        "postgresql://db:70000/",
        "postgresql://db:54_32/",
        "postgresql://db:%D9%A5/",
        "host=db",
        "postgresql://app:p%zz@db/todo",
        "postgresql:///todo?host=a,b,c&port=1,2",
    ],
)
def test_what_is_no_url_of_a_database_is_told_what_one_looks_like(url: str) -> None:
    """Anything else gets the rule, without what was written."""
    with pytest.raises(ValueError, match=r"^must look like") as error:
        libpq_parameters(url)
    assert URL_RULE == str(error.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"{ELSEWHERE}/todo", "db.example port 5432"),
        ("postgresql://app:secret@a:1,b:2/todo", "a port 1, b port 2"),
        ("postgresql://app:secret@/todo?host=a,b&port=7", "a port 7, b port 7"),
        ("postgresql://%2Frun%2Fpostgresql:6432/todo", "/run/postgresql port 6432"),
        ("postgresql:///todo", "the local socket port 5432"),
    ],
)
def test_an_address_is_shown_without_its_login(url: str, shown: str) -> None:
    """For a person an address is its hosts, each with its port."""
    assert shown == address(url)


def test_names_are_looked_up_before_libpq_would() -> None:
    """Each address of each name is passed beside the name; neither a socket nor an unknown name hinders another,
    and of the address of one link the link stays."""
    found = arguments(
        "postgresql://localhost:1,nowhere.invalid:2,127.0.0.1:3,%2Frun:4,[fe80::1%25eth0]:5/todo"
    )
    places = list(zip(*(str(found[name]).split(",") for name in ("host", "hostaddr", "port")), strict=True))

    assert ("localhost", "127.0.0.1", "1") in places
    assert [("127.0.0.1", "127.0.0.1", "3"), ("/run", "", "4"), ("fe80::1%eth0", "", "5")] == places[-3:]
    assert "nowhere.invalid" not in str(found["host"])
    with pytest.raises(socket.gaierror):
        arguments("postgresql://nowhere.invalid,also.invalid/todo")


@pytest.mark.parametrize("form", ["socket", "second host", "other tool's"])
def test_the_database_is_reached_in_every_form(database_url: str, form: str) -> None:
    """By its socket, as the second of two hosts of which the first is away, and with what other tools need."""
    url = make_url(database_url)
    folder, login, port = url.query["host"], f"{url.username}:{url.password}", url.query.get("port", url.port)
    forms = {
        "socket": f"postgres://{login}@/{url.database}?host={folder}&port={port}",
        "second host": f"postgres://{login}@127.0.0.1:{free_port()},:{port}/{url.database}?host=127.0.0.1,{folder}"
        f"&port={free_port()},{port}&target_session_attrs=read-write",
        "other tool's": f"{database_url}&pgbouncer=true&schema=public\n",
    }

    async def ask() -> object:
        connection = await open_connection(libpq_parameters(forms[form]))
        try:
            return await connection.run("SELECT current_database()", {})
        finally:
            connection.close()

    assert [(url.database,)] == asyncio.run(ask())


@pytest.mark.parametrize("host", ["{folder}", "a..b", "a" * 64])
def test_a_connection_that_is_refused_is_the_drivers_error(tmp_path: Path, host: str) -> None:
    """Nobody there is the driver's error, whichever way the address is written, also as what no host can be called."""
    url = f"postgresql://{host.format(folder=str(tmp_path).replace('/', '%2F'))}/todo"
    with pytest.raises(psycopg2.OperationalError):
        asyncio.run(open_connection(libpq_parameters(url)))
