"""What PostgreSQL's values are in Python, where psycopg2 by itself has another type or takes longer."""

import codecs
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2.extensions import DECIMAL, FLOAT, PYDATETIME, encodings, new_type, register_type

# The driver asks Python's codec for the name of each column of each answer. This is the same one, without its functions
# in Python.
_UTF_8 = codecs.CodecInfo(codecs.utf_8_encode, codecs.utf_8_decode, name="utf_8_in_c")
codecs.register({_UTF_8.name: _UTF_8}.get)
encodings["UTF8"] = _UTF_8.name

_TIMESTAMP = 1114


def _time(value: Any, cursor: Any) -> Any:
    try:
        return None if value is None else datetime.fromisoformat(value)
    except ValueError:  # Infinity, for one.
        return PYDATETIME(value, cursor)


def _bytes(value: Any, cursor: Any) -> bytes | None:
    return None if value is None else bytes(psycopg2.BINARY(value, cursor))


_TYPES = (
    # As the types that are generated from a contract call a number.
    new_type(DECIMAL.values, "NUMBER", FLOAT),
    # As an answer sends them.
    new_type(psycopg2.BINARY.values, "BYTES", _bytes),
    # In half the time.
    new_type((_TIMESTAMP,), "TIME", _time),
)


def register_types(connection: Any) -> None:
    """Has the answers of a psycopg2 connection hold these types."""
    for each in _TYPES:
        register_type(each, connection)
