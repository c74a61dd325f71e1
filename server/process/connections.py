"""All connections of one server: how many there are at most, and how long each may wait."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from server.process.client_connection import ClientConnection
from server.process.http_protocol import HttpProtocol
from server.process.turns import Turns

log = logging.getLogger("todo_api")

FIRST_BYTE_SECONDS = 10
"""How long a new connection may say nothing."""
SWEEP_SECONDS = 0.25
MOST_FILES = 65_536
# Of the files that the system lets a process open, those that are no connection: database, log, pages, issuer.
OTHER_FILES = 128
# Of the connections, the part that makes room for newcomers when there are too many.
_ROOM = 16
_LOG_SECONDS = 60


def raise_file_limit() -> None:
    """Lets this process, and those that it starts, open as many files as the system allows it, up to MOST_FILES."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _bounded(soft) < _bounded(hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (_bounded(hard), hard))


def most_connections() -> int:
    """The number of connections for which this process can open files."""
    import resource

    files = _bounded(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return max(files - OTHER_FILES, files // 2)


def _bounded(limit: int) -> int:
    # No limit is a negative number, or a very large one.
    return min(limit, MOST_FILES) if limit >= 0 else MOST_FILES


@dataclass
class Connections:
    """Makes the protocol of each connection, and ends those whose time is up; uvicorn takes it as its setting `http`.

    Args:
        request_timeout: the seconds in which a request has to arrive whole, and an answer to be taken.
        keep_alive: the seconds for which a connection stays open between two requests.
        root_path: the path below which clients find the service, as ROOT_PATH has it.
        most: how many there may be; else as many as the process can open files for.
        state: what each connection knows beside what the application's start has made.
    """

    request_timeout: float
    keep_alive: float
    root_path: str = ""
    most: int = field(default_factory=most_connections)
    state: Mapping[str, Any] = field(default_factory=dict)
    is_stopping: bool = field(default=False, init=False)
    """Whether every connection, also one that is still to begin, ends after the request that is under way."""
    turns: Turns = field(default_factory=Turns, init=False)
    _open: Any = field(default=(), init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _logged_at: float = field(default=-inf, init=False)

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> HttpProtocol:
        """The protocol of a connection that is about to begin; uvicorn calls it for each."""
        self._open = server_state.connections
        loop = _loop or asyncio.get_running_loop()
        return HttpProtocol(self, config.loaded_app, server_state, {**app_state, **self.state}, loop)

    def configuration(self, app: Any, **further: Any) -> Config:
        """What uvicorn serves `app` by, over these connections."""
        return Config(
            app,
            interface="asgi3",
            loop="uvloop",
            http=self,  # type: ignore[arg-type]  # a protocol's class, by its type
            # Nothing here speaks WebSocket.
            ws="none",
            # Each line would hold a user's name, in the path.
            access_log=False,
            # What serves is nobody's business.
            server_header=False,
            # X-Forwarded-* would be believed from loopback; nothing here needs the client's address.
            proxy_headers=False,
            **further,
        )

    def admit(self, connection: ClientConnection) -> None:
        """Begins to look after a connection that has just been opened."""
        connection.deadline = connection.loop.time() + min(FIRST_BYTE_SECONDS, self.request_timeout)
        if self.is_stopping:
            connection.shutdown()
        if len(self._open) > self.most:
            self._make_room(connection)
        if self._timer is None:
            self._sweep(connection.loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ends those whose time is up; one timer for all, since most requests come and go between two sweeps."""
        now = loop.time()
        for connection in [each for each in self._open if each.deadline < now]:
            connection.expire()
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if self._open else None

    def _make_room(self, newcomer: ClientConnection) -> None:
        """Closes some of those that wait for their client, idle ones first, and of these the longest waiting.

        Several at once, since to find them costs a look at all.
        """
        waiting = [each for each in self._open if each.deadline < inf and each is not newcomer]
        waiting.sort(key=lambda each: (not each.is_idle, each.deadline))
        leaving = waiting[: max(1, len(self._open) // _ROOM)] or [newcomer]
        for connection in leaving:
            connection.give_way()
        now = newcomer.loop.time()
        if now - self._logged_at > _LOG_SECONDS:
            self._logged_at = now
            log.warning(
                "more than %d connections: %d of those that wait for their client were closed; "
                "limit the connections of each client in front of the service, or let it open more files",
                self.most,
                len(leaving),
            )
