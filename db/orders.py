"""The orders of a list, by the contract's names for them.

In each the tasks fall by a key, and those of equal keys by their numbers, so that a key and a number are a place
between two tasks whether or not one is there. An order's key is an integer in a cursor, from 0 to below 2**56.
"""

from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import BigInteger
from sqlalchemy.sql.elements import ColumnElement, literal_column

from db.models import quoted, tasks
from db.times import from_microseconds, to_microseconds
from openapi.contract import contract
from openapi.types import Sort, Task

_PRIORITIES: list[str] = contract().schema("Priority")["enum"]


class Order(NamedTuple):
    """One order.

    Args:
        column: the key as PostgreSQL has it.
        key_of: the key of an answered task, as an integer.
        value_of: what PostgreSQL compares its key with, from the integer.
    """

    column: ColumnElement[Any]
    key_of: Callable[[Task], int]
    value_of: Callable[[int], Any] = int


def _integer(expression: str) -> ColumnElement[int]:
    # The type is said aloud, since a prepared statement gives it to what the key is compared with.
    return literal_column(f"CAST({expression} AS bigint)", BigInteger)


def _days(count: str) -> ColumnElement[int]:
    """A number of days from 1 on, which is 0 for a task without a due date, so that it comes last."""
    return _integer(f"coalesce({count} + 1, 0)")


# The place of an order in this table is in its cursors, so new ones are added at the end.
ORDERS: dict[Sort, Order] = {
    "-created_at": Order(
        tasks.c.created_at,
        lambda task: to_microseconds(task["created_at"]),
        from_microseconds,
    ),
    "priority": Order(
        _integer(f"array_position(ARRAY[{', '.join(map(quoted, _PRIORITIES))}], priority) - 1"),
        lambda task: _PRIORITIES.index(task["priority"]),
    ),
    "due_date": Order(
        _days(f"DATE '{date.max}' - due_date"),
        lambda task: (date.max - task["due_date"]).days + 1 if task["due_date"] else 0,
    ),
    "-due_date": Order(
        _days(f"due_date - DATE '{date.min}'"),
        lambda task: (task["due_date"] - date.min).days + 1 if task["due_date"] else 0,
    ),
}
