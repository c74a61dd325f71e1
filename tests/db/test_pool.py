"""The connections that all requests share: how many there are, who waits, for how long, and what a lost one costs."""

import asyncio
import socket
import time

import psycopg2
import pytest

from db.driver.database import Database
from db.driver.messages import Message
from db.driver.pool import CALLS_EACH, LINE_SECONDS, PLACES, Pool
from db.driver.url import connection_arguments, libpq_parameters
from db.models import NAMES
from openapi.bridge.failures import TooManyRequests, Unavailable
from tests.support.played import played
from tests.support.pools import StoppedClock, eventually, later, pool_of

SLOW = Message("SELECT pg_sleep(60)")
PROCESS = Message("SELECT pg_backend_pid() AS id")


async def process_of(pool: Pool, user: object = None) -> int:
    """The number of the PostgreSQL process that answers a user."""
    (row,) = await Database(pool, NAMES).run(PROCESS, {}, user)
    return int(row["id"])


def end_process(url: str, *processes: int) -> None:
    """Ends sessions from outside, one after the other, as a pooler or a suspended server does."""
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        for process in processes:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [process])
    connection.close()


@played
async def test_callers_share_the_connections(database_url: str) -> None:
    """However many call at once, there are no more connections than the pool's size, and all are served."""
    async with pool_of(database_url, size=3, queue=17) as pool:
        processes = await asyncio.gather(*(process_of(pool, user) for user in range(20)))
        assert (20, 3) == (len(processes), len(set(processes)))


@played
async def test_a_caller_beyond_the_queue_is_refused_at_once(database_url: str) -> None:
    """With all connections busy and the queue full, one more is Unavailable and those before it are served."""
    async with pool_of(database_url, size=1, queue=2) as pool:
        accepted = [asyncio.ensure_future(process_of(pool, user)) for user in range(3)]
        await asyncio.sleep(0)
        for user in ("late", 0):
            with pytest.raises(Unavailable, match="queue"):
                await pool.acquire(user, later())
        assert 3 * [True] == [0 < await call for call in accepted]


@played
async def test_one_user_runs_half_and_queues_a_few(database_url: str) -> None:
    """A user who calls without end runs half of the connections and has a short queue, and hides neither the other half
    nor the next place from others."""
    async with pool_of(database_url, size=4, queue=200) as pool:
        greedy = [asyncio.ensure_future(pool.acquire("greedy", later())) for _ in range(2 + CALLS_EACH)]
        await eventually(lambda: [True, True] == [call.done() for call in greedy[:2]])
        assert (2, CALLS_EACH) == (pool.in_use, pool.waiting)
        others = [await pool.acquire(name, later()) for name in ("modest", "modest")]
        assert (4, CALLS_EACH) == (pool.in_use, pool.waiting)
        waiting = asyncio.ensure_future(pool.acquire("another", later()))
        await asyncio.sleep(0)
        pool.release(others.pop(), "modest")
        await waiting
        for call in greedy[2:]:
            call.cancel()
        await asyncio.wait(greedy)
        assert (4, 0) == (pool.in_use, pool.waiting)
        held = [(others[0], "modest"), (waiting.result(), "another")]
        held += [(call.result(), "greedy") for call in greedy[:2]]
        for connection, user in held:
            pool.release(connection, user)
        again = [asyncio.ensure_future(pool.acquire("greedy", later())) for _ in range(3)]
        await asyncio.wait(again, return_when=asyncio.FIRST_COMPLETED)
        assert (2, 1) == (pool.in_use, pool.waiting)
        again[2].cancel()
        await asyncio.wait(again)


def test_who_asks_for_too_much_waits_for_the_refusal(database_url: str) -> None:
    """A call beyond the user's queue is refused when the time is over that `Retry-After` names, and not before."""

    async def check() -> None:
        clock = asyncio.get_running_loop()
        assert isinstance(clock, StoppedClock)
        async with pool_of(database_url, queue=CALLS_EACH) as pool:
            calls = [asyncio.ensure_future(pool.acquire("greedy", later())) for _ in range(1 + CALLS_EACH)]
            refused = asyncio.ensure_future(pool.acquire("greedy", later()))
            await calls[0]
            assert not refused.done()
            clock.now += int(TooManyRequests().headers["Retry-After"])
            with pytest.raises(TooManyRequests):
                await refused
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)

    with asyncio.Runner(loop_factory=StoppedClock) as runner:
        runner.run(check())


