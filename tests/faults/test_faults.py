"""A database in trouble: what clients are told, that nothing acknowledged is lost, and that it passes by itself."""

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from db.driver.database import Database
from db.driver.faults import ConstraintError
from db.driver.messages import Message
from db.models import NAMES
from openapi.bridge.failures import InternalError, Unavailable
from tests.support.clusters import run
from tests.support.database import open_transaction, wait_for_waiting
from tests.support.outage import UNAVAILABLE, told
from tests.support.pools import pool_of
from tests.support.running import Service, service_in_thread
from tests.support.together import together


@pytest.fixture(scope="module")
def own(own_url: str) -> Iterator[Service]:
    """The service on a database that nobody else uses."""
    with service_in_thread(own_url) as service:
        yield service


def cut(url: str) -> int:
    """Ends every other connection to the database, as an administrator or a pooler does, and tells how many."""
    end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    return len(run(url, f"{end} WHERE datname = current_database() AND pid <> pg_backend_pid()"))


@pytest.mark.faults
def test_no_request_fails_for_an_idle_connection_that_was_cut(
    own: Service, own_url: str, user: str, tasks: str
) -> None:
    """Twenty times all idle connections are cut, and neither the next read nor the next write fails."""
    with own.client(user) as client:
        statuses = []
        for number in range(20):
            together(8, lambda _: client.get(tasks))
            assert cut(own_url) >= 1
            write = client.post(tasks, json={"title": f"{number}"})
            assert cut(own_url) >= 1
            read = client.get(tasks)
            statuses.append((write.status_code, read.status_code, len(read.json())))

    assert [(201, 200, number + 1) for number in range(20)] == statuses


@contextmanager
def table_locked(url: str) -> Iterator[None]:
    """Holds the lock of a change of the schema."""
    with open_transaction(url) as cursor:
        cursor.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        yield


def test_a_locked_table_is_told(own: Service, own_url: str, user: str, tasks: str) -> None:
    """A request that does not get its lock in time is 503 and not a hang, and changes nothing."""
    with own.client(user) as client:
        with table_locked(own_url):
            assert [UNAVAILABLE] * 2 == together(
                2, lambda n: told(client.post(tasks, json={"title": "Buy milk"}) if n else client.get(tasks))
            )
        assert [] == client.get(tasks).json()


