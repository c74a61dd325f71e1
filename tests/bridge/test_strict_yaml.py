"""The YAML of a contract: what JSON has, read as YAML 1.2 has it and not as 1.1."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.bridge.document import strict_yaml
from openapi.bridge.request import strict_json

# Characters that YAML allows in a text (YAML 1.2, section 5.1); JSON as the standard library writes it escapes fewer.
texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]))
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("null", None), ("~", None), ("", None), ("true", True), ("False", False), ("TRUE", True)),
        *(("0", 0), ("-7", -7), ("+7", 7), ("1.50", 1.5), ("1e3", 1000.0), ("-1.5E-3", -0.0015)),
        *((".01", 0.01), ("-.5e1", -5.0), ("1.", 1.0), ("1.e-8", 1e-8), (".", "."), (".e1", ".e1")),
        *(("on", "on"), ("Off", "Off"), ("yes", "yes"), ("n", "n"), ("tRUE", "tRUE")),
        *(("010", "010"), ("0x1f", "0x1f"), ("0o17", "0o17"), ("1_000", "1_000"), ("1:30", "1:30")),
        *((".inf", ".inf"), (".nan", ".nan"), ("3.1.0", "3.1.0"), ("2026-11-22", "2026-11-22"), ("=", "=")),
        *(
            ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
            ("'1'", "1"),
            ("!!str 1", "1"),
            ("!!float 1", 1.0),
        ),
    ],
)
def test_a_plain_text_means_what_json_would_mean(text: str, expected: Any) -> None:
    """Only null, truth values and decimal numbers are not strings; a date, `on` or an octal number is one."""
    (value,) = strict_yaml.parse_yaml(f"- {text}")
    assert (type(expected), expected) == (type(value), value)


def test_a_text_may_begin_with_a_line_of_white_space() -> None:
    """A tab may stand where the lines of a text begin; libyaml alone takes it for an indentation."""
    assert {"a": {"b": "\t\nc\n", "d": 1}} == strict_yaml.parse_yaml("a:\n  b: |\n    \t\n    c\n  d: 1")


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029"])
def test_no_other_character_ends_a_line(character: str) -> None:
    """Only CR and LF end lines (YAML 1.2, section 5.4), which YAML 1.1 takes three more characters for."""
    text = f"a{character}b: |\n  c{character}d\n'e {character}': f # g{character}h"
    read = strict_yaml.parse_yaml(text)
    assert {f"a{character}b": f"c{character}d\n", f"e {character}": "f"} == read


def test_no_character_becomes_another_one() -> None:
    """A text may hold characters of private use, as they are or as escapes, beside those that end no line."""
    text = r'["\uE000\U0000e001' + '\ue002", a\x85\u2028]'
    assert ["\ue000\ue001\ue002", "a\x85\u2028"] == strict_yaml.parse_yaml(text)


def test_keys_are_strings() -> None:
    """A key is the string that it is written as, whatever it would mean elsewhere."""
    assert {"200": 1, "on": 2, "null": 3, "1.0": 4, "true": 5} == strict_yaml.parse_yaml(
        "200: 1\non: 2\nnull: 3\n1.0: 4\ntrue: 5"
    )


def test_aliases_and_merges_are_filled_in() -> None:
    """An alias stands for its anchor's value, and a merge key for the members of the mapping that it names."""
    text = "base: &base {a: 1, b: 2}\nsame: *base\nmore:\n  <<: *base\n  b: 3\nmost:\n  <<: [*base, {c: 4}]"
    base = {"a": 1, "b": 2}
    assert {
        "base": base,
        "same": base,
        "more": {"a": 1, "b": 3},
        "most": {"a": 1, "b": 2, "c": 4},
    } == strict_yaml.parse_yaml(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[" * 200_000, "line 1: this is nested deeper than 200 levels"),
        ("\n".join(" " * n + "a:" for n in range(300)), "line 201: this is nested deeper than 200 levels"),
        (
            "\n".join(["l0: &l0 x", *(f"l{n}: &l{n} [{f'*l{n - 1}, ' * 9}]" for n in range(1, 30))]),
            "line 1: the aliases stand for more than 100000 values or 200 levels",
        ),
        (
            "\n".join(["l0: &l0 x", *(f"l{n}: &l{n} [*l{n - 1}]" for n in range(1, 5000))]),
            "line 1: the aliases stand for more than 100000 values or 200 levels",
        ),
    ],
    ids=["flow", "block", "wide", "deep"],
)
def test_what_would_not_end_is_refused(text: str, line: str) -> None:
    """Neither brackets nor aliases, of which few lines can stand for billions, end the program or fill its memory."""
    with pytest.raises(strict_yaml.YAMLError, match=line):
        strict_yaml.parse_yaml(text)


def test_what_is_nested_as_deep_as_json_may_be() -> None:
    """A value may stand in as many lists and mappings as in JSON, whose text is the same."""
    text = "[" * strict_yaml.MAX_DEPTH + "1" + "]" * strict_yaml.MAX_DEPTH
    assert strict_json.loads(text.encode()) == strict_yaml.parse_yaml(text)


def test_an_empty_text_is_nothing() -> None:
    """A text without a document is null."""
    assert strict_yaml.parse_yaml("# nothing") is None


@given(values)
def test_json_is_yaml(value: Any) -> None:
    """Any JSON value is read as the same value."""
    assert value == strict_yaml.parse_yaml(json.dumps(value, ensure_ascii=False))
