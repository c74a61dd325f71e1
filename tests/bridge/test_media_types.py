"""Media types as HTTP has them (RFC 9110, section 8.3.1)."""

import pytest

from openapi.bridge.media_types import accepted, read_media_type


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


@pytest.mark.parametrize(
    ("accept", "names"),
    [
        ('text/a;q=0.5, text/b ; p="x,y;q=0\\",", ,text/c;q=0', ["text/b", "text/a"]),
        ('text/a;p="x, text/b', []),
        ('text/a;p="' + '\\",' * 20_000, []),
        (100 * "text/a," + "text/b", 100 * ["text/a"]),
    ],
)
def test_an_accept_is_read_with_its_weights(accept: str, names: list[str]) -> None:
    """The most wanted of the first hundred stands first, what has no weight is left out, and a comma in quotation marks
    ends no range (RFC 9110, section 12.5.1)."""
    assert names == [each.name for each in accepted(accept)]
