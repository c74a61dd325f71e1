"""The threads in which handlers wait for the database, and the bounded queue before them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from openapi.errors import Unavailable

Result = TypeVar("Result")

# Longer than PostgreSQL lets a statement run (see todo_enter), so that it is the one to decide where it can. It
# cannot while its machine is frozen or cut off, nor for a call that still waits for a thread.
DEADLINE_SECONDS = 4.5


class Threads:
    """Runs blocking calls in `size` threads; at most `queue` more calls wait, further ones are refused at once.

    A few threads are enough, since they only wait for PostgreSQL; more would only fight for the interpreter.
    """

    def __init__(self, size: int, queue: int, deadline: float = DEADLINE_SECONDS) -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix="handler")
        self._limit = size + queue
        self._deadline = deadline
        self._waiting = 0

    async def run(self, call: Callable[[], Result]) -> Result:
        """What `call` returns or raises.

        Raises:
            Unavailable: if the queue is full, or the deadline (in seconds) has passed. A call that still waited
                for a thread then is never made; one that runs goes on unheard.
        """
        if self._waiting >= self._limit:
            raise Unavailable("the queue of requests that wait for the database is full")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._deadline):
                return await asyncio.get_running_loop().run_in_executor(self._executor, call)
        except TimeoutError:
            raise Unavailable("the database did not answer within the deadline") from None
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Waits for the calls that run."""
        self._executor.shutdown(wait=True)
