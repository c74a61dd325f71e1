"""JSON as RFC 8259 and I-JSON (RFC 7493) have it, where the standard library's loader is lax."""

import re
from collections.abc import Callable
from functools import partial
from math import isinf
from typing import Any

import jiter

# Strict but for two rules: a number may become an infinity, and a whole one a float. Only those that `other_number`
# finds can.
parse: Callable[[bytes], Any] = partial(
    jiter.from_json, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="none"
)
other_number = re.compile(rb"[0-9](?:[eE]|\.0+(?![0-9])|(?<![0-9]{2})[0-9]{308})").search
# A double holds each integer to here.
_EXACT = 2**53
# By what an error says. The first also repeats a name that was sent, so it comes before the others.
_SENTENCES = {
    "duplicate key": "An object in the request body must not name a member twice",
    "recursion": "The request body must not be nested deeper than 200 levels",
    "out of range": "Integers in the request body must have 4300 digits or less",
    "infinite": "Numbers in the request body must not be larger than a double can hold",
}


def loads(text: bytes) -> Any:
    """The value that `text` holds, UTF-8 without a byte order mark; `1.0` is the integer that it is to JSON Schema.

    Refused: a member named twice, NaN and infinities (also by overflow, `1e999`), lone surrogates in strings,
    values nested deeper than 200 levels, integers of more than 4,300 digits.

    Raises:
        ValueError: for anything but strict JSON; `reason` says what is wrong.
    """
    value = parse(text)
    return _exact(value) if other_number(text) else value


def _exact(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _exact(each) for name, each in value.items()}
    if isinstance(value, list):
        return [*map(_exact, value)]
    if not isinstance(value, float):
        return value
    if isinf(value):
        raise ValueError("infinite")
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


def reason(error: ValueError) -> str:
    """The sentence for what `parse` or `loads` has raised, which does not echo the text."""
    found = (sentence for fault, sentence in _SENTENCES.items() if fault in str(error))
    return next(found, "The request body must be valid JSON (RFC 8259) in UTF-8")
