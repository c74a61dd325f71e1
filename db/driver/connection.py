"""One connection to PostgreSQL on the event loop: psycopg2's asynchronous mode, so that waiting takes no thread
(see docs/decisions/0004-no-threads.md)."""

import asyncio
import codecs
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from math import inf
from typing import Any

import psycopg2
from psycopg2.extensions import DECIMAL, FLOAT, POLL_OK, POLL_WRITE, PYDATETIME, encodings, new_type

from db.driver.faults import is_disconnect

# Stands in a message for the session's number; no statement can hold it itself.
SESSION = "\0"
_TIME = "SELECT date_part('epoch', clock_timestamp()), NULL"
# Two clocks that are kept right drift apart by less than a tenth of a second in this time.
CLOCK_SECONDS = 60
SWEEP_SECONDS = 0.25
# The socket's buffer, which is empty while nothing is under way, takes that much at once, so that nothing is left of it
# for poll() to write.
_SHORT_BYTES = 4096
# The driver asks Python's codec for the name of each column of each answer. These are the functions in C on which that
# codec stands.
_UTF_8 = codecs.CodecInfo(codecs.utf_8_encode, codecs.utf_8_decode, name="utf_8_in_c")
codecs.register({_UTF_8.name: _UTF_8}.get)
encodings["UTF8"] = _UTF_8.name


def _as_time(value: Any, cursor: Any) -> Any:
    try:
        return None if value is None else datetime.fromisoformat(value)
    except ValueError:  # Infinity, for one.
        return PYDATETIME(value, cursor)


def _as_bytes(value: Any, cursor: Any) -> bytes | None:
    return None if value is None else bytes(psycopg2.BINARY(value, cursor))


TYPES = (
    # As the types that are generated from a contract call a number.
    new_type(DECIMAL.values, "NUMBER", FLOAT),
    # As an answer sends them.
    new_type(psycopg2.BINARY.values, "BYTES", _as_bytes),
    # PostgreSQL's `timestamp`, in half the time.
    new_type((1114,), "TIME", _as_time),
)
"""What values are in Python, where the driver by itself has another type or takes longer."""


class Deadlines:
    """Ends with TimeoutError each future that is not done in time.

    They are looked at four times a second, which costs a wait nothing but an entry in a table.
    """

    def __init__(self) -> None:
        self._ends: dict[asyncio.Future[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, future: asyncio.Future[Any], end: float) -> None:
        """Begins to watch a future; `end` is by the clock of its event loop."""
        self._ends[future] = end
        if self._timer is None:
            self._timer = future.get_loop().call_later(SWEEP_SECONDS, self._sweep)

    def leave(self, future: asyncio.Future[Any]) -> None:
        """Watches the future no longer."""
        self._ends.pop(future, None)

    def _sweep(self) -> None:
        self._timer = None
        if not self._ends:
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep)
        now = loop.time()
        for future in [future for future, end in self._ends.items() if end < now and not future.done()]:
            del self._ends[future]
            future.set_exception(TimeoutError())


