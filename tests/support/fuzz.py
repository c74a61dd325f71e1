"""`make fuzz`: Schemathesis against the real service, with every phase and check, as three identities.

The last lines say what was found and what of the contract was tried; the reports are in `reports/fuzz`. The status
is 0 only if there was no finding and TraceCov saw all of the contract that a healthy service can answer.
"""

import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from tracecov import CoverageMap

from db.embedded.cluster import embedded_postgres
from db.migrations import migrations
from openapi.contract import CONTRACT_FILE, contract
from tests.support.running import PROJECT, Service, service_in_thread

REPORTS = PROJECT / "reports" / "fuzz"

# Responses that the contract has to declare and that no operation of a healthy service answers with.
NOT_TO_BE_HAD = {
    "405": "answers a method that the path does not take, so no operation that exists can be answered with it",
    "408": "answers a request that takes longer to arrive than any generator lets it",
    "500": "answers a fault of the service that nobody foresaw",
    "503": "answers while the database is away or too slow",
}


@dataclass(frozen=True)
class Identity:
    """Who asks, and whom the generated paths name.

    Args:
        users: the first one asks; with more than one, what one of them has made is asked for as the others too.
        pinned: whether the paths name these users only, so that nearly every request gets past the owner check.
        headers: whether the requests carry the headers that the contract declares, under which most changes are
            refused (412, 422) because of what the requests before have left.
    """

    name: str
    users: tuple[str, ...]
    pinned: bool
    headers: bool


IDENTITIES = (
    Identity("own-path", users=("alice",), pinned=True, headers=True),
    Identity("any-path", users=("alice",), pinned=False, headers=True),
    Identity("two-peers", users=("alice", "bob"), pinned=True, headers=False),
)


@dataclass(frozen=True)
class Run:
    """A run of Schemathesis that has ended: its exit status (0 is no finding) and the folder of its reports."""

    identity: Identity
    status: int
    folder: Path


def run_schemathesis(
    service: Service, identity: Identity, folder: Path, *options: str, schema: dict[str, Any] | None = None
) -> Run:
    """Runs Schemathesis with every check and all phases; its output goes where that of this process goes.

    Args:
        folder: for the reports and all else that the run writes.
        options: of `st run`, beside those that make it a run of everything.
        schema: the contract that the service is held against; its own where none is given.
    """
    folder.mkdir(parents=True)
    copy = folder / "openapi.json"
    copy.write_text(json.dumps(prepared(schema or contract().document, identity)))
    configuration = folder / "schemathesis.toml"
    configuration.write_text(
        (PROJECT / "schemathesis.toml").read_text() + _authentication(service, identity, folder)
    )
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
        *("run", str(copy), "--url", service.url),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--mode", "all"),
        *("--continue-on-failure", "--generation-database", "none"),
        *("--report", "html", "--report-html-path", str(folder / "report")),
        *options,
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "SCHEMATHESIS_HOOKS": "tests.support.fuzz_coverage",
        "FUZZ_COVERAGE": str(folder / "coverage.counts"),
    }
    return Run(identity, subprocess.run(command, cwd=folder, env=environment).returncode, folder)


def prepared(document: dict[str, Any], identity: Identity) -> dict[str, Any]:
    """A copy of the contract from which Schemathesis gets further as this identity; the service knows the real one.

    The paths name the identity's users only, where it is pinned to them, by an enum: that leaves in the invalid
    paths, which Schemathesis's own `[parameters]` would overwrite. Our sentences are taken out, because beside a
    `$ref` any keyword keeps Schemathesis from trying the longest and the shortest valid text. Entity tags get a second
    way to say `*`: by itself Schemathesis tries letters and digits alone in a header, and where its pattern allows
    none of them, it sends `0` and calls it valid.
    """
    copy: dict[str, Any] = _without_sentences(document)
    schemas = copy["components"]["schemas"]
    schemas["EntityTags"] = {"anyOf": [{"const": "*"}, schemas["EntityTags"]]}
    if identity.pinned:
        copy["components"]["parameters"]["UserId"]["schema"] = {
            "type": "string",
            "enum": list(identity.users),
        }
    if not identity.headers:
        _leave_out_headers(copy)
    return copy


def _without_sentences(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_sentences(value) for key, value in node.items() if key != "x-messages"}
    return [_without_sentences(value) for value in node] if isinstance(node, list) else node


def _leave_out_headers(document: dict[str, Any]) -> None:
    shared = document["components"]["parameters"]
    for path in document["paths"].values():
        for holder in [path, *(operation for operation in path.values() if isinstance(operation, dict))]:
            holder["parameters"] = [
                parameter
                for parameter in holder.get("parameters", ())
                if shared.get(parameter.get("$ref", "").rpartition("/")[2], parameter)["in"] != "header"
            ]


