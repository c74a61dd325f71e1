"""JSON as RFC 8259 and I-JSON (RFC 7493) have it, where the standard library's loader is lax."""

import re
from math import isinf
from typing import Any

import jiter

# Only a number with a long exponent or very many digits can overflow to infinity.
_LARGE_NUMBER = re.compile(rb"[0-9][eE]\+?[0-9]{3}|[0-9]{300}")


class JSONError(ValueError):
    """The text is not strict JSON; the message is a sentence for the client that does not echo the text."""


def loads(text: bytes) -> Any:
    """The value that `text` holds, UTF-8 without a byte order mark.

    Refused: a member named twice, NaN and infinities (also by overflow, `1e999`), lone surrogates in strings,
    nesting deeper than 200, integers of more than 4,300 digits.

    Raises:
        JSONError: for anything but strict JSON.
    """
    try:
        value = jiter.from_json(text, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="none")
    except ValueError as error:
        raise JSONError(_reason(str(error))) from None
    # The bytes are searched first because walking the value costs more than reading it and is almost never needed.
    if _LARGE_NUMBER.search(text) and _holds_infinity(value):
        raise JSONError("Numbers in the request body must not be larger than a double can hold")
    return value


def _holds_infinity(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_infinity, value.values()))
    if isinstance(value, list):
        return any(map(_holds_infinity, value))
    return isinstance(value, float) and isinf(value)


def _reason(error: str) -> str:
    if "duplicate key" in error:
        return "An object in the request body must not name a member twice"
    if "recursion" in error:
        return "The request body must not be nested deeper than 200 levels"
    return "The request body must be valid JSON (RFC 8259) in UTF-8"
