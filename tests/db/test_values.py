"""How values pass between Python and PostgreSQL, whose types SQLAlchemy would look after on its own connections."""

import asyncio
from datetime import date, datetime
from typing import Any

import pytest
from sqlalchemy import (
    ColumnElement,
    DateTime,
    LargeBinary,
    Numeric,
    Text,
    bindparam,
    cast,
    insert,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.selectable import ReturnsRows

from db.driver.database import Database, Tenant
from db.driver.faults import ConstraintError
from db.models import NAMES, tasks
from openapi.bridge.failures import BadRequest, InternalError
from tests.support.pools import pool_of

VALUE = bindparam("value", type_=JSONB)


def fetched(url: str, statement: ReturnsRows, **values: Any) -> Any:
    """The first row that a user gets, of whom nothing is registered."""

    async def run() -> Any:
        async with pool_of(url) as pool:
            return await Tenant(Database(pool, NAMES), "nobody we know", {}).fetch_one(statement, **values)

    return asyncio.run(run())


def answered(url: str, expression: ColumnElement[Any], **values: Any) -> Any:
    """What a user gets for an expression."""
    return fetched(url, select(expression.label("answer")), **values)["answer"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([{"since": date(2026, 1, 1), "amounts": [1, 2.5]}], [{"since": "2026-01-01", "amounts": [1, 2.5]}]),
        ({"a%(b)s": "'"}, {"a%(b)s": "'"}),
        ([], []),
        ("text", "text"),
        (None, None),
    ],
)
def test_json(database_url: str, sent: Any, expected: Any) -> None:
    """What a statement calls JSON is sent as JSON, dates as the contract has them, and comes back as it was."""
    assert expected == answered(database_url, cast(VALUE, JSONB), value=sent)


@pytest.mark.parametrize("sent", ["\0", {"a": ["b\0"]}, {"\0": 1}])
def test_json_that_postgresql_cannot_hold(database_url: str, sent: Any) -> None:
    """U+0000, which a contract cannot forbid in members that it does not name, is the request's fault."""
    with pytest.raises(BadRequest, match=r"^The request must not hold U\+0000"):
        answered(database_url, cast(VALUE, JSONB), value=sent)


@pytest.mark.parametrize("sent", ["\0", "a\0b", ["a", "\0"], [["\0"]]])
def test_text_that_postgresql_cannot_hold(database_url: str, sent: Any) -> None:
    """U+0000 in a parameter whose contract does not forbid it is the request's fault, too, and costs no connection."""
    with pytest.raises(BadRequest, match=r"^The request must not hold U\+0000"):
        answered(database_url, bindparam("value"), value=sent)


def test_json_of_the_statement(database_url: str) -> None:
    """JSON that stands in the statement itself is sent like any other."""
    assert [{"a": 1}] == answered(database_url, literal([{"a": 1}], JSONB))


def test_a_decimal_number(database_url: str) -> None:
    """A number is the float that the contract's types say, and that JSON can hold."""
    found = answered(database_url, cast(bindparam("value"), Numeric(7, 2)), value=19.99)
    assert (19.99, float) == (found, type(found))


@pytest.mark.parametrize("sent", [bytes(range(256)), b"", None])
def test_bytes(database_url: str, sent: bytes | None) -> None:
    """Bytes come back as they were, so that an answer can send them."""
    found = answered(database_url, cast(bindparam("value"), LargeBinary), value=sent)
    assert (sent, type(sent)) == (found, type(found))


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2026-11-28 04:21:24.7", datetime(2026, 11, 28, 4, 21, 24, 700_000)),
        ("infinity", datetime.max),
        (None, None),
    ],
)
def test_a_time_without_a_zone(database_url: str, sent: str | None, expected: datetime | None) -> None:
    """A time is Python's; one without end is the last that Python has."""
    assert expected == answered(database_url, cast(cast(bindparam("value"), Text), DateTime), value=sent)


def test_a_value_that_cannot_be_sent(database_url: str) -> None:
    """What the driver itself refuses is said in its words, which name no value."""
    with pytest.raises(
        InternalError, match=r"^the driver refused to send a statement: can't adapt type 'object'$"
    ):
        answered(database_url, cast(bindparam("value"), Numeric), value=object())


def test_a_row_that_is_not_taken(database_url: str) -> None:
    """A handler knows by its name which constraint a row would break."""
    new = insert(tasks).values(user_id=bindparam("tenant"), title="A task").returning(tasks.c.id)
    with pytest.raises(ConstraintError) as broken:
        fetched(database_url, new)
    assert "tasks_user_id_fkey" == broken.value.constraint
