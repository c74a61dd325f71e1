"""A database in trouble: what clients are told, that nothing acknowledged is lost, and that it passes by itself."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from psycopg2.errors import ForeignKeyViolation
from sqlalchemy import make_url

from db.embedded import embedded_postgres
from db.embedded_account import server_account
from db.messages import Message
from db.migrate import upgrade
from db.pool import Pool
from db.tenant import Database
from db.url import normalise
from openapi.errors import InternalError, Unavailable
from tests.clusters import Cluster, run
from tests.database import open_transaction, superuser, wait_for_waiting
from tests.running import Service, service_in_thread, wait_until
from tests.together import together

UNAVAILABLE = (503, "1", {"error": "The service is temporarily unavailable. Try again shortly"})


def told(response: httpx.Response) -> tuple[int, str | None, Any]:
    """The status, when to come again, and the body."""
    return response.status_code, response.headers.get("retry-after"), response.json()


class Outage:
    """A PostgreSQL of the test's own that can be stopped under a service and started again."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.url = self.start()

    def start(self) -> str:
        """Starts it, as the next `todo-api serve` on the folder would, and returns its URL."""
        return self._stack.enter_context(embedded_postgres(self._folder))

    def stop(self, mode: str) -> None:
        """Stops it: `fast` in order, `immediate` as a crash does."""
        cluster = self._folder / "postgres"
        account = server_account(cluster)
        stop = ("stop", "-D", ".", "-w", "-m", mode)
        account.run_program("pg_ctl", *stop, folder=cluster, failing="PostgreSQL did not stop")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Lets none of its processes run, so that it neither answers nor hangs up."""
        postmaster = int((self._folder / "postgres" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        processes = [postmaster, *map(int, children)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(processes):
                os.kill(process, signal.SIGCONT)


@pytest.fixture(scope="module")
def outage() -> Iterator[Outage]:
    """A PostgreSQL to be stopped, with the schema of this version."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, ExitStack() as stack:
        outage = Outage(Path(folder), stack)
        upgrade(outage.url)
        yield outage


@pytest.fixture(scope="module")
def stricken(outage: Outage) -> Iterator[Service]:
    """The service on the PostgreSQL that is stopped; it is never started again."""
    with service_in_thread(outage.url) as service:
        yield service


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_stopped_database_is_told_and_comes_back(
    outage: Outage, stricken: Service, user: str, tasks: str, mode: str
) -> None:
    """With the database stopped every operation is 503 with Retry-After, and the first after its start is served."""
    with stricken.client(user) as client:
        created = client.post(tasks, json={"title": "Buy milk"})
        path = created.headers["location"]
        outage.stop(mode)

        assert UNAVAILABLE == told(client.get(tasks))
        assert UNAVAILABLE == told(client.get(path))
        assert UNAVAILABLE == told(client.post(tasks, json={"title": "Buy bread"}))
        assert UNAVAILABLE == told(client.put(path, json={"title": "Buy bread"}))
        assert UNAVAILABLE == told(client.patch(f"{path}/complete"))
        assert UNAVAILABLE == told(client.delete(path))
        assert UNAVAILABLE == told(client.get("/health/ready"))
        assert (200, {"status": "ok"}) == (client.get("/health/live").status_code, {"status": "ok"})
        assert 401 == client.get(tasks, headers={"Authorization": "none"}).status_code

        outage.start()
        response = client.get(tasks)
        assert (200, [created.json()]) == (response.status_code, response.json())
        assert 200 == client.get("/health/ready").status_code