def test_calls_are_served_as_they_came(database_url: str) -> None:
    """A call waits for those that came before it and still wait, and for few of them if they are one user's; where
    calls take long, and for slow ones, for one of each user at a time."""

    async def served(pool: Pool, *calls: tuple[str, bool], seconds: float = 0) -> str:
        held = await pool.acquire("holder", later())
        clock = asyncio.get_running_loop()
        assert isinstance(clock, StoppedClock)
        clock.now += seconds
        served: list[str] = []

        async def call(user: str, slow: bool) -> None:
            connection = await pool.acquire(user, later(), slow)
            served.append(user)
            pool.release(connection, user, slow)

        given_up = [asyncio.ensure_future(call(f"gone {number}", False)) for number in range(500)]
        await asyncio.sleep(0)
        for gone in given_up:
            gone.cancel()
        await asyncio.wait(given_up)
        waiting = [asyncio.ensure_future(call(user, slow)) for user, slow in calls]
        await asyncio.sleep(0)
        pool.release(held, "holder")
        await asyncio.gather(*waiting)
        return "".join(served)

    async def check() -> None:
        many, few = (PLACES + 2) * [("a", False)], [*3 * [("a", False)], *2 * [("b", False)], ("c", False)]
        async with pool_of(database_url, queue=500) as pool:
            assert "abaa" == await served(pool, ("a", False), ("b", False), ("a", False), ("a", True))
            assert PLACES * "a" + "bcaa" == await served(pool, *many, ("b", False), ("c", False))
            assert "abcaba" == await served(pool, *3 * [("a", True)], *2 * [("b", True)], ("c", False))
            assert "" == await served(pool, seconds=4 * LINE_SECONDS)
            assert "abcaba" == await served(pool, *few)

    with asyncio.Runner(loop_factory=StoppedClock) as runner:
        runner.run(check())


@played
async def test_a_user_runs_one_slow_statement(database_url: str) -> None:
    """A second slow call of a user waits for the first while fast ones go on, and all slow ones run half."""
    async with pool_of(database_url, size=4, queue=4) as pool:
        slow = {user: await pool.acquire(user, later(), True) for user in ("a", "b")}
        second = asyncio.ensure_future(pool.acquire("a", later(), True))
        third = asyncio.ensure_future(pool.acquire("c", later(), True))
        fast = await pool.acquire("a", later())
        assert (3, 2) == (pool.in_use, pool.waiting)
        pool.release(slow["b"], "b", True)
        await third
        assert not second.done()
        pool.release(slow["a"], "a", True)
        pool.release(await second, "a", True)
        pool.release(fast, "a")
        assert (1, 0) == (pool.in_use, pool.waiting)


@pytest.mark.parametrize(("user", "failure"), [("same", TooManyRequests), ("other", Unavailable)])
@played
async def test_who_waits_in_vain_is_refused(database_url: str, user: str, failure: type[Exception]) -> None:
    """A call that gets no connection in time is TooManyRequests if it waited for the same user, else Unavailable."""
    async with pool_of(database_url, queue=1) as pool:
        held = await pool.acquire("same", later())
        with pytest.raises(failure):
            await pool.acquire(user, later(0.05))
        pool.release(held, "same")
        assert 0 < await process_of(pool)


@played
async def test_failures_free_their_place(database_url: str) -> None:
    """Calls that failed, were given up or found no database leave the pool as it was."""
    async with pool_of(database_url) as pool:
        for _ in range(3):
            with pytest.raises(Exception, match="DivisionByZero"):
                await Database(pool, NAMES).run(Message("SELECT 1 / 0"), {})
            with pytest.raises(Unavailable, match="deadline"):
                await Database(pool, NAMES, deadline=0.05).run(SLOW, {})
        assert 0 < await process_of(pool)
    async with pool_of("postgresql://nobody@127.0.0.1:1/none") as pool:
        for _ in range(3):
            with pytest.raises(Unavailable, match="connection"):
                await process_of(pool)
    async with pool_of("postgresql://nobody@a,b/none") as pool:
        pool.parameters["port"] = "1,2,3"  # No URL has more ports than hosts.
        with pytest.raises(ValueError, match=r"^$"):
            await pool.acquire(None, later())
        assert 0 == pool.in_use