class Connection:
    """An open connection; one message is under way at a time, and it has one owner: whoever runs that message.

    Its socket is watched as long as it lives. So a message costs no change to what the event loop watches, and the
    end of an idle connection (Neon suspends, poolers restart) is noticed when it happens, without a ping.
    """

    def __init__(self, opened: Any, deadlines: Deadlines) -> None:
        self.prepared: set[str] = set()
        self.prepares = True
        # To be closed when it is given back.
        self.is_spent = False
        # Where the session serves nobody else: the schema of the service, and a number that no other session has.
        self.own_schema: str | None = None
        self.session = 0
        self._named: dict[str, str] = {}
        self._deadlines = deadlines
        self._opened = opened
        self._cursor = opened.cursor()
        self._descriptor = opened.fileno()
        self._is_watched = True
        self._answered: asyncio.Future[None] | None = None
        self.loop = asyncio.get_running_loop()
        # When its owner got it, by the clock of the event loop; for the pool to keep.
        self.taken_at = self.loop.time()
        self.loop.add_reader(self._descriptor, self._on_readable)

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return not self._opened.closed

    @property
    def is_busy(self) -> bool:
        """Whether a message was left before its answer."""
        return self._answered is not None and self.is_open

    @property
    def process(self) -> int:
        """The process of the server as it was named when the connection was opened; a pooler names one of its own."""
        return int(self._opened.get_backend_pid())

    @property
    def columns(self) -> list[str]:
        """The names of the columns of the last answer."""
        return [column.name for column in self._cursor.description or ()]

    def named(self, text: str) -> str:
        """A message with the session's number in the place of SESSION."""
        named = self._named.get(text)
        if named is None:
            named = self._named[text] = text.replace(SESSION, str(self.session))
        return named

    async def learn_clock(self, end: float, question: str = _TIME) -> Any:
        """Asks for the database's time, which is then known until it has drifted, and returns what is answered beside
        it; `end` is as for `run`."""
        ((time, other),) = await self.run(question, {"process": self.process}, end)
        now = self.loop.time()
        # The answer was on its way for a while, so the database's clock is a little later than this: what may be sent
        # until then is given up by the database too early rather than too late.
        self._clock = time - now
        self.clock_known_until = now + CLOCK_SECONDS
        return other

    def database_time(self, time: float) -> str:
        """What the database's clock shows at a time of the event loop's clock, or a little less, in ISO 8601."""
        # As a text, since the driver takes twice as long to make one of a datetime.
        return datetime.fromtimestamp(time + self._clock, UTC).isoformat()

    async def run(self, text: str, parameters: Mapping[str, Any], end: float = inf) -> list[tuple[Any, ...]]:
        """Sends `text` as one message and returns the rows that its last statement answers.

        Args:
            parameters: the values of its `%(name)s` marks.
            end: until when to wait for the answer, by the event loop's clock. After that the connection is closed,
                since the next message would take that answer for its own.

        Raises:
            psycopg2.Error: as the driver raises it; after a lost connection this one is closed.
            TimeoutError: if there is no answer in time.
        """
        answered = self._answered = self.loop.create_future()
        self._deadlines.watch(answered, end)
        try:
            self._cursor.execute(text, parameters)
            if len(self._cursor.query) > _SHORT_BYTES:
                self._advance()
            await answered
            self._answered = None
            return self._cursor.fetchall() if self._cursor.description else []
        except asyncio.CancelledError:
            # Who asked has gone. What was sent may finish; the connection is of use again after its answer, which may
            # have come in this turn of the event loop.
            self._answered = self.loop.create_future() if self._opened.isexecuting() else None
            if self._answered is not None:
                self._deadlines.watch(self._answered, end)
            raise
        except BaseException as error:
            self._answered = None
            if not isinstance(error, psycopg2.Error) or is_disconnect(error):
                self.close()
            raise
        finally:
            self._deadlines.leave(answered)

    def when_finished(self, call: Callable[[], None]) -> None:
        """Calls back once the answer to a message that was left has come, or is out of time."""

        def finish(answered: asyncio.Future[None]) -> None:
            self._deadlines.leave(answered)
            self._answered = None
            # Where the driver has failed and the connection was lost, `_advance` has closed it.
            if isinstance(answered.exception(), TimeoutError):
                self.close()
            call()

        assert self._answered is not None
        self._answered.add_done_callback(finish)

    def close(self) -> None:
        """Closes the connection at once, whatever is under way."""
        if self._is_watched:
            # Once only: afterwards the number is that of another socket.
            self._is_watched = False
            self.loop.remove_reader(self._descriptor)
            self.loop.remove_writer(self._descriptor)
        if self._answered is not None:
            self._deadlines.leave(self._answered)
        self._opened.close()

    def _on_readable(self) -> None:
        if self._answered is None:
            # Nothing has been asked, so this is the end of the stream, or a farewell.
            self.close()
        else:
            self._advance()

    def _on_writable(self) -> None:
        self.loop.remove_writer(self._descriptor)
        self._advance()

    def _advance(self) -> None:
        answered = self._answered
        assert answered is not None
        try:
            state = self._opened.poll()
        except psycopg2.Error as error:
            if self._opened.closed or is_disconnect(error):
                # Now, not when the caller runs again: libpq has closed the socket, and the next one gets its number.
                self.close()
            with suppress(asyncio.InvalidStateError):  # Its time may be over in this turn of the event loop.
                answered.set_exception(error)
            return
        if state == POLL_WRITE:
            self.loop.add_writer(self._descriptor, self._on_writable)
        elif state == POLL_OK and not answered.done():
            answered.set_result(None)
