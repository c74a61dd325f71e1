"""The orders of a list, by the contract's names for them.

In each the tasks fall or rise by a key, and those of equal keys fall by their numbers, so that a key and a number are
a place between two tasks whether or not one is there. In a cursor a key is hexadecimal digits: 14 of an integer, or
six for each code point of a text.
"""

from collections.abc import Callable
from datetime import date
from string import ascii_lowercase, ascii_uppercase
from sys import maxunicode
from typing import Any, Literal, NamedTuple

from sqlalchemy import BigInteger, Column, Text
from sqlalchemy.sql.elements import ColumnElement, literal_column

from db.contract_columns import sql_text
from db.models import tasks
from db.times import from_microseconds, to_microseconds
from openapi.contract import contract
from openapi.types import Sort, Task

_PRIORITIES: list[str] = contract().schema("Priority")["enum"]


class Order(NamedTuple):
    """One order.

    Args:
        column: the key as PostgreSQL has it.
        digits_of: the digits of an answered task's key.
        value_of: what PostgreSQL compares its key with, from the digits.
        rises: whether the least key comes first.
    """

    column: ColumnElement[Any]
    digits_of: Callable[[Task], str]
    value_of: Callable[[str], Any]
    rises: bool = False


def _by_number(expression: str, number_of: Callable[[Task], int]) -> Order:
    # The type is said aloud, since a prepared statement gives it to what the key is compared with.
    column = literal_column(f"CAST({expression} AS bigint)", BigInteger)
    return Order(column, lambda task: f"{number_of(task):014x}", lambda digits: int(digits, 16))


def _by_time(column: Column[Any], member: Literal["created_at", "updated_at"]) -> Order:
    return Order(
        column,
        lambda task: f"{to_microseconds(task[member]):014x}",
        lambda digits: from_microseconds(int(digits, 16)),
    )


def _days(count: str, count_of: Callable[[date], int]) -> Order:
    """A number of days from 1 on, which is 0 for a task without a due date, so that it comes last."""
    return _by_number(
        f"coalesce({count} + 1, 0)",
        lambda task: count_of(task["due_date"]) + 1 if task["due_date"] else 0,
    )


# The one way to fold letters that is the same in every database, whatever its locale.
_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)


def _digits_of_title(task: Task) -> str:
    return "".join(f"{ord(character):06x}" for character in task["title"].translate(_SMALL))


def _title_of(digits: str) -> str:
    """The title of the digits; what no text can hold stands for another character, which is a place as well."""
    codes = (int(digits[start : start + 6], 16) for start in range(0, len(digits), 6))
    text = "".join(chr(min(code, maxunicode)) for code in codes).replace("\0", "\ufffd")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# The place of an order in this table is in its cursors, so new ones are added at the end.
ORDERS: dict[Sort, Order] = {
    "-created_at": _by_time(tasks.c.created_at, "created_at"),
    "priority": _by_number(
        f"pg_catalog.array_position(ARRAY[{', '.join(map(sql_text, _PRIORITIES))}], priority) - 1",
        lambda task: _PRIORITIES.index(task["priority"]),
    ),
    "due_date": _days(f"DATE '{date.max}' - due_date", lambda day: (date.max - day).days),
    "-due_date": _days(f"due_date - DATE '{date.min}'", lambda day: (day - date.min).days),
    "-updated_at": _by_time(tasks.c.updated_at, "updated_at"),
    "title": Order(
        literal_column('pg_catalog.lower(title COLLATE "C")', Text), _digits_of_title, _title_of, rises=True
    ),
}
