"""The stock Schemathesis against the running service, short and with a fixed seed; `make fuzz` does it for longer."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from openapi.contract import contract
from tests.support.documentation import blocks_of_code
from tests.support.fuzz import run_schemathesis
from tests.support.running import PROJECT, Service


def test_the_published_contract_is_kept(service: Service, tmp_path: Path) -> None:
    """By the document that the service publishes, with default checks, Schemathesis finds nothing, and it reports."""
    assert 0 == run_schemathesis(service, tmp_path, "--seed", "1", "--max-examples", "2")
    assert (tmp_path / "report" / "index.html").is_file()


def test_the_readme_gives_the_line() -> None:
    """The README has all that the runs are configured with."""
    lines = (PROJECT / "schemathesis.toml").read_text(encoding="utf-8").splitlines(keepends=True)
    configured = "".join(line for line in lines if line[0] != "#")
    assert [configured] == blocks_of_code(PROJECT / "README.md", "toml")


def _more_than_is_taken(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["TaskCreate"]["properties"]["title"] = {
        "type": "string",
        "maxLength": 300,
    }


def _less_than_is_taken(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["TaskCreate"]["properties"]["title"] = {
        "type": "string",
        "minLength": 20,
    }


def _another_answer(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Health"]["properties"]["status"]["enum"] = ["fine"]


@pytest.mark.parametrize(
    ("edit", "operation", "code"),
    [
        pytest.param(
            *(_more_than_is_taken, "create_task", "ST202 Schema-valid request rejected"),
            marks=pytest.mark.faults,
        ),
        pytest.param(
            *(_less_than_is_taken, "create_task", "ST201 Schema-violating request accepted"),
            marks=pytest.mark.faults,
        ),
        (_another_answer, "get_liveness", "ST108 Response violates schema"),
    ],
)
def test_a_false_promise_is_found(
    service: Service,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    edit: Callable[[dict[str, Any]], None],
    operation: str,
    code: str,
) -> None:
    """Held against a contract that promises anything else than what the service does, a run says so and fails."""
    document = deepcopy(contract().document)
    edit(document)
    # In a path of the token's user, since another's is refused before anything else is looked at.
    document["components"]["parameters"]["UserId"]["schema"] = {"enum": ["demo"]}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    # An Idempotency-Key that an earlier run has used would be refused for that.
    with service.client("demo") as demo:
        assert 204 == demo.delete("/api/demo").status_code
    options = ("--phases", "coverage", "--include-operation-id", operation, "--seed", "1")
    assert 1 == run_schemathesis(service, tmp_path, *options, document=file)
    assert f"{code}: 1" in capfd.readouterr().out
