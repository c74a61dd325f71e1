"""The page of common troubles says what the service says."""

import re

import pytest

from tests.support.running import PROJECT

SAID = re.findall(
    r"^\| `([^`]+)` \|", (PROJECT / "docs/troubles.md").read_text(encoding="utf-8"), re.MULTILINE
)
TESTS = "\n".join(file.read_text(encoding="utf-8") for file in PROJECT.glob("tests/*/test_*.py"))


@pytest.mark.parametrize("said", SAID)
def test_each_line_is_one_that_a_test_asks_for(said: str) -> None:
    """What the page quotes stands in a test of what produces it."""
    assert said in TESTS
