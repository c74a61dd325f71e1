"""Formats (JSON Schema 2020-12, "Vocabularies for Semantic Content"), which are rules here."""

import json
from string import digits, printable

import pytest

from openapi.bridge.failures import BadRequest
from tests.support.contracts import body_reader, parsed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("date", "2024-02-29"),
        ("time", "23:59:59.25+05:30"),
        ("date-time", "2024-02-29T23:59:59.25-05:30"),
        ("date-time", "2024-02-29t00:00:00z"),
    ],
)
def test_a_time_is_made_of_digits(name: str, value: str) -> None:
    """No character but 0 to 9 stands for a digit of a date or a time (RFC 3339, section 5.6)."""
    body = body_reader({"application/json": {"schema": {"type": "string", "format": name}}})
    others = [character for character in printable if character not in digits]
    taken = []

    for place in (place for place, character in enumerate(value) if character in digits):
        for other in others:
            odd = value[:place] + other + value[place + 1 :]
            try:
                taken.append(parsed(body, json.dumps(odd).encode()))
            except BadRequest:
                continue

    assert value == parsed(body, json.dumps(value).encode())
    assert [] == taken
