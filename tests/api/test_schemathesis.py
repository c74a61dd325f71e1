"""Schemathesis against the running service, short and with a fixed seed; `make fuzz` runs the same for longer."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tracecov import CoverageMap

from openapi.contract import CONTRACT_FILE, contract
from tests.support.fuzz import IDENTITIES, Run, gaps, measure, run_schemathesis, summarise
from tests.support.running import Service

OWN_PATH = IDENTITIES[0]


@pytest.fixture(scope="module")
def runs(service: Service, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """A run of every phase and check as each identity."""
    folder = tmp_path_factory.mktemp("schemathesis")
    return [
        run_schemathesis(service, identity, folder / identity.name, "--seed", "1", "--max-examples", "10")
        for identity in IDENTITIES
    ]


def test_no_findings(runs: list[Run]) -> None:
    """Schemathesis finds nothing, whether users ask for what is theirs, for anything or for each other's."""
    assert [(identity.name, 0) for identity in IDENTITIES] == [
        (run.identity.name, run.status) for run in runs
    ]


def test_no_gaps(service: Service, runs: list[Run]) -> None:
    """The runs try every operation, parameter, keyword, example and response that a healthy service can answer."""
    assert [] == gaps(measure(service, runs))


def test_reports(runs: list[Run]) -> None:
    """Each run leaves a report for people to read."""
    assert all((run.folder / "report" / "index.html").is_file() for run in runs)


def test_untried_is_a_gap() -> None:
    """Each operation that no run has tried is told."""
    untried = gaps(CoverageMap.from_path(CONTRACT_FILE))
    assert len(contract().operations) == sum(gap.startswith("operation_unseen") for gap in untried)


def test_status(service: Service, runs: list[Run], tmp_path: Path) -> None:
    """The status is 0 only where no run has findings and there are no gaps."""
    complete = measure(service, runs)
    assert 0 == summarise(1, runs, complete, tmp_path)
    assert 1 == summarise(1, [*runs, replace(runs[0], status=1)], complete, tmp_path)
    assert 1 == summarise(1, runs, CoverageMap.from_path(CONTRACT_FILE), tmp_path)


def _more_than_is_taken(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Title"]["maxLength"] = 300


def _less_than_is_taken(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Description"]["maxLength"] = 4000


def _another_answer(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Health"]["properties"]["status"]["enum"] = ["fine"]


@pytest.mark.parametrize(
    ("edit", "operation", "code"),
    [
        (_more_than_is_taken, "create_task", "ST202 Schema-valid request rejected"),
        (_less_than_is_taken, "create_task", "ST201 Schema-violating request accepted"),
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
    options = ("--phases", "coverage", "--include-operation-id", operation, "--seed", "1")
    assert 1 == run_schemathesis(service, OWN_PATH, tmp_path / "run", *options, schema=document).status
    assert f"{code}: 1" in capfd.readouterr().out