def test_what_was_acknowledged_survives_an_immediate_stop(
    outage: Outage, stricken: Service, user: str, tasks: str
) -> None:
    """Of tasks created while the database crashes and returns, each acknowledged one is there, and none is doubled."""
    acknowledged: list[str] = []
    others: set[int] = set()
    stopping = SimpleNamespace(done=False)

    def create_until_the_end(thread: int) -> None:
        with stricken.client(user) as client:
            number = 0
            while not stopping.done:
                number += 1
                response = client.post(tasks, json={"title": f"{thread}-{number}"})
                if response.status_code == 201:
                    acknowledged.append(response.json()["title"])
                else:
                    others.add(response.status_code)

    def grown(past: int) -> Callable[[], bool]:
        return lambda: len(acknowledged) > past + 20

    with ThreadPoolExecutor(6) as threads:
        creating = [threads.submit(create_until_the_end, thread) for thread in range(6)]
        try:
            wait_until(grown(0))
            outage.stop("immediate")
            wait_until(lambda: others)
            outage.start()
            wait_until(grown(len(acknowledged)))
        finally:
            stopping.done = True
        for thread in creating:
            thread.result()

    assert {503} == others
    with superuser(outage.url) as cursor:
        cursor.execute("SELECT title FROM tasks WHERE user_id = %s", (user,))
        stored = [title for (title,) in cursor.fetchall()]
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="there is no /proc to find PostgreSQL's processes in"
)
def test_a_database_that_is_frozen_is_told(outage: Outage, stricken: Service, user: str, tasks: str) -> None:
    """A database that neither answers nor hangs up costs nobody more than the deadline, and is served from again."""
    with stricken.client(user) as client:
        assert 200 == client.get(tasks).status_code
        with outage.frozen():
            assert [UNAVAILABLE] * 40 == together(40, lambda _: told(client.get(tasks)))
            assert 200 == client.get("/health/live").status_code
        assert 200 == client.get(tasks).status_code


@pytest.fixture(scope="module")
def own_url(database_url: str) -> Iterator[str]:
    """A database that nobody else uses, with the schema of this version."""
    with Cluster(database_url).database() as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="module")
def own(own_url: str) -> Iterator[Service]:
    """The service on a database that nobody else uses."""
    with service_in_thread(own_url) as service:
        yield service


def cut(url: str) -> int:
    """Ends every other connection to the database, as an administrator or a pooler does, and tells how many."""
    end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    return len(run(url, f"{end} WHERE datname = current_database() AND pid <> pg_backend_pid()"))


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


def test_a_statement_that_takes_too_long_is_told(own: Service, own_url: str, user: str, tasks: str) -> None:
    """Where no lock is at fault the statement's own limit ends the wait with 503."""
    run(own_url, "ALTER FUNCTION todo_enter(text) SET lock_timeout TO 0")
    try:
        with own.client(user) as client, table_locked(own_url):
            assert UNAVAILABLE == told(client.get(tasks))
    finally:
        run(own_url, "ALTER FUNCTION todo_enter(text) RESET lock_timeout")


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


def test_three_hundred_at_once_are_served_or_told(own: Service, user: str, tasks: str) -> None:
    """Of 300 clients at once each gets its task or 503, and there are as many tasks as were acknowledged."""

    def create(number: int) -> int:
        with own.client(user) as client:
            return client.post(tasks, json={"title": f"{number}"}).status_code

    statuses = together(300, create)
    with own.client(user) as client:
        stored = len(client.get(tasks).json())

    assert set(statuses) <= {201, 503}
    assert stored >= statuses.count(201) >= 1


def answer_of(url: str, *texts: str) -> list[Any]:
    """What the messages answer, one after the other on one connection, as the handlers have it."""

    async def ask() -> list[Any]:
        pool = Pool(normalise(url), size=1, queue=0)
        try:
            return [await Database(pool).run(Message.of(text), {}) for text in texts]
        finally:
            pool.close()

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
        ("42501", InternalError),  # insufficient privilege
        ("42703", InternalError),  # undefined column
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


def test_a_missing_user_is_told_as_such(own_url: str) -> None:
    """A foreign key's violation comes through as it is, since the caller knows what it means."""
    with pytest.raises(ForeignKeyViolation):
        answer_of(own_url, "DO $$ BEGIN RAISE SQLSTATE '23503'; END $$")
