"""SECURITY.md says nothing that no test holds."""

import ast
import re
from functools import cache

import pytest

from tests.support.running import PROJECT

POLICY = (PROJECT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (API\d+) (.*)$", POLICY, re.MULTILINE))
NAMED = re.findall(r"`(test_\w+\.py)::(\w+)`", POLICY)


@cache
def names_in(file: str) -> set[str]:
    """The names of a file's tests."""
    (path,) = (PROJECT / "tests").glob(f"*/{file}")
    module = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_is_named_exists(file: str, name: str) -> None:
    """A test that the policy leans on is there under its name."""
    assert name in names_in(file)


@pytest.mark.parametrize("risk", [f"API{number}" for number in range(1, 11)])
def test_every_risk_is_held_by_a_test(risk: str) -> None:
    """Each of OWASP's ten risks of 2023 has its line and at least one test."""
    assert re.search(r"`test_\w+\.py::\w+`", ROWS[risk])


def test_every_name_is_read() -> None:
    """No test is named in a way that these checks overlook."""
    assert POLICY.count("::") == len(NAMED)
