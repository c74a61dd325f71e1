"""Patterns of JSON Schema are ECMA-262's, whatever the library that matches them says."""

import json

import pytest

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import ContractError
from tests.support.contracts import Json, document

POINTER = "/components/schemas/Text"


def contract(schema: Json) -> Contract:
    """A contract with one schema."""
    return Contract(json.dumps(document({}, components={"schemas": {"Text": schema}})))


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (r"^[\w-\.]+@[.-\w]+$", "a-b.c@d-e.f", "a,b@c"),
        (r"^[\w-]+$", "a-b", "a.b"),
        (r"^[\-\w\]]+$", "-a]", "."),
        (r"^{[a-z]{2}\p{L}}$", "{abä}", "{ab1}"),
        (r"^.{0,262144}$", "a" * 262144, "a" * 262145),
        (r"^[a-z\d-\]]{2000}$", "]" * 2000, "a" * 1999),
        (r"^\d{2000,}$", "1" * 2001, "1" * 1999),
        (r"^a[^]b[\b]\0$", "a\nb\b\0", "ab\b\0"),
        (r"^(a[]|b)]$", "b]", "a]"),
        (r"^(?<n>a|b)\k<n>$", "bb", "ba"),
        (r"\.(?i)(pdf|jpeg)$", "a.PDF", "aPDF"),
        (r"^\<[^\<\>]\>\Z", "<a>", "a"),
        (
            r"^[\ud83d\ude00-\ud83d\ude4f]\uD83D\uDC4D\\uD83D$",
            "\N{GRINNING FACE}\N{THUMBS UP SIGN}\\uD83D",
            "a",
        ),
        (r"^[ -\uD7FF\uD800\uDC00-\uDBFF\uDFFF]+$", "a\N{GRINNING FACE}", "a\n"),
        (r"^[^\ud800-\udfff]+[\ud800-\udfffb]$", "\N{GRINNING FACE}b", "aa"),
    ],
)
def test_a_pattern_of_others(pattern: str, matching: str, other: str) -> None:
    """What people write, and browsers take, is a rule and means what it means there."""
    validator = contract({"type": "string", "pattern": pattern}).requests.validator(POINTER)
    assert (True, False) == (validator.is_valid(matching), validator.is_valid(other))


def test_a_pattern_of_names() -> None:
    """The patterns of an object's members are rules in the same words."""
    members = {"^{[\\w-.]+}$": {"items": {"type": "integer"}}}
    validator = contract(
        {"type": "object", "patternProperties": members, "additionalProperties": False}
    ).requests.validator(POINTER)
    assert (True, False, False) == tuple(
        map(validator.is_valid, ({"{a-b}": [1]}, {"{a-b}": ["a"]}, {"a": [1]}))
    )


def test_each_wrong_pattern_is_named() -> None:
    """A pattern that does not compile is named by its place, also beside others."""
    with pytest.raises(ContractError) as refused:
        contract(
            {"pattern": "<\\<(", "properties": {"a": {"pattern": "["}}, "patternProperties": {"*": True}}
        )
    assert {
        f'#{POINTER}/pattern: "<\\\\<(" is not a "regex"',
        f'#{POINTER}/patternProperties: "*" is not a "regex"',
        f'#{POINTER}/properties/a/pattern: "[" is not a "regex"',
    } == set(refused.value.problems)
