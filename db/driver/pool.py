"""The connections that all users share, and whose turn it is.

A connection has one owner at each moment: the pool while it is idle or being opened, and from `acquire` to `release`
the caller. The rules:

- Calls that wait stand in one line and are served as they came. One user has at most PLACES in it, fewer where the line
  would take longer than LINE_SECONDS, and one for what is slow; each other call takes its place at the end when one
  before it has left.
- One user runs at most half of the connections, and at most one slow statement; all slow ones together run half.
- At most CALLS_EACH calls of one user wait, and at most `queue` of all users. One more of the user is refused,
  and only when the time is over that the refusal asks to wait: who asks again without waiting would else keep the
  process busy with refusals, and all users with it.
- A call that is given up, by its caller or because its time is over, leaves its queue and is never started.
- A message that was sent may finish after its caller has gone; until then it counts as its user's.
"""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field

import psycopg2

from db.driver.connection import Connection, Deadlines
from db.driver.faults import failure_of
from db.driver.opening import open_connection
from db.driver.url import libpq_parameters
from openapi.bridge.failures import TooManyRequests, Unavailable

CALLS_EACH = 64
# With one place each, users would be served in turn, and a call would wait as often as its user has others that wait.
PLACES = 8
LINE_SECONDS = 0.4
_SMOOTHING = 1 / 8
# The event loop's clock may tell no shorter time.
_LEAST_SECONDS = 0.001


@dataclass(eq=False, slots=True)
class _User:
    """One user's calls, as long as there are any."""

    running: int = 0
    slow: int = 0
    waiting: list["_Call"] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class _Call:
    """A call that waits for a connection."""

    user: Hashable
    slow: bool
    given: asyncio.Future[Connection]


