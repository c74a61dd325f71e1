"""Calls that are made at the same instant."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

Result = TypeVar("Result")


def together(count: int, call: Callable[[int], Result]) -> list[Result]:
    """What `call(0)` to `call(count - 1)` return, each called by a thread of its own when all are ready."""
    barrier = Barrier(count)

    def wait_and_call(index: int) -> Result:
        barrier.wait(30)
        return call(index)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(wait_and_call, range(count)))
