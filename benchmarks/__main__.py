"""`python -m benchmarks`: measures the service beside its peers, prints the table and writes JSON and SVG."""

import json
import resource
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from benchmarks.circumstances import circumstances, one_line
from benchmarks.contestants import CONTESTANTS, BenchmarkError
from benchmarks.databases import Databases
from benchmarks.growth import STEPS, measure_growth
from benchmarks.load import KINDS, check_wrk
from benchmarks.plot import bars, curves
from benchmarks.rounds import Plan, measure_rounds
from benchmarks.summary import Summary
from benchmarks.table import markdown_tables, table
from db.embedded.cluster import embedded_postgres
from db.embedded.programs import EmbeddedPostgresError

NAMES = tuple(CONTESTANTS)
RESULTS = Path(__file__).with_name("results")
# They show the last run between these marks.
SPEED, README = (Path(__file__).parent.parent / name for name in ("docs/speed.md", "README.md"))
BEGIN, END = "<!-- make bench writes this -->", "<!-- to here -->"


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--rounds", default=6, type=click.IntRange(1), help="How often each contestant is measured.")
@click.option(
    "--seconds",
    default=3,
    type=click.IntRange(1),
    help="How long each load lasts; with more connections, twice that.",
)
@click.option("--workers", default=1, type=click.IntRange(1, 2), help="Processes of each contestant.")
@click.option(
    "--connections",
    multiple=True,
    default=(16, 64, 256, 1000),
    type=click.IntRange(1, 1000),
    help="Requests under way at a time; with each further number the mixed load is measured once more.",
)
@click.option(
    "--kind", "kinds", multiple=True, default=KINDS, type=click.Choice(KINDS), help="This load; repeatable."
)
@click.option(
    "--contestant",
    "names",
    multiple=True,
    default=NAMES,
    type=click.Choice(NAMES),
    help="This one; repeatable.",
)
@click.option(
    "--growth", is_flag=True, help="Measure how todo-api does as its table grows to 2,000,000 rows."
)
@click.option(
    "--output",
    default=RESULTS,
    show_default="benchmarks/results",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for the JSON result and the plot; with its default the documents get their table, too.",
)
def main(
    rounds: int,
    seconds: int,
    workers: int,
    connections: tuple[int, ...],
    kinds: tuple[str, ...],
    names: tuple[str, ...],
    growth: bool,
    output: Path,
) -> None:
    """Measure todo-api beside FastAPI, Litestar, Fastify and a bare ASGI application, on a PostgreSQL of its own.

    With the defaults it takes some 15 minutes, in which the machine should have nothing else to do. Fastify is left out
    where Node or its packages are not there.
    """
    chosen = [CONTESTANTS[name] for name in names]
    for contestant in chosen:
        if contestant.is_left_out:
            _tell(
                f"left out: {contestant.label}, which needs Node 20 and its packages (make bench installs them)"
            )
    contestants = tuple(contestant for contestant in chosen if not contestant.is_left_out)
    usual, *crowds = connections
    plan = Plan(contestants, kinds, rounds, seconds, workers, usual, tuple(crowds))
    try:
        _allow_files()
        check_wrk()
        for contestant in plan.contestants:
            contestant.check_packages()
        output.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix="todo-api-") as folder,
            embedded_postgres(Path(folder, "data")) as url,
        ):
            if growth:
                _growth(Databases(url), plan, output)
            else:
                _rounds(Databases(url), plan, output)
    except (BenchmarkError, EmbeddedPostgresError) as error:
        raise click.ClickException(str(error)) from error


def _rounds(databases: Databases, plan: Plan, output: Path) -> None:
    summary = Summary(plan, measure_rounds(databases, plan, _tell))
    rates = {
        kind: {
            CONTESTANTS[name].label: summary.metric(name, kind, "requests_per_second")
            for name in summary.series
        }
        for kind in plan.kinds
    }
    subtitle = f"{one_line()}; {plan.sizes}, {plan.rounds} rounds of {plan.seconds} s"
    _write(output, f"speed-{plan.workers}", summary.as_json(), bars("Requests per second", subtitle, rates))
    if output == RESULTS and plan.workers == 1:
        tables = markdown_tables(summary)
        _show(SPEED, "\n\n".join(tables))
        _show(README, tables[0])
    click.echo(f"\n{table(summary)}")


def _growth(databases: Databases, plan: Plan, output: Path) -> None:
    measured = measure_growth(databases, plan.seconds, plan.connections, _tell)
    steps = [
        {**asdict(step), **{kind: asdict(each) for kind, each in loads.items()}}
        for step, loads in zip(STEPS, measured, strict=True)
    ]
    panels = {
        title: {kind: [getattr(loads[kind], name) for loads in measured] for kind in measured[0]}
        for title, name in (("requests per second", "requests_per_second"), ("p99, ms", "p99_ms"))
    }
    labels = [f"{step.tasks:,} of {step.rows:,}" for step in STEPS]
    plot = curves("As one user's tasks and the whole table grow", one_line(), labels, panels)
    _write(output, "growth", {"seconds": plan.seconds, "connections": plan.connections, "steps": steps}, plot)
    for label, loads in zip(labels, measured, strict=True):
        cells = [
            f"{kind:7}{each.requests_per_second:8,.0f}/s, p99 {each.p99_ms:6.2f} ms"
            for kind, each in loads.items()
        ]
        click.echo(f"{label:24}{'   '.join(cells)}")


def _write(folder: Path, name: str, result: dict[str, Any], plot: str) -> None:
    folder.joinpath(f"{name}.json").write_text(json.dumps({**circumstances(), **result}, indent=2) + "\n")
    folder.joinpath(f"{name}.svg").write_text(plot)
    _tell(f"written: {name}.json and {name}.svg")


def _show(document: Path, table: str) -> None:
    """Puts the table into a document, between the marks."""
    before, _, rest = document.read_text().partition(f"{BEGIN}\n")
    _, mark, after = rest.partition(f"{END}\n")
    if not mark:
        raise BenchmarkError(f"{document.name} has no place for the table: it must hold {BEGIN} and {END}")
    document.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}\n{after}")
    _tell(f"written: the table in {document.name}")


def _allow_files() -> None:
    """Lets wrk and the contestants have a file for each connection."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tell(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    sys.exit(main())
