"""Media types as HTTP has them (RFC 9110, section 8.3.1)."""

import pytest

from openapi.bridge.media_types import read_media_type


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("Application/JSON", "application/json", {}),
        ("application/json;", "application/json", {}),
        (" a/b ;; C=d\t; e=F ", "a/b", {"c": "d", "e": "F"}),
        (r'a/b; x="a;\"\\c"; y=""', "a/b", {"x": r"a;\"\c".replace(r"\"", '"'), "y": ""}),
        ("image/*", "image/*", {}),
    ],
)
def test_a_media_type_is_read(text: str, name: str, parameters: dict[str, str]) -> None:
    """Types, subtypes and names of parameters are in lower case; a quoted value loses its quotes and backslashes."""
    media_type = read_media_type(text)
    assert media_type is not None
    assert (name, parameters) == (media_type.name, media_type.parameters)


@pytest.mark.parametrize(
    "text",
    [
        *("", "json", "a/", "/b", "a/b c", "a/b, c/d", "\xff/b"),
        *("a/b; x", "a/b; x=", "a/b; x = y", 'a/b; x="', "a/b; x=1; X=2"),
        *("a/b; charset*=utf-8''x", "a/b; charset*=a; charset*0*=b", "a/b; charset*" + "9" * 5000 + "=b"),
    ],
)
def test_what_is_no_media_type(text: str) -> None:
    """What is not in the form of RFC 9110, names a parameter twice, or splits one as mail does is none."""
    assert read_media_type(text) is None


@pytest.mark.parametrize(
    "text",
    [
        'a/b; x="' + ";" * 60_000,
        'a/b; x="' + "\\" * 60_001,
        "a/b" + ";" * 60_000,
        "a/b" + " " * 60_000 + "x",
        "a/b" + " ;" * 30_000 + "x",
        "a/b; " + "x" * 60_000,
    ],
)
def test_a_hostile_one_is_read_in_linear_time(text: str) -> None:
    """What made the parser of mail work for seconds is read in one pass: the test would not end otherwise."""
    for _ in range(20):
        read_media_type(text)
