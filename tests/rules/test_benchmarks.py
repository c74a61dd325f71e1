"""The benchmark harness: a few requests through it for each contestant, what it makes of the numbers, and what makes a
run not count."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("psutil", reason="psutil of the extra `bench` is not installed")

from benchmarks.__main__ import main
from benchmarks.check_peer import check_peer
from benchmarks.contestants import (
    CONTESTANTS,
    FASTAPI,
    FASTIFY,
    FLOOR,
    LITESTAR,
    PRODUCT,
    PROJECT,
    BenchmarkError,
    Contestant,
    running,
)
from benchmarks.databases import Databases, execute
from benchmarks.growth import Step, measure_growth
from benchmarks.load import CROWD, KINDS, LOADS, Measurement, Users, measure_load
from benchmarks.plot import bars, curves
from benchmarks.rounds import Plan, Series
from benchmarks.summary import Spread, Summary, spread
from benchmarks.table import markdown_tables, table

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
SEED = "test_benchmarks_seed"
USERS = Users(count=3, tasks=120)
SVG = "{http://www.w3.org/2000/svg}"
rates = st.floats(1, 1e6)


@pytest.fixture(scope="module")
def databases(database_url: str) -> Iterator[Databases]:
    """The test suite's PostgreSQL with a filled database to copy."""
    databases = Databases(database_url)
    with databases.filled(SEED, USERS.count, USERS.tasks):
        yield databases


@pytest.fixture(
    params=[
        pytest.param(each, id=name, marks=[pytest.mark.faults] if each.requires else [])
        for name, each in CONTESTANTS.items()
    ]
)
def contestant(request: pytest.FixtureRequest) -> Contestant:
    """Each contestant whose packages are installed."""
    contestant: Contestant = request.param
    if contestant.is_left_out:
        pytest.skip("Node or the packages of the Fastify peer are not installed")
    missing = [package for package in contestant.requires if find_spec(package) is None]
    if missing:
        pytest.skip(f"of the extra `bench` {', '.join(missing)} are not installed")
    return contestant


@needs_wrk
def test_each_contestant_passes_the_check_and_answers_every_request(
    contestant: Contestant, databases: Databases
) -> None:
    """Every contestant passes the same small test, leaves nothing behind, and answers every request of the loads."""
    with (
        databases.copy(SEED, "test_benchmarks", contestant.row_level_security) as url,
        running(contestant, url) as contender,
    ):
        check_peer(contender)
        assert [(360,)] == execute(url, "SELECT count(*) FROM tasks WHERE deleted_at IS NULL")
        for kind in ("mixed", "list100"):
            measured = measure_load(contender, databases.process, kind, USERS, 1, 2)
            assert 0 < measured.requests
            assert 0 < measured.p50_ms <= measured.p99_ms
            assert 0 < measured.memory_mb
        assert [("user1",), ("user2",), ("user3",)] == execute(
            url, "SELECT DISTINCT user_id FROM tasks WHERE deleted_at IS NULL ORDER BY user_id"
        )


@pytest.mark.parametrize(("contestant", "bound"), [(FASTAPI, False), (PRODUCT, True), (FLOOR, False)])
def test_only_the_peers_are_without_row_level_security(
    contestant: Contestant, bound: bool, databases: Databases
) -> None:
    """The product is bound by row level security on every table, and the peers and the floor on none."""
    with databases.copy(SEED, "test_benchmarks", contestant.row_level_security) as url:
        bindings = execute(
            url,
            "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relname IN "
            "('users', 'tasks', 'idempotency_keys')",
        )
    assert [(bound,)] * 3 == bindings


