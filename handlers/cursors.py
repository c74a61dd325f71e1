"""Keyset cursors: a place in a user's list as opaque text, in the form that the contract's `Cursor` describes."""

from typing import Any

from db.orders import ORDERS
from openapi.types import Sort, Task

_COMPLEMENT = bytes.maketrans(b"0123456789abcdef", b"fedcba9876543210")
_SORTS = list(ORDERS)


def encode_cursor(sort: Sort, task: Task) -> str:
    """The place after `task` in an order: a hexadecimal digit for the order, those of the task's key in it and 16 for
    its number, each digit followed by its complement to 15, so that the contract's pattern tells a damaged cursor."""
    digits = f"{_SORTS.index(sort):x}{ORDERS[sort].digits_of(task)}{task['id']:016x}"
    return with_complements(digits)


def decode_cursor(cursor: str) -> tuple[Sort, dict[str, Any]]:
    """The order, and the last task's `key` in it and `id`, from a cursor that has the form of the contract."""
    digits = cursor[::2]
    sort = _SORTS[int(digits[0], 16)]
    return sort, {"key": ORDERS[sort].value_of(digits[1:-16]), "id": int(digits[-16:], 16)}


def with_complements(digits: str) -> str:
    """Hexadecimal digits, each followed by its complement to 15."""
    pairs = bytearray(2 * len(digits))
    pairs[::2] = digits.encode()
    pairs[1::2] = pairs[::2].translate(_COMPLEMENT)
    return pairs.decode()
