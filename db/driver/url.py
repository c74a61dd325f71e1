"""The database's address: which URLs are taken, and what a connection is opened with."""

import asyncio
import socket
from ipaddress import ip_address
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.exc import ArgumentError

CONNECT_TIMEOUT_SECONDS = 3


def normalise(url: str) -> URL:
    """`url` for psycopg2, whichever of `postgres://`, `postgresql://` and `postgresql+psycopg2://` it begins with.

    SQLAlchemy 2.1 would read `postgresql://` as psycopg 3.

    Raises:
        ValueError: for any other URL; the message does not hold it, since it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(
            "the database URL cannot be read; it looks like postgresql://user@host/name"
        ) from None
    if parsed.drivername not in ("postgres", "postgresql", "postgresql+psycopg2"):
        raise ValueError("the database URL must begin with postgresql:// or postgres://")
    return parsed.set(drivername="postgresql+psycopg2")


async def connection_arguments(url: URL) -> dict[str, Any]:
    """What `psycopg2.connect` takes for `url`, a name of a host looked up already unless `url` has its address.

    libpq would look it up itself, and nothing else would run on the event loop meanwhile.

    Raises:
        OSError: if there is no host of that name.
    """
    arguments: dict[str, Any] = PGDialect_psycopg2().create_connect_args(url)[1]  # type: ignore[no-untyped-call]
    host = str(arguments.get("host", ""))
    is_name = host and not host.startswith(("/", "@")) and "," not in host and not _is_address(host)
    if is_name and "hostaddr" not in arguments:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, arguments.get("port"), type=socket.SOCK_STREAM)
        addresses = [str(address[0]) for *_, address in found]
        # The name stays beside each address, since TLS verifies it.
        arguments |= {"host": ",".join([host] * len(addresses)), "hostaddr": ",".join(addresses)}
    return {
        "application_name": "todo-api",
        "client_encoding": "utf8",
        # A peer that vanished without a word is noticed in about 20 seconds instead of two hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        **arguments,
    }


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
