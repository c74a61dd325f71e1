"""The threads for calls that block: what comes back, how many may wait, and for how long."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from openapi.errors import Unavailable
from server.threads import DEADLINE_SECONDS, Threads

Result = TypeVar("Result")


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Blocks the calls that wait for it until it is set, at the end of the test at the latest."""
    gate = threading.Event()
    yield gate
    gate.set()


def run(threads: Threads, *calls: Callable[[], Result]) -> list[Result | BaseException]:
    """What each of the calls returns or raises, all made at once."""

    async def gathered() -> list[Result | BaseException]:
        return await asyncio.gather(*map(threads.run, calls), return_exceptions=True)

    try:
        return asyncio.run(gathered())
    finally:
        threads.close()


def test_a_call_runs_in_another_thread_and_its_result_comes_back() -> None:
    """The event loop is free while a call runs, since it runs in a thread of its own."""
    (name,) = run(Threads(1, 0), lambda: threading.current_thread().name)

    assert isinstance(name, str)
    assert name.startswith("handler")


def test_what_a_call_raises_comes_back_as_it_is() -> None:
    """An exception of a call is the awaiting request's own."""
    error = KeyError("a fault")

    def fail() -> None:
        raise error

    assert [error] == run(Threads(1, 0), fail)


def test_a_call_beyond_the_queue_is_refused_at_once(gate: threading.Event) -> None:
    """With all threads busy and the queue full, one more call is Unavailable and those before it are served."""
    threads = Threads(1, 2)

    async def overfilled() -> list[bool]:
        accepted = [asyncio.ensure_future(threads.run(gate.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="queue"):
            await threads.run(gate.wait)
        gate.set()
        return await asyncio.gather(*accepted)

    assert [True, True, True] == asyncio.run(overfilled())
    threads.close()


def test_the_queue_empties_again_after_failures() -> None:
    """Calls that have failed no longer count as waiting."""
    threads = Threads(1, 1)

    def fail() -> None:
        raise KeyError

    async def one_after_another() -> list[type]:
        kinds = []
        for _ in range(5):
            with pytest.raises(KeyError) as caught:
                await threads.run(fail)
            kinds.append(caught.type)
        return kinds

    assert [KeyError] * 5 == asyncio.run(one_after_another())
    threads.close()


def test_a_call_that_takes_too_long_is_given_up(gate: threading.Event) -> None:
    """A call that has not returned at the deadline is Unavailable, although its thread cannot be stopped."""
    threads = Threads(1, 0, deadline=0.01)

    async def waited_for() -> None:
        with pytest.raises(Unavailable, match="deadline"):
            await threads.run(gate.wait)
        gate.set()

    asyncio.run(waited_for())
    threads.close()


def test_a_call_whose_deadline_passes_in_the_queue_is_never_made(gate: threading.Event) -> None:
    """What nobody waits for any more does not take a thread from those who do."""
    threads = Threads(1, 1, deadline=0.01)
    made = []

    async def late() -> None:
        outcomes = await asyncio.gather(
            threads.run(gate.wait), threads.run(lambda: made.append("late")), return_exceptions=True
        )
        assert [Unavailable, Unavailable] == [type(outcome) for outcome in outcomes]
        gate.set()

    asyncio.run(late())
    threads.close()
    assert [] == made


def test_close_waits_for_the_calls_that_run(gate: threading.Event) -> None:
    """A server that stops does not cut a statement that is under way."""
    threads = Threads(1, 0)
    done = []

    async def started() -> None:
        running = threading.Event()

        def work() -> None:
            running.set()
            gate.wait()
            done.append("finished")

        task = asyncio.ensure_future(threads.run(work))
        await asyncio.to_thread(running.wait)
        closing = threading.Thread(target=threads.close)
        closing.start()
        assert [] == done
        gate.set()
        await task
        closing.join()

    asyncio.run(started())
    assert ["finished"] == done


def test_the_deadline_leaves_room_for_five_seconds() -> None:
    """Whoever waits is answered in under five seconds, and PostgreSQL's own limit of four comes first."""
    assert 4 < DEADLINE_SECONDS < 5
