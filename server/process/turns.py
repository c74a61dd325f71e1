"""Turns of large requests, so that many of them do not hold up all others."""

import asyncio

LARGE_BYTES = 4 * 1024
"""A request with a larger head, or a larger body, waits for its turn to be read."""


class Turns:
    """Lets one large request at most go on in a round of the event loop, in the order in which they ask.

    To read one takes up to 30 ms of processor time. All that are ready would take theirs in one round, and a small
    request, which needs some rounds to reach the database and come back, would wait for all of them several times.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Returns when no other large request has gone on in this round."""
        await self._turn.acquire()
        asyncio.get_running_loop().call_soon(self._turn.release)