def _authentication(service: Service, identity: Identity, folder: Path) -> str:
    """Configuration that signs the users in, by a file in the form of the Web Fuzzing Commons."""
    tokens = {user: f"Bearer {service.token(user)}" for user in identity.users}
    users = [
        {"name": user, "fixedHeaders": [{"name": "Authorization", "value": token}]}
        for user, token in tokens.items()
    ]
    file = folder / "users.json"
    file.write_text(json.dumps({"auth": users}))
    peers = f"peers = {json.dumps(identity.users)}\n" if len(identity.users) > 1 else ""
    return f'\n[auth.wfc]\npath = {json.dumps(str(file))}\nuser = "{identity.users[0]}"\n{peers}'


def measure(service: Service, runs: Sequence[Run]) -> CoverageMap:
    """What all runs together have tried of the contract, and what no generator asks for beside it."""
    coverage = CoverageMap.from_path(CONTRACT_FILE)
    for counts in [run.folder / "coverage.counts" for run in runs]:
        if counts.exists():  # A run that could not begin has none, and a status that says so.
            coverage.merge_counts(counts.read_bytes())
    _ask_what_no_generator_asks(service, coverage)
    return coverage


def _ask_what_no_generator_asks(service: Service, coverage: CoverageMap) -> None:
    """A body that is too large, a path that holds U+0000, and a query where the contract knows no parameter."""
    with service.client("alice") as client:
        coverage.httpx.track_client(client)
        for operation in contract().operations.values():
            path = operation.path.format(user_id="alice", id=1)
            if operation.body:
                client.request(operation.method, path, content=b" " * (contract().max_body_bytes + 1))
            if operation.owner:
                client.request(operation.method, operation.path.format(user_id="%00", id=1))
            if not operation.parameters:
                client.request(operation.method, path, params={"unknown": "1"})


def gaps(coverage: CoverageMap) -> list[str]:
    """One line for each part of the contract that was not tried, but for the responses that cannot be had."""
    return [
        " ".join(str(value) for value in gap.values())
        for gap in coverage.coverage_gaps()
        if not (gap["kind"] == "response_uncovered" and gap["status_code"] in NOT_TO_BE_HAD)
    ]


def _had_of_all(coverage: CoverageMap) -> str:
    """How many of the responses that can be had were seen, "43 of 43" say."""
    responses = [
        response for operation in coverage.operation_reports() for response in operation["responses"]
    ]
    seen = [response["hits"] > 0 for response in responses if response["status"] not in NOT_TO_BE_HAD]
    return f"{sum(seen)} of {len(seen)}"


@contextmanager
def _running_service() -> Iterator[Service]:
    with (
        tempfile.TemporaryDirectory(prefix="todo-api-fuzz-") as folder,
        embedded_postgres(Path(folder)) as url,
    ):
        migrations.upgrade(url)
        with service_in_thread(url) as service:
            yield service


@click.command(help=__doc__)
@click.option(
    "--seed", type=int, envvar="SEED", help="Generate the same requests again; random where not given."
)
@click.option("--examples", type=click.IntRange(1), envvar="EXAMPLES", default=300, show_default=True)
@click.option(
    "--seconds", type=click.IntRange(len(IDENTITIES)), envvar="SECONDS", help="Go on for that long."
)
def main(seed: int | None, examples: int, seconds: int | None) -> None:
    """Fuzzes, prints the summary and exits with its status."""
    seed = random.getrandbits(32) if seed is None else seed
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    logging.basicConfig(filename=REPORTS / "service.log", level=logging.INFO)
    options = ["--seed", str(seed), "--max-examples", str(examples)]
    if seconds:
        options += ["--max-time", str(seconds // len(IDENTITIES))]
    with _running_service() as service:
        runs = []
        for identity in IDENTITIES:
            click.secho(f"\n{identity.name}: {' and '.join(identity.users)}, seed {seed}\n", bold=True)
            runs.append(run_schemathesis(service, identity, REPORTS / identity.name, *options))
        coverage = measure(service, runs)
    sys.exit(summarise(seed, runs, coverage, REPORTS))


def summarise(seed: int, runs: Sequence[Run], coverage: CoverageMap, folder: Path) -> int:
    """Prints what came of the runs and returns the exit status: 0 only where nothing was found and no gap is left."""
    coverage.save_report(output_file=str(folder / "coverage.html"))
    click.echo(f"\n{coverage.generate_text_summary(colored=False)}\n")
    click.echo(
        f"Of the responses that a healthy service can give, {_had_of_all(coverage)} were seen. The others:"
    )
    for status, reason in NOT_TO_BE_HAD.items():
        click.echo(f"{status} {reason}.")
    untried = gaps(coverage)
    for gap in untried:
        click.echo(f"not tried: {gap}")
    for run in runs:
        click.echo(
            f"{run.identity.name:10} {'findings' if run.status else 'no findings':12} {run.folder / 'report'}"
        )
    click.echo(f"coverage                {folder / 'coverage.html'}")
    click.echo(f"seed                    {seed}")
    return 1 if untried or any(run.status for run in runs) else 0


if __name__ == "__main__":
    main()
