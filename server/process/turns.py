"""Turns of large requests, so that many of them do not hold up all others."""

from asyncio import AbstractEventLoop, Future
from collections import deque

LARGE_BYTES = 4 * 1024
"""A request with a larger head, or a larger body, waits for its turn to be read."""


class Turns:
    """Lets one large request go on in each round of the event loop, in the order in which they ask.

    To read one takes up to 30 ms of processor time. All that are ready would take theirs in one round, and a small
    request, which needs some rounds to reach the database and come back, would wait for all of them several times.
    """

    def __init__(self) -> None:
        self._waiting: deque[Future[None]] = deque()
        self._is_taken = False

    async def take(self, loop: AbstractEventLoop) -> None:
        """Returns when no other large request has gone on in this round."""
        if self._is_taken:
            turn = loop.create_future()
            self._waiting.append(turn)
            await turn
        else:
            self._is_taken = True
            loop.call_soon(self._pass_on, loop)

    def _pass_on(self, loop: AbstractEventLoop) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            # It is done where its client has gone meanwhile.
            if not turn.done():
                turn.set_result(None)
                loop.call_soon(self._pass_on, loop)
                return
        self._is_taken = False