def waiting_for_a_lock(own_url: str, call: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer to a request whose connection is cut while its statement waits for a lock."""
    with ThreadPoolExecutor(1) as thread:
        with table_locked(own_url):
            answer: Future[httpx.Response] = thread.submit(call)
            wait_for_waiting(own_url, 1)
            message = (
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            )
            run(own_url, message)
        return answer.result()


def test_a_read_whose_connection_is_cut_is_sent_again(
    own: Service, own_url: str, user: str, tasks: str
) -> None:
    """A read that loses its connection under way is repeated on another one, which is safe, and served."""
    with own.client(user) as client:
        response = waiting_for_a_lock(own_url, lambda: client.get(tasks))

    assert (200, []) == (response.status_code, response.json())


def test_a_write_whose_connection_is_cut_is_not_sent_again(
    own: Service, own_url: str, user: str, tasks: str
) -> None:
    """A write that loses its connection under way is 503, since it may have been made, and never made twice."""
    with own.client(user) as client:
        response = waiting_for_a_lock(own_url, lambda: client.post(tasks, json={"title": "Buy milk"}))

        assert UNAVAILABLE == told(response)
        assert [] == client.get(tasks).json()


def test_a_database_that_lets_nobody_in_is_told(
    own: Service, own_url: str, database_url: str, user: str, tasks: str
) -> None:
    """While new connections are refused the answer is 503, and the first request after that is served."""
    name = make_url(own_url).database
    with own.client(user) as client:
        run(database_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:
            end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
            run(database_url, end, name)
            assert UNAVAILABLE == told(client.get(tasks))
        finally:
            run(database_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert 200 == client.get(tasks).status_code


def test_a_database_that_only_reads_still_serves_reads(
    own: Service, own_url: str, database_url: str, user: str, tasks: str
) -> None:
    """After a failover to a replica reads are served and writes are 503."""
    name = make_url(own_url).database
    run(database_url, f"ALTER DATABASE {name} SET default_transaction_read_only TO on")
    try:
        cut(own_url)
        with own.client(user) as client:
            assert 200 == client.get(tasks).status_code
            assert UNAVAILABLE == told(client.post(tasks, json={"title": "Buy milk"}))
    finally:
        run(database_url, f"ALTER DATABASE {name} RESET default_transaction_read_only")
        cut(own_url)


def answer_of(url: str, *texts: str) -> list[Any]:
    """What the messages answer, one after the other on one connection, as the handlers have it."""

    async def ask() -> list[Any]:
        async with pool_of(url) as pool:
            return [await Database(pool, NAMES).run(Message(text), {}) for text in texts]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("state", "failure"),
    [
        ("08006", Unavailable),  # connection failure
        ("08P01", Unavailable),  # protocol violation, with which PgBouncer refuses
        ("25006", Unavailable),  # read-only transaction, after a failover
        ("40001", Unavailable),  # serialisation failure
        ("40P01", Unavailable),  # deadlock
        ("53100", Unavailable),  # disk full
        ("53200", Unavailable),  # out of memory
        ("53300", Unavailable),  # too many connections
        ("55P03", Unavailable),  # lock not available
        ("57014", Unavailable),  # query cancelled, by its time limit
        ("57P01", Unavailable),  # admin shutdown
        ("57P02", Unavailable),  # crash shutdown
        ("57P03", Unavailable),  # cannot connect now
        ("58030", Unavailable),  # I/O error
        ("22001", InternalError),  # string too long: the contract let it pass
        ("23505", InternalError),  # unique violation
        ("23514", InternalError),  # check violation: the contract let it pass
        ("25P02", InternalError),  # in failed transaction
        ("42P01", InternalError),  # undefined table
        ("55000", InternalError),  # object not in prerequisite state
        ("XX000", InternalError),  # internal error
    ],
)
def test_each_sqlstate_has_its_failure(own_url: str, state: str, failure: type[Exception]) -> None:
    """What passes by itself is Unavailable, anything else a fault of ours, told apart by the SQLSTATE alone."""
    text = f"DO $$ BEGIN RAISE SQLSTATE '{state}' USING MESSAGE = 'could not connect'; END $$"
    with pytest.raises(failure, match=state) as caught:
        answer_of(own_url, text)

    assert "could not connect" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT title FROM (SELECT 1) AS milk", "UndefinedColumn (SQLSTATE 42703), column"),
        ("SELECT mean(1)", "UndefinedFunction (SQLSTATE 42883), function mean(integer)"),
        ("SELECT relname = 1 FROM pg_class", "UndefinedFunction (SQLSTATE 42883), operator"),
        ("SELECT CAST(1 AS milk)", "UndefinedObject (SQLSTATE 42704), type"),
        ("SELECT generate_series(NULL, NULL)", "AmbiguousFunction (SQLSTATE 42725), function"),
        (
            "SELECT CAST(CAST(1 AS boolean) AS date)",
            "CannotCoerce (SQLSTATE 42846), cannot cast type boolean",
        ),
    ],
)
def test_a_statement_that_is_wrong_is_told_what_is_wrong(own_url: str, text: str, words: str) -> None:
    """Who writes a statement finds in the log what it names and the database does not have, or does not know how to
    take."""
    with pytest.raises(InternalError, match=re.escape(words)):
        answer_of(own_url, text)


def test_a_missing_user_is_told_as_such(own_url: str) -> None:
    """A constraint that was broken is named, since the caller knows what it means, and the rows are not quoted."""
    text = "DO $$ BEGIN RAISE SQLSTATE '{}' USING CONSTRAINT = 'a_key', DETAIL = 'Key (id)=(secret)'; END $$"
    for state, is_foreign_key in (("23503", True), ("23505", False)):
        with pytest.raises(ConstraintError) as caught:
            answer_of(own_url, text.format(state))
        assert ("a_key", is_foreign_key) == (caught.value.constraint, caught.value.is_foreign_key)
        assert "secret" not in str(caught.value)
