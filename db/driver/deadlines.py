"""Until when each wait may last: looked at four times a second, which costs a wait nothing but an entry in a table."""

import asyncio
from typing import Any

INTERVAL_SECONDS = 0.25


class Deadlines:
    """Ends with TimeoutError each future that is not done in time."""

    def __init__(self) -> None:
        self._ends: dict[asyncio.Future[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, future: asyncio.Future[Any], end: float) -> None:
        """Begins to watch a future; `end` is by the clock of its event loop."""
        self._ends[future] = end
        if self._timer is None:
            self._timer = future.get_loop().call_later(INTERVAL_SECONDS, self._sweep)

    def leave(self, future: asyncio.Future[Any]) -> None:
        """Watches the future no longer."""
        self._ends.pop(future, None)

    def _sweep(self) -> None:
        self._timer = None
        if not self._ends:
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(INTERVAL_SECONDS, self._sweep)
        now = loop.time()
        for future in [future for future, end in self._ends.items() if end < now]:
            del self._ends[future]
            if not future.done():
                future.set_exception(TimeoutError())
