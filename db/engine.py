"""The connection pool: psycopg2 in autocommit, and no idle connection that has died in the meantime."""

import select
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError

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


def open_engine(url: str, pool_size: int) -> Engine:
    """An engine whose connections are in autocommit, at most `pool_size` of them, opened when first needed.

    Args:
        url: a PostgreSQL URL in any of the forms that `normalise` takes.
    """
    engine = create_engine(
        normalise(url),
        pool_size=pool_size,
        # There are as many threads as connections, so nobody ever waits for a connection.
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_SECONDS,
        # In autocommit there is nothing to roll back, and a rollback would be a round trip.
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        # The hstore probe would be three statements for each new connection.
        use_native_hstore=False,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": "todo-api",
            # A peer that vanished without a word is noticed in about 20 seconds instead of two hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 2,
            # One that vanishes during a statement would hold its thread for a quarter of an hour (milliseconds).
            "tcp_user_timeout": 5_000,
        },
    )
    event.listen(engine, "checkout", _refuse_dead_connection)
    return engine


def _refuse_dead_connection(connection: Any, _record: Any, _proxy: Any) -> None:
    """Lets the pool replace a connection that the server has closed, without the round trip of a ping.

    On an idle connection the server has nothing to say: if its socket can be read, it holds the end of the
    stream or a farewell. Neon suspends and poolers restart in this way.
    """
    if connection.closed or select.select([connection.fileno()], [], [], 0)[0]:
        raise InvalidatePoolError