@pytest.mark.faults
@needs_wrk
def test_every_kind_of_load_does_what_its_name_says(databases: Databases) -> None:
    """Reading loads change nothing, creating ones add a task with each request, mixed ones with every tenth."""
    written = {}
    with (
        databases.copy(SEED, "test_benchmarks", FLOOR.row_level_security) as url,
        running(FLOOR, url) as floor,
    ):
        for kind in (*KINDS, "list10"):
            before = _counts(url)
            requests = measure_load(floor, databases.process, kind, USERS, 1, 2).requests
            created, changed = (now - then for now, then in zip(_counts(url), before, strict=True))
            # wrk hangs up with a request under way on each of its two connections.
            written[kind] = created / requests, changed / requests, 2 / requests
    for kind in ("get", "list10", "list20", "list100"):
        assert (0, 0) == written[kind][:2], kind
    assert pytest.approx(1, abs=1.5 * written["create"][2]) == written["create"][0]
    assert pytest.approx(0.1, abs=0.05) == written["mixed"][0]
    assert 0 < written["mixed"][1] <= 0.15
    assert {"common", "list10", CROWD, *KINDS} == {script.stem for script in LOADS.glob("*.lua")}


def _counts(url: str) -> tuple[int, int]:
    """How many tasks there are, and how many of the seed have been changed."""
    ((tasks, changed),) = execute(
        url, "SELECT count(*), count(*) FILTER (WHERE updated_at > created_at) FROM tasks"
    )
    return tasks, changed


@needs_wrk
def test_an_answer_of_400_or_above_fails_the_run(databases: Databases) -> None:
    """A load on tasks that do not exist is answered by 404, and a run with such an answer does not count."""
    absent = Users(USERS.count, USERS.tasks, first_task=10**6)
    with (
        databases.copy(SEED, "test_benchmarks", FLOOR.row_level_security) as url,
        running(FLOOR, url) as floor,
        pytest.raises(BenchmarkError, match=r"bare ASGI \+ psycopg2, get: of \d+ answers \d+ were 400"),
    ):
        measure_load(floor, databases.process, "get", absent, 1, 2)


def test_a_contestant_that_breaks_a_rule_is_not_timed(databases: Databases) -> None:
    """The check fails for a contestant that keeps less of the contract than the others, and names the rule."""
    lenient = Contestant("lenient", "A lenient peer", "tests.support.lenient_peer", row_level_security=True)
    with (
        running(lenient, databases.url(SEED)) as contender,
        pytest.raises(BenchmarkError, match=r"A lenient peer: the status of GET .* is 200 and should be 401"),
    ):
        check_peer(contender)


def test_a_contestant_that_does_not_start_is_told_with_its_last_words(databases: Databases) -> None:
    """A contestant whose process ends is an error of one line, which is the last that it has printed."""
    nobody = Contestant("nobody", "Nobody", "benchmarks.nobody", row_level_security=True)
    with (
        pytest.raises(BenchmarkError, match=r"\ANobody does not start: .*benchmarks\.nobody.*\Z"),
        running(nobody, databases.url(SEED)),
    ):
        pass


def test_a_missing_package_is_told_before_anything_is_measured() -> None:
    """A contestant without its packages is an error of one line that names them and what installs them."""
    lacking = Contestant(
        "lacking", "Lacking", None, row_level_security=True, requires=("json", "no_such_package")
    )
    with pytest.raises(BenchmarkError, match=r"^Lacking needs no_such_package: install .* extra `bench`$"):
        lacking.check_packages()


@needs_wrk
def test_two_builds_of_python_are_not_compared(tmp_path: Path) -> None:
    """The service is measured on the peers' build of Python, or not at all."""
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 3.9.0\n")
    other.chmod(0o700)
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--contestant",
        "todo-api",
        "--output",
        str(tmp_path / "results"),
    ]
    environment = {**os.environ, "PRODUCT_PYTHON": str(other)}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT, env=environment)
    assert 1 == ended.returncode
    assert ended.stderr.startswith("Error: the service would run on Python 3.9.0, the peers on 3.")
    assert not (tmp_path / "results").exists()


def test_a_missing_wrk_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without wrk the command ends at once with one line that says how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = CliRunner().invoke(main, ["--output", str(tmp_path / "results")])
    assert (1, "Error: wrk is not installed; on Debian: apt-get install wrk") == (
        ended.exit_code,
        ended.output.splitlines()[-1],
    )
    assert not (tmp_path / "results").exists()


