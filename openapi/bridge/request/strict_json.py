"""JSON as RFC 8259 and I-JSON (RFC 7493) have it, where the standard library's loader is lax."""

import re
from collections.abc import Callable
from functools import partial
from math import isinf
from typing import Any

import jiter

# Strict but for one rule: a number may become an infinity, which only one can that `large_number` finds.
parse: Callable[[bytes], Any] = partial(
    jiter.from_json, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="none"
)
large_number = re.compile(rb"[0-9][eE]|[0-9]{309}").search


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
        value = parse(text)
    except ValueError as error:
        raise JSONError(reason(error)) from None
    if large_number(text) and _holds_infinity(value):
        raise JSONError("Numbers in the request body must not be larger than a double can hold")
    return value


def _holds_infinity(value: Any) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return isinstance(value, float) and isinf(value)
    return any(map(_holds_infinity, value))


def reason(error: ValueError) -> str:
    """The sentence for what `parse` or `loads` has raised."""
    text = str(error)
    if isinstance(error, JSONError):
        return text
    if "duplicate key" in text:
        return "An object in the request body must not name a member twice"
    if "recursion" in text:
        return "The request body must not be nested deeper than 200 levels"
    if "out of range" in text:
        return "Integers in the request body must have 4300 digits or less"
    return "The request body must be valid JSON (RFC 8259) in UTF-8"
