"""Cursors: a place in a list as text, and back."""

from datetime import UTC, datetime

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from handlers.cursors import decode_cursor, encode_cursor
from openapi.contract import contract
from openapi.document import Place

SCHEMA = contract().schema("Cursor")
VALIDATOR = contract().validator(Place("/components/schemas/Cursor", SCHEMA))

times = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(4000, 1, 1))
ids = st.integers(1, 2**63 - 1)


@given(times, ids)
@settings(deadline=None)
def test_round_trip(created_at: datetime, id: int) -> None:
    """A cursor leads back to the time, in UTC to the microsecond, and the number that it was made from."""
    cursor = encode_cursor({"created_at": created_at, "id": id})

    assert {"created_at": created_at.replace(tzinfo=UTC), "id": id} == decode_cursor(cursor)


@given(times, ids)
@settings(deadline=None)
def test_a_cursor_is_the_contracts(created_at: datetime, id: int) -> None:
    """Every cursor has the form that the contract gives."""
    assert VALIDATOR.is_valid(encode_cursor({"created_at": created_at, "id": id}))


@given(st.from_regex(SCHEMA["pattern"], fullmatch=True))
@settings(deadline=None)
def test_whatever_has_the_form_is_a_cursor(cursor: str) -> None:
    """Every text of the contract's form is the one cursor of a place that the database can compare with."""
    position = decode_cursor(cursor)

    assert 0 <= position["id"] < 2**63
    assert cursor == encode_cursor(
        {"created_at": position["created_at"].replace(tzinfo=None), "id": position["id"]}
    )


@given(times, ids, st.integers(0, 59), st.characters())
@settings(deadline=None)
def test_a_damaged_cursor(created_at: datetime, id: int, index: int, character: str) -> None:
    """A cursor in which any one character is another does not have the form."""
    cursor = encode_cursor({"created_at": created_at, "id": id})
    assume(character != cursor[index])

    assert not VALIDATOR.is_valid(cursor[:index] + character + cursor[index + 1 :])
    assert not VALIDATOR.is_valid(cursor[:index] + cursor[index + 1 :])