class Pool:
    """At most `size` connections, opened when first needed; see the module for the rules.

    Args:
        url: as people write it (`db.driver.url.libpq_parameters`).
        queue: how many calls may wait in all.
    """

    def __init__(self, url: str, size: int, queue: int) -> None:
        self.parameters = libpq_parameters(url)
        self._size = size
        self._share = max(1, size // 2)
        self._queue = queue
        self._deadlines = Deadlines()
        self._idle: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._users: dict[Hashable, _User] = {}
        # The calls that stand in the line, in its order.
        self._line: dict[_Call, None] = {}
        # Connections that are given out or being opened, and callers that wait for one.
        self.in_use = self.waiting = 0
        self._slow = 0
        # How long a call keeps its connection, by the last ones.
        self._seconds = _LEAST_SECONDS

    async def acquire(self, user: Hashable, end: float, slow: bool = False) -> Connection:
        """A connection, to be given back with `release` and the same `user` and `slow`.

        Args:
            end: until when to wait, by the event loop's clock.
            slow: whether what is to run may take long.

        Raises:
            TooManyRequests: if too many calls of this user wait, or this one has waited for the user's others in vain.
            Unavailable: if too many calls of all users wait, or there is no connection in time.
        """
        calls = self._users.get(user) or _User()
        if self.in_use < self._size and self._may_start(calls, slow):
            # Nobody who waits could start, else they had been started. So this one passes nobody.
            self._users[user] = calls
            self._start(calls, slow)
            if (connection := self._take_idle()) is not None:
                return connection
            call = _Call(user, slow, asyncio.get_running_loop().create_future())
            self._open_for(call)
        elif len(calls.waiting) >= CALLS_EACH:
            refusal = TooManyRequests("too many calls of one user wait for the database")
            await asyncio.sleep(refusal.retry_after)
            raise refusal
        else:
            call = self._enqueue(user, calls, slow)
        self._deadlines.watch(call.given, end)
        try:
            return await call.given
        except BaseException as error:
            given = call.given
            if given.done() and not given.cancelled() and given.exception() is None:
                # It was given and cancelled in the same turn of the event loop.
                self.release(given.result(), user, slow)
            waited = self._dequeue(call)
            if not isinstance(error, TimeoutError):
                raise
            if waited and not self._may_start(calls, slow):
                raise TooManyRequests("waited in vain for other calls of the same user") from None
            raise Unavailable("there was no connection to the database within the deadline") from None
        finally:
            self._deadlines.leave(call.given)

    def release(self, connection: Connection, user: Hashable, slow: bool = False) -> None:
        """Takes a connection back, after its answer if that was left; one that is closed is forgotten."""
        if connection.is_busy:
            connection.when_finished(lambda: self.release(connection, user, slow))
            return
        seconds = connection.loop.time() - connection.taken_at
        self._seconds = max(_LEAST_SECONDS, self._seconds + _SMOOTHING * (seconds - self._seconds))
        if connection.is_spent:
            connection.close()
        elif connection.is_open:
            self._idle.append(connection)
        self._stop(user, slow)

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        for task in self._opening:
            task.cancel()
        while self._idle:
            self._idle.pop().close()

    def _may_start(self, calls: _User, slow: bool) -> bool:
        return calls.running < self._share and not (slow and (calls.slow or self._slow >= self._share))

    def _start(self, calls: _User, slow: bool) -> None:
        self.in_use += 1
        calls.running += 1
        if slow:
            self._slow += 1
            calls.slow += 1

    def _stop(self, user: Hashable, slow: bool) -> None:
        calls = self._users[user]
        self.in_use -= 1
        calls.running -= 1
        if slow:
            self._slow -= 1
            calls.slow -= 1
        if not (calls.running or calls.waiting):
            del self._users[user]
        self._serve()

    def _serve(self) -> None:
        """Gives the connections that are free to those in the line who may start."""
        while self.waiting and self.in_use < self._size and (call := self._next()) is not None:
            self._start(self._users[call.user], call.slow)
            if (idle := self._take_idle()) is not None:
                call.given.set_result(idle)
            else:
                self._open_for(call)

    def _take_idle(self) -> Connection | None:
        # The last one that was used is taken first, so that PostgreSQL keeps as few busy as it can.
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                connection.taken_at = connection.loop.time()
                return connection
        return None

    def _enqueue(self, user: Hashable, calls: _User, slow: bool) -> _Call:
        if self.waiting >= self._queue:
            raise Unavailable("the queue of requests that wait for the database is full")
        call = _Call(user, slow, asyncio.get_running_loop().create_future())
        self._users[user] = calls
        calls.waiting.append(call)
        self.waiting += 1
        self._line_up(calls, slow)
        return call

    def _line_up(self, calls: _User, slow: bool) -> None:
        """Has as many of a user's calls stand in the line as may; who stands there keeps the place."""
        if len(calls.waiting) < 2:
            # As most users have it, and one may stand there always.
            self._line.update(dict.fromkeys(calls.waiting))
            return
        alike = [call for call in calls.waiting if call.slow == slow]
        fitting = int(LINE_SECONDS * self._size / (self._seconds * len(self._users)))
        for call in alike[: 1 if slow else max(1, min(PLACES, fitting))]:
            self._line.setdefault(call)

    def _leave(self, calls: _User, call: _Call) -> None:
        calls.waiting.remove(call)
        self.waiting -= 1
        self._line.pop(call, None)
        self._line_up(calls, call.slow)

    def _dequeue(self, call: _Call) -> bool:
        """Lets a call leave its queue; whether it was still there."""
        calls = self._users.get(call.user)
        if calls is None or call not in calls.waiting:
            return False
        self._leave(calls, call)
        if not (calls.running or calls.waiting):
            del self._users[call.user]
        # Another of the user's has its place now, and may be one that can start.
        self._serve()
        return True

    def _next(self) -> _Call | None:
        """The first call in the line that may start, taken from it; None where no user may start another."""
        for call in self._line:
            calls = self._users[call.user]
            # One that is done has been given up, and its caller has not run since.
            if not call.given.done() and self._may_start(calls, call.slow):
                self._leave(calls, call)
                return call
        return None

    def _open_for(self, call: _Call) -> None:
        task = asyncio.get_running_loop().create_task(self._open(call))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, call: _Call) -> None:
        try:
            connection = await open_connection(self.parameters, self._deadlines)
        except BaseException as error:
            failure: BaseException = error
            if isinstance(error, psycopg2.Error):
                # A failure of its own, so that a database that lets nobody in is not asked again by this request.
                failure = failure_of(error)
            elif isinstance(error, asyncio.CancelledError):
                failure = Unavailable("the pool was closed")
            if not call.given.done():
                call.given.set_exception(failure)
            self._stop(call.user, call.slow)
            return
        if call.given.done():
            self.release(connection, call.user, call.slow)
        else:
            call.given.set_result(connection)
