"""The server of `contract mock`: one process, uvicorn as it is, and nothing of the service's own."""

import os
import signal
import socket
import sys

import click
import uvicorn

from openapi.bridge.mock.service import MockService


def run_mock(app: MockService, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT, then exits with 0.

    Raises:
        ClickException: if the address cannot be had; the line says why.
    """
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: sys.exit(0))
    is_ipv6 = ":" in host
    try:
        family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        # A failed look-up of a name has a negative number, which is not one of the system's errors.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else "there is no such host"
        raise click.ClickException(
            f"cannot listen on {host} port {port} ({reason}): choose another --host or --port"
        ) from None
    with listener:
        shown = f"[{host}]" if is_ipv6 else host
        click.echo(f"the mock answers at http://{shown}:{listener.getsockname()[1]}")
        configuration = uvicorn.Config(
            app,
            interface="asgi3",
            loop="uvloop",
            http="httptools",
            ws="none",
            # It has nothing to start or to end.
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
        )
        uvicorn.Server(configuration).run(sockets=[listener])
