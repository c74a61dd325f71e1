"""`make fuzz`: the stock Schemathesis against the running service, by the document that it publishes.

It is run as the README says: with its own checks and phases, a token, and the one line of `schemathesis.toml`. The
status is 0 only where it finds nothing; its report is in `reports/fuzz`.
"""

import logging
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from db.embedded.cluster import embedded_postgres
from db.migrations import migrations
from tests.support.running import PROJECT, Service, service_in_thread

REPORTS = PROJECT / "reports" / "fuzz"
USER = "demo"


def run_schemathesis(service: Service, folder: Path, *options: str, document: Path | None = None) -> int:
    """Runs Schemathesis and returns its status, 0 where it finds nothing; its output goes where that of this goes.

    Args:
        folder: for the report and all else that the run writes; it must be there.
        options: of `st run`.
        document: the contract that the service is held against; the one that it publishes where none is given.
    """
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(PROJECT / "schemathesis.toml")),
        *(
            "run",
            *([f"{service.url}/openapi.yaml"] if document is None else [str(document), "--url", service.url]),
        ),
        *("-H", f"Authorization: Bearer {service.token(USER)}"),
        *("--continue-on-failure", "--generation-database", "none"),
        *("--report", "html", "--report-html-path", str(folder / "report")),
        *options,
    ]
    return subprocess.run(command, cwd=folder).returncode


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
@click.option("--examples", type=click.IntRange(1), envvar="EXAMPLES", default=200, show_default=True)
@click.option("--seconds", type=click.IntRange(1), envvar="SECONDS", help="Go on for that long.")
def main(seed: int | None, examples: int, seconds: int | None) -> None:
    """Fuzzes and exits with the status of Schemathesis."""
    seed = random.getrandbits(32) if seed is None else seed
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    logging.basicConfig(filename=REPORTS / "service.log", level=logging.INFO)
    options = ["--seed", str(seed), "--max-examples", str(examples)]
    if seconds:
        options += ["--max-time", str(seconds)]
    with _running_service() as service:
        status = run_schemathesis(service, REPORTS, *options)
    click.echo(f"report  {REPORTS / 'report'}\nseed    {seed}")
    sys.exit(status)


if __name__ == "__main__":
    main()
