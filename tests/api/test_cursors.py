"""Cursors: a place in a list as text, and back."""

from datetime import UTC, date, datetime
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from db.orders import ORDERS
from handlers.cursors import decode_cursor, encode_cursor
from openapi.contract import contract
from openapi.types import Sort

SCHEMA = contract().schema("Cursor")
VALIDATOR = contract().schemas.validator("/components/schemas/Cursor")

sorts = st.sampled_from(list(ORDERS))
tasks = st.fixed_dictionaries(
    {
        "id": st.integers(1, 2**63 - 1),
        "title": st.text(
            st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=255
        ),
        "created_at": st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(4000, 1, 1)),
        "updated_at": st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(4000, 1, 1)),
        "priority": st.sampled_from(["low", "medium", "high"]),
        "due_date": st.none() | st.dates(),
    }
)


def test_the_orders() -> None:
    """The orders that there are, are those that the contract names."""
    assert contract().schema("Sort")["enum"] == list(ORDERS)


@given(sorts, tasks)
def test_round_trip(sort: Sort, task: Any) -> None:
    """A cursor leads back to the order, the key in it and the number that it was made from."""
    key = ORDERS[sort].value_of(ORDERS[sort].digits_of(task))

    assert (sort, {"key": key, "id": task["id"]}) == decode_cursor(encode_cursor(sort, task))


@given(tasks)
def test_the_newest_first(task: Any) -> None:
    """The cursor of the newest first holds the time of creation, in UTC to the microsecond."""
    _, position = decode_cursor(encode_cursor("-created_at", task))

    assert task["created_at"].replace(tzinfo=UTC) == position["key"]


@given(st.none() | st.dates(), st.none() | st.dates())
def test_keys_of_due_dates(one: date | None, other: date | None) -> None:
    """Keys fall as the days of their order go on, and are least without a day."""
    for sort, first in (("due_date", min), ("-due_date", max)):
        key = {day: ORDERS[sort].digits_of({"due_date": day}) for day in (one, other)}  # type: ignore[index, typeddict-item]
        days = [day for day in key if day is not None]
        if days:
            assert first(days) == max(key, key=key.__getitem__)


@given(sorts, tasks)
def test_a_cursor_is_the_contracts(sort: Sort, task: Any) -> None:
    """Every cursor has the form that the contract gives."""
    assert VALIDATOR.is_valid(encode_cursor(sort, task))


@given(st.from_regex(SCHEMA["pattern"], fullmatch=True))
def test_whatever_has_the_form_is_a_cursor(cursor: str) -> None:
    """Every text of the contract's form is a place in one of the orders, with a number that a task can have."""
    sort, position = decode_cursor(cursor)

    assert sort in ORDERS
    assert "\0" not in str(position["key"]).encode().decode()
    assert 0 <= position["id"] < 2**63


@given(sorts, tasks, st.integers(0, 3093), st.characters())
def test_a_damaged_cursor(sort: Sort, task: Any, index: int, character: str) -> None:
    """A cursor in which any one character is another does not have the form."""
    cursor = encode_cursor(sort, task)
    index %= len(cursor)
    assume(character != cursor[index])

    assert not VALIDATOR.is_valid(cursor[:index] + character + cursor[index + 1 :])
    assert not VALIDATOR.is_valid(cursor[:index] + cursor[index + 1 :])
