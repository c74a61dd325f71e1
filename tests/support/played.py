"""Tests that wait for more than one thing at a time."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any


def played(scenario: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Makes a scenario a test, which runs in an event loop of its own, for two minutes at most."""

    @wraps(scenario)
    def test(**given: Any) -> None:
        asyncio.run(asyncio.wait_for(scenario(**given), 120))

    return test
