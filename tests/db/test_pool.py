"""The connections that all requests share: how many there are, who waits, for how long, and what a lost one costs."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg2
import pytest

from db.driver.database import DEADLINE_SECONDS, Database
from db.driver.messages import Message
from db.driver.pool import Pool
from db.driver.url import connection_arguments, normalise
from db.models import NAMES
from openapi.bridge.failures import Unavailable

SLOW = Message.of("SELECT pg_sleep(60)")
PROCESS = Message.of("SELECT pg_backend_pid() AS id")


@asynccontextmanager
async def pool_of(url: str, size: int, queue: int) -> AsyncIterator[Pool]:
    """A pool that is closed at the end."""
    pool = Pool(normalise(url), size, queue)
    try:
        yield pool
    finally:
        pool.close()


def with_pool(url: str, use: Callable[[Pool], Awaitable[Any]], size: int = 1, queue: int = 0) -> Any:
    """What `use` comes to with a pool of this size."""

    async def run() -> Any:
        async with pool_of(url, size, queue) as pool:
            return await use(pool)

    return asyncio.run(run())


async def process_of(pool: Pool) -> int:
    """The number of the PostgreSQL process that answers."""
    (row,) = await Database(pool, NAMES).run(PROCESS, {})
    return int(row["id"])


def end_process(url: str, *processes: int) -> None:
    """Ends sessions from outside, one after the other, as a pooler or a suspended server does."""
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        for process in processes:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [process])
    connection.close()


def test_callers_share_the_connections(database_url: str) -> None:
    """However many call at once, there are no more connections than the pool's size, and all are served."""

    async def use(pool: Pool) -> tuple[int, int]:
        processes = await asyncio.gather(*(process_of(pool) for _ in range(20)))
        return len(processes), len(set(processes))

    assert (20, 3) == with_pool(database_url, use, size=3, queue=17)