@pytest.mark.faults
@needs_wrk
def test_the_command_prints_the_table_and_writes_json_and_svg(tmp_path: Path) -> None:
    """One short run from the command line gives a table, a JSON result with every round, and a plot."""
    options = "--rounds 1 --seconds 1 --connections 2 --connections 8 --kind mixed"
    contestants = "--contestant todo-api --contestant floor"
    ended = CliRunner().invoke(main, [*options.split(), *contestants.split(), "--output", str(tmp_path)])
    assert 0 == ended.exit_code, ended.output
    assert "mixed: CPU at most 1.5 times that of bare ASGI + psycopg2" in ended.stdout
    result = json.loads((tmp_path / "speed-1.json").read_text())
    assert ["todo-api", "floor"] == list(result["contestants"])
    assert 0 < result["contestants"]["todo-api"]["crowds"]["8"][0]["p99_ms"]
    assert [1, 1] == [len(each["rounds"]["mixed"]) for each in result["contestants"].values()]
    assert {"date", "processor", "cores", "memory_gb", "packages", "goals", "ratios"} <= result.keys()
    ElementTree.parse(tmp_path / "speed-1.svg")


@pytest.mark.faults
@needs_wrk
def test_the_growth_curve_measures_each_step_on_a_table_of_its_size(databases: Databases) -> None:
    """At each step a user has exactly the step's tasks, the table has its rows, and both loads are answered."""
    told: list[str] = []
    measured = measure_growth(databases, 1, 2, told.append, (Step(10, 400), Step(300, 1000)))
    assert [["get", "list10"]] * 2 == [list(step) for step in measured]
    assert all(0 < each.requests for step in measured for each in step.values())
    assert [
        "growth: a user of 10 tasks in a table of 400 rows",
        "growth: a user of 300 tasks in a table of 1,000 rows",
    ] == [line for line in told if line.startswith("growth")]


def _summary(
    ours: list[float], theirs: list[float], rival: Contestant = FASTAPI, **figures: float
) -> Summary:
    """A run of mixed load with these requests per second in each round, and other figures of the product's."""
    workers, two_workers = int(figures.pop("workers", 1)), figures.pop("two_workers", None)
    plan = Plan((PRODUCT, rival), ("mixed",), len(ours), 6, workers, 16, cores=4)
    start = figures.pop("start_seconds", 1)

    def series(per_second: list[float], **others: float) -> Series:
        usual = {"requests": 1, "p50_ms": 1, "p99_ms": 1, "cpu_us": 1, "database_cpu_us": 1, "memory_mb": 50}
        rounds = [Measurement(**{**usual, **others, "requests_per_second": each}) for each in per_second]  # type: ignore[arg-type]
        return Series({"mixed": rounds}, [start] * len(rounds))

    their_series = series(theirs)
    their_series.start_seconds = [1.0] * len(theirs)
    our_series = series(ours, **figures)
    if two_workers is not None:
        our_series.doubled = series([two_workers] * len(ours)).loads["mixed"]
    return Summary(plan, {PRODUCT.name: our_series, rival.name: their_series})


def test_a_ratio_is_taken_round_by_round() -> None:
    """A round in which the whole machine was slow changes no ratio: 8, 10 and 9 times are 9 (8 to 10)."""
    assert Spread(9, 8, 10) == _summary([8000, 100, 900], [1000, 10, 100]).ratio(FASTAPI.name, "mixed")


@given(st.lists(rates, min_size=1, max_size=9))
def test_a_spread_lies_around_its_median(values: list[float]) -> None:
    """The median is never outside the least and the most, and these are of the measured values."""
    measured = spread(values)
    assert measured.least <= measured.median <= measured.most
    assert {measured.least, measured.most} <= set(values)


