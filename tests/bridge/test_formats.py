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


@pytest.mark.parametrize("name", ["email", "idn-email"])
@pytest.mark.parametrize(
    "text",
    [
        "Jo <jo@b.co>",
        '"Jo" <jo@b.co>',
        " <jo@b.co>",
        "Jo <jo@b.co> ",
        "J\0 <jo@b.co>",
        "Jo\r\nTo: al@b.co <jo@b.co>",
        '"j\to"@b.co',
    ],
)
def test_an_address_stands_alone(name: str, text: str) -> None:
    """Before an email address stands no name, and in it no control character (RFC 5321, section 4.1.2, "Mailbox")."""
    body = body_reader({"application/json": {"schema": {"type": "string", "format": name}}})

    for address in ("jo@b.co", "jo+x@[127.0.0.1]", '"<j o>"@b.co'):
        assert address == parsed(body, json.dumps(address).encode())
    with pytest.raises(BadRequest):
        parsed(body, json.dumps(text).encode())
