"""The JSON loader: what RFC 8259 allows and nothing else, and no value that would not come back as it was sent."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.bridge.request import strict_json
from tests.support.contracts import VECTORS

FOLDER = VECTORS / "json_parsing"
REPEATED_NAMES = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}

INVALID = "The request body must be valid JSON (RFC 8259) in UTF-8"
REPEATED = "An object in the request body must not name a member twice"
INFINITE = "Numbers in the request body must not be larger than a double can hold"
DEEP = "The request body must not be nested deeper than 200 levels"
LONG = "Integers in the request body must have 4300 digits or less"

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20)


def files(prefix: str) -> list[Any]:
    """The vectors whose names begin with `prefix`, or one that is skipped where there are none."""
    found = sorted(FOLDER.glob(f"{prefix}*.json"))
    missing = pytest.param(FOLDER, marks=pytest.mark.skip("the JSON vectors are not there (TEST_VECTORS)"))
    return [pytest.param(path, id=path.name) for path in found] or [missing]


def refusal(text: bytes) -> str | None:
    """The sentence with which `text` is refused, None if it is read."""
    try:
        strict_json.loads(text)
    except ValueError as error:
        return strict_json.reason(error)
    return None


@pytest.mark.parametrize("path", files("n_"))
def test_what_must_not_parse_does_not(path: Path) -> None:
    """A text that the JSON Parsing Test Suite calls invalid is refused with one of the loader's sentences."""
    assert refusal(path.read_bytes()) in {INVALID, DEEP}


@pytest.mark.parametrize("path", files("y_"))
def test_what_must_parse_does(path: Path) -> None:
    """A text that the suite calls valid parses as the standard library reads it, save where a name is repeated."""
    if path.name in REPEATED_NAMES:
        assert REPEATED == refusal(path.read_bytes())
    else:
        assert json.loads(path.read_bytes()) == strict_json.loads(path.read_bytes())


@pytest.mark.parametrize("path", files("i_"))
def test_what_may_parse_comes_back_whole_or_not_at_all(path: Path) -> None:
    """A text on which the suite leaves the choice is refused, or read without losing anything but digits."""
    sentence = refusal(path.read_bytes())
    assert sentence in {INVALID, INFINITE, DEEP, None}
    if sentence is None:
        value = strict_json.loads(path.read_bytes())
        assert json.loads(path.read_bytes()) == value
        assert value == json.loads(json.dumps(value, allow_nan=False).encode())


@given(values, st.booleans())
def test_every_value_comes_back(value: Any, ascii_only: bool) -> None:
    """Any JSON value that the standard library writes is read as the same value, escaped or not."""
    assert value == strict_json.loads(json.dumps(value, ensure_ascii=ascii_only).encode())


@given(st.integers(0, 190), texts, values, values)
def test_a_repeated_name_is_refused_at_any_depth(depth: int, name: str, first: Any, second: Any) -> None:
    """An object that names a member twice is refused however deep it stands, and however the names are escaped."""
    names = json.dumps(name), json.dumps(name, ensure_ascii=False)
    twice = f"{{{names[0]}: {json.dumps(first)}, {names[1]}: {json.dumps(second)}}}"
    assert REPEATED == refusal(("[" * depth + twice + "]" * depth).encode())


@pytest.mark.parametrize(
    "number",
    [
        *("1e999", "-1e999", "1E+309", "1e0400", "1.5e400", "17976931348623157e400"),
        *("1" * 250 + "e99", "1" * 310 + ".0", "-" + "9" * 309 + "e0", "1" * 300 + "e10"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "[0, [{}]]", '{{"a": {{"b": {}}}}}'])
def test_a_number_beyond_a_double_is_refused(number: str, around: str) -> None:
    """A number that would become infinite is refused wherever it stands and however it is written."""
    assert INFINITE == refusal(around.format(number).encode())


def test_a_whole_number_is_an_integer_however_it_is_written() -> None:
    """To JSON Schema `1.0` is an integer, so it is one to Python, as the generated types say; what is more than a
    double holds exactly stays as it is."""
    text = b'[1.0, -20.00, 1e2, {"a": 3.0}, 1.5, 1e17, "1.0"]'
    found = strict_json.loads(text)
    assert [1, -20, 100, {"a": 3}, 1.5, 1e17, "1.0"] == found
    assert [int, int, int, int, float, float] == [
        type(each) for each in (*found[:3], found[3]["a"], *found[4:6])
    ]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "nan", "[NaN]", '{"a": Infinity}'])
def test_what_is_no_number_is_refused(word: str) -> None:
    """NaN and the infinities are not JSON, though Python writes them."""
    assert INVALID == refusal(word.encode())


@pytest.mark.parametrize("escape", [r"\ud800", r"\udc00", r"\udc00\ud800", r"a\ud834", r"\ud800A"])
def test_half_a_surrogate_pair_is_refused(escape: str) -> None:
    """A lone surrogate is no Unicode text (RFC 7493, section 2.1), in a value or in a name."""
    assert INVALID == refusal(f'["{escape}"]'.encode())
    assert INVALID == refusal(f'{{"{escape}": 1}}'.encode())


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff{}".encode(),
        '{"a": "é"}'.encode("latin-1"),
        '{"a": 1}'.encode("utf-16"),
        b'"\xed\xa0\x80"',
        b'"\xc0\xaf"',
        b'"\xf4\x90\x80\x80"',
    ],
)
def test_only_utf_8_without_a_byte_order_mark_is_read(content: bytes) -> None:
    """Other encodings, a byte order mark, and UTF-8 of surrogates, too long or too high, are refused."""
    assert INVALID == refusal(content)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_has_a_limit(opening: str, closing: str) -> None:
    """A value 200 levels deep is read, one deeper is refused, and 100,000 levels are refused as quickly."""
    assert strict_json.loads((opening * 200 + "1" + closing * 200).encode())
    assert DEEP == refusal((opening * 201 + "1" + closing * 201).encode())
    assert DEEP == refusal((opening * 100_000).encode())


@pytest.mark.parametrize("sign", ["", "-"])
def test_an_integer_has_a_limit_of_digits(sign: str) -> None:
    """An integer of 4,300 digits is exact, and one of 5,000 is refused."""
    assert int(f"{sign}{'7' * 4300}") == strict_json.loads(f"{sign}{'7' * 4300}".encode())
    assert LONG == refusal(f"{sign}{'7' * 5000}".encode())


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Whatever the bytes, the loader answers a value or one of its sentences, which never hold what was sent."""
    assert refusal(content) in {INVALID, REPEATED, INFINITE, DEEP, LONG, None}
