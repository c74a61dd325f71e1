"""Formats of strings of which the validator takes more than RFC 3339 does: `+`, `.` and others for digits."""

import re
from collections.abc import Callable

from jsonschema_rs import Draft202012Validator

_DAY, _TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9:]{8}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9:]{5})"
_DIGITS = {"date": _DAY, "time": _TIME, "date-time": f"{_DAY}[Tt]{_TIME}"}


def _strict(name: str) -> Callable[[str], bool]:
    has_digits = re.compile(_DIGITS[name]).fullmatch
    is_valid = Draft202012Validator({"format": name}, validate_formats=True).is_valid
    return lambda text: has_digits(text) is not None and is_valid(text)


STRICT = {name: _strict(name) for name in _DIGITS}
"""Whether a text has a format, by the format's name."""
