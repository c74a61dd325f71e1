"""Keyset cursors: a place in a user's list as opaque text, in the form that the contract's `Cursor` describes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from openapi.types import Task

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_COMPLEMENT = str.maketrans("0123456789abcdef", "fedcba9876543210")


def encode_cursor(task: Task) -> str:
    """The place after `task`: 14 hexadecimal digits of its creation time in microseconds and 16 of its number, each
    digit followed by its complement to 15, so that the contract's pattern tells a damaged cursor."""
    digits = f"{(task['created_at'] - _EPOCH) // _MICROSECOND:014x}{task['id']:016x}"
    return "".join(map("".join, zip(digits, digits.translate(_COMPLEMENT), strict=True)))


def decode_cursor(cursor: str) -> dict[str, Any]:
    """The last task's `created_at` and `id`, from a cursor that has the form of the contract."""
    digits = cursor[::2]
    created_at = _EPOCH + int(digits[:14], 16) * _MICROSECOND
    return {"created_at": created_at.replace(tzinfo=UTC), "id": int(digits[14:], 16)}
