"""The socket on which a server listens, and its address."""

import os
import socket
import sys

import click

ACCEPTED_AT_ONCE = 16
"""How many new connections are accepted in a round of the event loop."""


class StartError(click.ClickException):
    """The server cannot start; the message is one line that says why and what to do."""


def listen(
    host: str, port: int, request_timeout: float, remedy: str = "set HOST and PORT to what is free"
) -> socket.socket:
    """A socket that listens.

    Args:
        request_timeout: the seconds in which an answer has to be taken.
        remedy: what a person can do where the address cannot be had.

    Raises:
        StartError: if the address cannot be had.
    """
    is_ipv6 = ":" in host
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    try:
        # With `::` IPv4 is served as well, as everywhere else on Linux.
        listener = socket.create_server((host, port), family=family, dualstack_ipv6=is_ipv6)
        if sys.platform == "linux":
            # Inherited by each connection: a client that does not read its answer lets go of the memory that it holds.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(request_timeout * 1000))
        return listener
    except OSError as error:
        raise no_listening(host, port, error, remedy) from None


def several(listener: socket.socket) -> list[socket.socket]:
    """A listening socket and copies of it, to be served together.

    An event loop of libuv accepts one connection from each in a round, and a round is as long as all that is ready
    takes: a newcomer would wait for as many rounds as others have come before.
    """
    return [listener, *(listener.dup() for _ in range(ACCEPTED_AT_ONCE - 1))]


def no_listening(host: str, port: int, error: OSError, remedy: str) -> StartError:
    """What is said of an address that cannot be had."""
    # A failed look-up of a name has a negative number, which is not one of the system's errors.
    number = error.errno or 0
    reason = os.strerror(number) if number > 0 else "there is no such host"
    return StartError(f"cannot listen on {host} port {port} ({reason}): {remedy}")


def address_on(host: str, port: int) -> str:
    """The URL of what listens there."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
