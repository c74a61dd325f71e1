"""Pools of connections as the service has them, on an event loop of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

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


def with_pool(
    url: str,
    use: Callable[[Pool], Awaitable[Any]],
    size: int = 1,
    queue: int = 0,
    loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> Any:
    """What `use` makes with a pool of this size."""

    async def run() -> Any:
        async with pool_of(url, size, queue) as pool:
            return await use(pool)

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(run())


def later(seconds: float = 60) -> float:
    """A time by the event loop's clock."""
    return asyncio.get_running_loop().time() + seconds


async def eventually(condition: Callable[[], bool]) -> None:
    """Returns as soon as the condition is true."""
    while not condition():
        await asyncio.sleep(0.01)