def test_a_caller_beyond_the_queue_is_refused_at_once(database_url: str) -> None:
    """With all connections busy and the queue full, one more is Unavailable and those before it are served."""

    async def use(pool: Pool) -> list[bool]:
        accepted = [asyncio.ensure_future(process_of(pool)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="queue"):
            await pool.acquire()
        return [0 < await call for call in accepted]

    assert 3 * [True] == with_pool(database_url, use, size=1, queue=2)


def test_failures_free_their_place(database_url: str) -> None:
    """Calls that failed, were given up or found no database leave the pool as it was."""

    async def use(pool: Pool) -> int:
        for _ in range(3):
            with pytest.raises(Exception, match="DivisionByZero"):
                await Database(pool, NAMES).run(Message.of("SELECT 1 / 0"), {})
            with pytest.raises(Unavailable, match="deadline"):
                await Database(pool, NAMES, deadline=0.05).run(SLOW, {})
        return await process_of(pool)

    async def find_none(pool: Pool) -> None:
        for _ in range(3):
            with pytest.raises(Unavailable, match="connection"):
                await process_of(pool)

    assert 0 < with_pool(database_url, use)
    with_pool("postgresql://nobody@127.0.0.1:1/none", find_none)


def test_the_deadline_holds_in_the_queue_too(database_url: str) -> None:
    """A call that has got no connection by its deadline is Unavailable, and sends nothing later."""

    async def use(pool: Pool) -> tuple[Any, int]:
        taken = await pool.acquire()
        with pytest.raises(Unavailable, match="deadline"):
            await Database(pool, NAMES, deadline=0.05).run(PROCESS, {})
        pool.release(taken)
        (own,) = await taken.run(PROCESS.plain, {})
        return own[0], await process_of(pool)

    own, next_one = with_pool(database_url, use, queue=1)
    assert own == next_one


def test_an_answer_that_nobody_waits_for_is_never_given_to_another(database_url: str) -> None:
    """A call that is cancelled while it runs takes its connection with it."""

    async def use(pool: Pool) -> tuple[int, int]:
        before = await process_of(pool)
        slow = asyncio.ensure_future(Database(pool, NAMES).run(SLOW, {}))
        await asyncio.sleep(0.05)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        return before, await process_of(pool)

    before, after = with_pool(database_url, use)
    assert before != after


def test_the_end_of_an_idle_connection_is_noticed(database_url: str) -> None:
    """A connection that the server has closed while it was idle is replaced before anything is sent on it."""

    async def use(pool: Pool) -> list[int]:
        processes = []
        for _ in range(5):
            processes.append(await process_of(pool))
            await asyncio.to_thread(end_process, database_url, processes[-1])
            connection = await pool.acquire()
            pool.release(connection)
        return processes

    assert 5 == len(set(with_pool(database_url, use)))


def test_connections_that_are_lost_together(database_url: str) -> None:
    """Reads that lose their connections in one turn are all served, though new sockets take the old ones' numbers."""

    async def use(pool: Pool) -> list[Any]:
        both = [await pool.acquire() for _ in range(2)]
        processes = [connection.session for connection in both]
        for connection in both:
            pool.release(connection)
        # Long in these sessions only, so that the repeat in another one is answered at once.
        slow = Message.of(
            f"SELECT pg_sleep(CASE WHEN pg_backend_pid() IN {tuple(processes)} THEN 60 ELSE 0 END)::text"
        )
        calls = [asyncio.ensure_future(Database(pool, NAMES).run(slow, {})) for _ in range(2)]
        await asyncio.sleep(0.05)
        # In this thread, so that the event loop finds both ends at once, that of the higher number first.
        end_process(database_url, *reversed(processes))
        return await asyncio.gather(*calls)

    assert 2 * [[{"pg_sleep": ""}]] == with_pool(database_url, use, size=2)


def test_what_was_closed_is_not_closed_again(database_url: str) -> None:
    """A pool that ends leaves alone the socket that has got the number of one of its lost connections."""

    async def use(pool: Pool) -> Any:
        await asyncio.to_thread(end_process, database_url, await process_of(pool))
        async with pool_of(database_url, 1, 0) as other:
            await process_of(other)
            pool.close()
            return await asyncio.wait_for(process_of(other), 5)

    assert 0 < with_pool(database_url, use)


def test_a_message_larger_than_the_socket_takes(database_url: str) -> None:
    """A message that goes out in many pieces arrives whole."""

    async def use(pool: Pool) -> Any:
        return await Database(pool, NAMES).run(
            Message.of("SELECT length(%(text)s) AS length"), {"text": 8_000_000 * "a"}
        )

    assert [{"length": 8_000_000}] == with_pool(database_url, use)


def test_who_leaves_gives_the_place_back() -> None:
    """Callers that are cancelled, while a connection opens or while they wait for one, count no longer."""

    async def use(pool: Pool) -> list[tuple[int, int]]:
        counts = []
        calls = [asyncio.ensure_future(pool.acquire()) for _ in range(3)]
        await asyncio.sleep(0.05)
        counts.append((pool.in_use, pool.waiting))
        for call in reversed(calls):
            call.cancel()
            await asyncio.wait([call])
            counts.append((pool.in_use, pool.waiting))
        return counts

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@localhost:{silent.getsockname()[1]}/none"
        assert [(1, 2), (1, 1), (1, 0), (0, 0)] == with_pool(url, use, queue=2)


def test_an_address_that_is_given_is_kept() -> None:
    """A URL with `hostaddr` is not looked up: its name serves the check of the certificate alone."""
    url = normalise("postgresql://nobody@host.invalid/none?hostaddr=127.0.0.1")
    arguments = asyncio.run(connection_arguments(url))
    assert ("host.invalid", "127.0.0.1") == (arguments["host"], arguments["hostaddr"])


def test_no_such_host() -> None:
    """A host that cannot be found is trouble that may pass, since names come and go."""

    async def use(pool: Pool) -> None:
        with pytest.raises(Unavailable, match="connection"):
            await process_of(pool)

    with_pool("postgresql://nobody@host.invalid/none", use)


def test_the_deadline_leaves_room_for_five_seconds() -> None:
    """Whoever waits is answered in under five seconds, and PostgreSQL's own limit of four comes first."""
    assert 4 < DEADLINE_SECONDS < 5