@pytest.mark.parametrize(
    ("rival", "figures", "sentence", "reached"),
    [
        (FASTAPI, {"ours": 1000}, "mixed: at least 10 times FastAPI + SQLModel + psycopg2", True),
        (FASTAPI, {"ours": 999}, "mixed: at least 10 times FastAPI + SQLModel + psycopg2", False),
        (FASTAPI, {"ours": 600, "workers": 2}, "mixed: at least 6 times FastAPI + SQLModel + psycopg2", True),
        (LITESTAR, {"ours": 169}, "mixed: at least 1.7 times Litestar + msgspec + asyncpg", False),
        (FASTIFY, {"ours": 80}, "mixed: at least 0.8 times Fastify + openapi-glue + pg", True),
        (FLOOR, {"cpu_us": 1.5}, "mixed: CPU at most 1.5 times that of bare ASGI + psycopg2", True),
        (FLOOR, {"cpu_us": 1.6}, "mixed: CPU at most 1.5 times that of bare ASGI + psycopg2", False),
        (FLOOR, {"two_workers": 170}, "mixed: two workers at least 1.7 times one", True),
        (FLOOR, {"p99_ms": 15.1}, "mixed: p99 at most 15 ms", False),
        (FLOOR, {"memory_mb": 90}, "memory of a worker, MB: at most 90", True),
        (FLOOR, {"memory_mb": 91}, "memory of a worker, MB: at most 90", False),
        (
            FASTAPI,
            {"start_seconds": 1.6},
            "start to first answer, s: at most 1.50, 1.5 times that of FastAPI + SQLModel + psycopg2",
            False,
        ),
    ],
)
def test_a_goal_is_reached_at_its_limit_and_missed_beyond(
    rival: Contestant, figures: dict[str, float], sentence: str, reached: bool
) -> None:
    """Each goal is reported with what was measured, and whether that is enough."""
    summary = _summary(
        [figures.get("ours", 100)], [100], rival, **{n: v for n, v in figures.items() if n != "ours"}
    )
    assert {sentence: reached}.items() <= {goal.sentence: goal.reached for goal in summary.goals()}.items()
    assert f"{'reached' if reached else 'MISSED':8} {sentence}" in table(summary)
    assert f"| {sentence} |" in markdown_tables(summary)[-1]


@given(
    st.dictionaries(st.text(min_size=1).filter(str.isprintable), rates, min_size=1, max_size=len(CONTESTANTS))
)
def test_bars_are_well_formed_and_stay_within_the_picture(measured: dict[str, float]) -> None:
    """Whatever the labels and the numbers, the plot is XML, each number can be read and no bar leaves the picture."""
    group = {label: Spread(rate, rate * 0.9, rate * 1.1) for label, rate in measured.items()}
    picture = ElementTree.fromstring(bars("A < B & C", "on a machine", {"get": group, "mixed": group}))
    texts = [element.text for element in picture.iter(f"{SVG}text")]
    assert {f"{rate:,.0f}" for rate in measured.values()} | set(measured) <= set(texts)
    width = float(picture.attrib["viewBox"].split()[2])
    for bar in picture.iter(f"{SVG}rect"):
        assert 0 <= float(bar.attrib["x"]) <= float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width


@given(st.lists(rates, min_size=2, max_size=6))
def test_curves_stay_within_the_picture_and_rise_with_their_values(values: list[float]) -> None:
    """Of two points of a curve the one with the greater value is drawn at least as high, and all are in the picture."""
    steps = [str(step) for step in range(len(values))]
    picture = ElementTree.fromstring(curves("Growth", "on a machine", steps, {"requests": {"get": values}}))
    points = [
        (float(point.attrib["cy"]), value)
        for point, value in zip(picture.iter(f"{SVG}circle"), values, strict=True)
    ]
    heights = [height for height, _ in sorted(points, key=lambda point: point[1])]
    assert sorted(heights, reverse=True) == heights
    assert 0 <= min(heights) <= max(heights) <= float(picture.attrib["viewBox"].split()[3])