@played
async def test_who_has_gone_is_not_served(database_url: str) -> None:
    """A call that is cancelled leaves its queue, also in the moment in which it gets its connection."""
    async with pool_of(database_url, queue=3) as pool:
        held = await pool.acquire("holder", later())
        gone = [asyncio.ensure_future(pool.acquire(user, later())) for user in ("a", "a", "b")]
        await asyncio.sleep(0)
        gone[0].cancel()
        # It is given the connection before it knows that it was cancelled.
        pool.release(held, "holder")
        gone[1].cancel()
        await asyncio.wait(gone[:2])
        pool.release(await gone[2], "b")
        assert (0, 0) == (pool.in_use, pool.waiting)


@played
async def test_who_goes_leaves_the_place_to_the_next(database_url: str) -> None:
    """Where a user has one place in the line, the next call starts though the one before it went as its turn came."""
    async with pool_of(database_url, size=2, queue=2) as pool:
        held = await pool.acquire("a", later(), True)
        gone, next_one = (asyncio.ensure_future(pool.acquire("a", later(), True)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        pool.release(held, "a", True)
        pool.release(await asyncio.wait_for(next_one, 5), "a", True)
        assert (0, 0) == (pool.in_use, pool.waiting)


@played
async def test_who_goes_while_a_connection_is_opened(database_url: str) -> None:
    """The connection that is opened for a call that is cancelled serves the next one."""
    async with pool_of(database_url, queue=1) as pool:
        gone = asyncio.ensure_future(pool.acquire("gone", later()))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        assert 1 == pool.in_use
        assert (await pool.acquire("next", later())).is_open
        assert 1 == pool.in_use


@played
async def test_a_pool_that_ends_while_connections_are_opened() -> None:
    """Where the database does not answer, calls are refused at their time's end or the pool's, and none stays."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with pool_of(f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none", size=2) as pool:
            patient = asyncio.ensure_future(pool.acquire("patient", later()))
            with pytest.raises(Unavailable, match="deadline"):
                await pool.acquire("hasty", later(0.05))
            assert 2 == pool.in_use
            pool.close()
            with pytest.raises(Unavailable, match="closed"):
                await patient
            await eventually(lambda: pool.in_use == 0)


@played
async def test_what_was_sent_may_finish(database_url: str) -> None:
    """The message of a call that is cancelled runs to its end, and then its connection serves the next one."""
    async with pool_of(database_url, queue=1) as pool:
        before = await process_of(pool)
        sent = asyncio.ensure_future(Database(pool, NAMES).run(Message("SELECT pg_sleep(0.3)"), {}))
        await asyncio.sleep(0.05)
        sent.cancel()
        await asyncio.wait([sent])
        assert 1 == pool.in_use
        assert before == await process_of(pool)
        # Its answer is an error, or never comes.
        for text in ("SELECT pg_sleep(0.1), 1 / (random() * 0)::int", SLOW.plain):
            sent = asyncio.ensure_future(Database(pool, NAMES, deadline=1.2).run(Message(text), {}))
            await asyncio.sleep(0.05)
            sent.cancel()
            assert before == await process_of(pool) or text == SLOW.plain
        await eventually(lambda: pool.in_use == 0)


@played
async def test_who_goes_as_the_answer_comes(database_url: str) -> None:
    """A connection whose caller goes in the very turn in which the answer has come is of use at once."""
    async with pool_of(database_url) as pool:
        connection = await pool.acquire(None, later())
        seconds = 0.01
        while seconds < 10:
            asked = asyncio.ensure_future(connection.run("SELECT 1", {}, later()))
            await asyncio.sleep(0)
            # The event loop finds the answer, and then that it is time to cancel.
            time.sleep(seconds)
            asyncio.get_running_loop().call_later(0, asked.cancel)
            await asyncio.wait([asked])
            if connection.is_busy:
                finished = asyncio.Event()
                connection.when_finished(finished.set)
                await finished.wait()
                seconds *= 4
            elif asked.cancelled():
                break
        assert asked.cancelled()
        assert [(2,)] == await connection.run("SELECT 2", {})


@pytest.mark.parametrize("text", ["SELECT 1", "SELECT 1 / 0"])
@played
async def test_who_goes_before_the_answer_in_its_turn(database_url: str, text: str) -> None:
    """One whose caller goes first in that turn, so that nobody takes the answer, is of use at once too."""
    async with pool_of(database_url) as pool:
        connection = await pool.acquire(None, later())
        asked = asyncio.ensure_future(connection.run(text, {}, later()))
        await asyncio.sleep(0)
        time.sleep(0.2)
        asyncio.get_running_loop().call_soon(asked.cancel)
        await asyncio.wait([asked])
        assert (True, False) == (asked.cancelled(), connection.is_busy)


@played
async def test_the_end_of_an_idle_connection_is_noticed(database_url: str) -> None:
    """A connection that the server has closed while it was idle is replaced before anything is sent on it."""
    async with pool_of(database_url) as pool:
        processes = []
        for _ in range(5):
            processes.append(await process_of(pool))
            await asyncio.to_thread(end_process, database_url, processes[-1])
            connection = await pool.acquire(None, later())
            pool.release(connection, None)
    assert 5 == len(set(processes))


@played
async def test_connections_that_are_lost_together(database_url: str) -> None:
    """Reads that lose their connections in one turn are all served, though new sockets take the old ones' numbers."""
    async with pool_of(database_url, size=2) as pool:
        both = [await pool.acquire(user, later()) for user in range(2)]
        processes = [connection.process for connection in both]
        for user, connection in enumerate(both):
            pool.release(connection, user)
        # Long in these sessions only, so that the repeat in another one is answered at once.
        slow = Message(
            f"SELECT pg_sleep(CASE WHEN pg_backend_pid() IN {tuple(processes)} THEN 60 ELSE 0 END)::text"
        )
        calls = [asyncio.ensure_future(Database(pool, NAMES).run(slow, {}, user)) for user in range(2)]
        await asyncio.sleep(0.05)
        # In this thread, so that the event loop finds both ends at once, that of the higher number first.
        end_process(database_url, *reversed(processes))
        assert 2 * [[{"pg_sleep": ""}]] == await asyncio.gather(*calls)


@played
async def test_what_was_closed_is_not_closed_again(database_url: str) -> None:
    """A pool that ends leaves alone the socket that has got the number of one of its lost connections."""
    async with pool_of(database_url) as pool:
        await asyncio.to_thread(end_process, database_url, await process_of(pool))
        async with pool_of(database_url) as other:
            await process_of(other)
            pool.close()
            assert 0 < await asyncio.wait_for(process_of(other), 5)


@played
async def test_a_message_larger_than_the_socket_takes(database_url: str) -> None:
    """A message that goes out in many pieces arrives whole."""
    async with pool_of(database_url) as pool:
        assert [{"length": 8_000_000}] == await Database(pool, NAMES).run(
            Message("SELECT length(%(text)s) AS length"), {"text": 8_000_000 * "a"}
        )


def test_an_address_that_is_given_is_kept() -> None:
    """A URL with `hostaddr` is not looked up: its name serves the check of the certificate alone."""
    parameters = libpq_parameters("postgresql://nobody@host.invalid/none?hostaddr=127.0.0.1")
    arguments = asyncio.run(connection_arguments(parameters))
    assert ("host.invalid", "127.0.0.1") == (arguments["host"], arguments["hostaddr"])


@played
async def test_no_such_host() -> None:
    """A host that cannot be found is trouble that may pass, since names come and go."""
    async with pool_of("postgresql://nobody@host.invalid/none") as pool:
        with pytest.raises(Unavailable, match="connection"):
            await process_of(pool)
