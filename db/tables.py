"""What a service keeps in a database: its tables, their history, and what it calls its own there."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Insert, MetaData

from db.admin.migrate import Migrations
from db.driver.names import Names


class Tables(NamedTuple):
    """The tables of one service.

    Args:
        names: what it calls its roles and functions in the database.
        metadata: the tables, each of which says whose its rows are (`db.driver.ownership`).
        migrations: what makes them.
        register: insertions that make a user's own row, where there is such a table (`db.driver.database.Database`).
    """

    names: Names
    metadata: MetaData
    migrations: Migrations
    register: Sequence[Insert] = ()
