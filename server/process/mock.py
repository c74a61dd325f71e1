"""The server of `contract mock`: one process, with the service's own connections and nothing else of it."""

import signal
import sys

import click
import uvicorn

from openapi.bridge.mock.service import MockService
from server.cors import CrossOrigin, Fields
from server.process.connections import Connections
from server.process.listening import address_on, listen
from server.telemetry.observe import REQUEST_ID, Observer

_REQUEST_TIMEOUT = 30
_KEEP_ALIVE = 75
# What the server itself puts on each answer, in small letters.
ADDED = frozenset(
    {
        REQUEST_ID.lower(),
        *(f"access-control-{name}" for name in ("allow-credentials", "allow-origin", "expose-headers")),
    }
)


class _EveryPage(CrossOrigin):
    """Pages of every origin may call, with their cookies too, since a mock has nothing to protect."""

    def _fields(self, origin: bytes | None) -> Fields:
        """The origin is named, as browsers ask for where cookies come along (the Fetch standard, section 3.3.5)."""
        fields = {**dict(super()._fields(origin)), b"vary": b"Origin"}
        if origin is not None:
            fields |= {b"access-control-allow-origin": origin, b"access-control-allow-credentials": b"true"}
        return tuple(fields.items())


def run_mock(app: MockService, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT, then exits with 0; pages of every origin may call it.

    Raises:
        StartError: if the address cannot be had.
    """
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: sys.exit(0))
    state = {
        "observer": Observer(app.contract),
        "writer": app.writer,
        "cross_origin": _EveryPage(app.contract, app.writer, ["*"]),
    }
    connections = Connections(_REQUEST_TIMEOUT, _KEEP_ALIVE, state=state)
    with listen(host, port, _REQUEST_TIMEOUT, "choose another --host or --port") as listener:
        click.echo(f"the mock answers at {address_on(host, listener.getsockname()[1])}")
        # It has nothing to start or to end.
        configuration = connections.configuration(
            app, lifespan="off", log_level="warning", timeout_graceful_shutdown=5
        )
        uvicorn.Server(configuration).run(sockets=[listener])
