"""Formats of strings of which the validator takes more than their RFCs do: `+`, `.` and others for digits of a date or
a time (RFC 3339), and a name before an address, as in `Jo <jo@example.com>`, or a tab in one (RFC 5321)."""

import re
from collections.abc import Callable

from jsonschema_rs import Draft202012Validator

_DAY, _TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9:]{8}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9:]{5})"
_CHARACTERS = {
    "date": _DAY,
    "time": _TIME,
    "date-time": f"{_DAY}[Tt]{_TIME}",
    "email": r"[^\x00-\x1f]+[^>\s]",
    "idn-email": r"[^\x00-\x1f]+[^>\s]",
}


def _strict(name: str) -> Callable[[str], bool]:
    has_characters = re.compile(_CHARACTERS[name]).fullmatch
    is_valid = Draft202012Validator({"format": name}, validate_formats=True).is_valid
    return lambda text: has_characters(text) is not None and is_valid(text)


STRICT = {name: _strict(name) for name in _CHARACTERS}
"""Whether a text has a format, by the format's name."""
