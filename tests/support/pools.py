"""Pools of connections as the service has them, on an event loop of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from db.driver.pool import Pool


@asynccontextmanager
async def pool_of(url: str, size: int = 1, queue: int = 0) -> AsyncIterator[Pool]:
    """A pool that is closed at the end."""
    pool = Pool(url, size, queue)
    try:
        yield pool
    finally:
        pool.close()


class StoppedClock(asyncio.SelectorEventLoop):
    """An event loop on which no time passes but by its `now`, however busy the machine is."""

    now = 0.0

    def time(self) -> float:
        """The time by which the loop goes, in seconds."""
        return self.now


def later(seconds: float = 60) -> float:
    """A time by the event loop's clock."""
    return asyncio.get_running_loop().time() + seconds


async def eventually(condition: Callable[[], bool]) -> None:
    """Returns as soon as the condition is true."""
    while not condition():
        await asyncio.sleep(0.01)
