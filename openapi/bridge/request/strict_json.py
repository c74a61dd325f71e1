"""JSON as RFC 8259 and I-JSON (RFC 7493) have it, where the standard library's loader is lax."""

from math import isinf
from typing import Any

import jiter


class JSONError(ValueError):
    """The text is not strict JSON; the message is a sentence for the client that does not echo the text."""


def loads(text: bytes) -> Any:
    """The value that `text` holds, UTF-8 without a byte order mark.

    Refused: a member named twice, NaN and infinities (also by overflow, `1e999`), lone surrogates in strings,
    values nested deeper than 200 levels, integers of more than 4,300 digits.

    Raises:
        JSONError: for anything but strict JSON.
    """
    try:
        value = jiter.from_json(text, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="none")
    except ValueError as error:
        raise JSONError(_reason(str(error))) from None
    if _holds_infinity(value):
        raise JSONError("Numbers in the request body must not be larger than a double can hold")
    return value


def _holds_infinity(value: Any) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return isinstance(value, float) and isinf(value)
    return any(map(_holds_infinity, value))


def _reason(error: str) -> str:
    if "duplicate key" in error:
        return "An object in the request body must not name a member twice"
    if "recursion" in error:
        return "The request body must not be nested deeper than 200 levels"
    if "out of range" in error:
        return "Integers in the request body must have 4300 digits or less"
    return "The request body must be valid JSON (RFC 8259) in UTF-8"
