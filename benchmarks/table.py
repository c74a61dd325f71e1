"""What was measured, as text for a terminal."""

from collections.abc import Sequence

from benchmarks.circumstances import one_line
from benchmarks.contestants import CONTESTANTS
from benchmarks.summary import CORES_FOR_TWO, Spread, Summary

_COLUMNS = {
    "p50 ms": "p50_ms",
    "p99 ms": "p99_ms",
    "CPU us": "cpu_us",
    "db CPU us": "database_cpu_us",
    "memory MB": "memory_mb",
}


def table(summary: Summary) -> str:
    """Requests per second, ratios with their spread, then a table for each kind of load, then the goals."""
    plan, kinds = summary.plan, summary.plan.kinds
    lines = [
        f"Requests per second, medians of {plan.rounds} rounds of {plan.seconds} s; {plan.sizes}",
        "",
        _row("", kinds),
    ]
    for name in summary.series:
        rates = [summary.metric(name, kind, "requests_per_second").median for kind in kinds]
        lines.append(_row(_label(name), [f"{rate:,.0f}" for rate in rates]))
    lines += ["", _row("CPU us a request: own + db", kinds)]
    for name in summary.series:
        lines.append(_row(_label(name), [_costs(summary, name, kind) for kind in kinds]))
    if summary.rivals:
        lines += [
            "",
            "How many times theirs todo-api's are (least and most of the rounds)",
            "",
            _row("", kinds),
        ]
        for name in summary.rivals:
            lines.append(_row(_label(name), [_ratio(summary.ratio(name, kind)) for kind in kinds]))
    for kind in kinds:
        lines += ["", _row(kind, [*_COLUMNS, "start s"])]
        for name in summary.series:
            numbers = [summary.metric(name, kind, column).median for column in _COLUMNS.values()]
            numbers.append(summary.start_seconds(name).median)
            lines.append(_row(_label(name), [f"{n:,.2f}" if n < 10 else f"{n:,.0f}" for n in numbers]))
    for connections in plan.crowds:
        lines += [
            "",
            _row(f"mixed, {connections} connections", ["requests/s", "p50 ms", "p99 ms", "refused"]),
        ]
        for name in summary.series:
            if connections in summary.series[name].crowds:
                measured = ("requests_per_second", "p50_ms", "p99_ms", "refused")
                numbers = [summary.crowd(name, connections, each) for each in measured]
                lines.append(_row(_label(name), [f"{n:,.0f}" for n in numbers]))
    lines += [
        "",
        "CPU is user and system time for each request, in microseconds, of the contestant and of",
        "PostgreSQL (db). What a crowd was refused are 429 and 503 with Retry-After; any other refusal ends the run.",
        "",
    ]
    doubling = summary.doubling()
    if doubling is not None:
        lines.append(
            f"Two workers answer {_ratio(doubling)} times the requests of one under the mixed load; "
            f"judged where there are {CORES_FOR_TWO} cores."
        )
    for goal in summary.goals():
        lines.append(f"{'reached' if goal.reached else 'MISSED':8} {goal.sentence}: {goal.value:.4g}")
    return "\n".join(lines)


def markdown_tables(summary: Summary) -> list[str]:
    """What documents show of a run: first the machine and requests per second, then CPU, p99 and the goals."""
    plan, kinds = summary.plan, summary.plan.kinds
    rates = [["Requests/s", *kinds, "memory, MB", "start, s"]]
    costs = [["CPU of a request, µs: own + PostgreSQL's", *kinds]]
    waits = [["p99 of the mixed load, ms, by connections", *map(str, (plan.connections, *plan.crowds))]]
    for name, series in summary.series.items():
        label = _label(name)
        reached = [summary.metric(name, kind, "requests_per_second").median for kind in kinds]
        memory, start = (
            summary.metric(name, kinds[-1], "memory_mb").median,
            summary.start_seconds(name).median,
        )
        rates.append([label, *(f"{each:,.0f}" for each in reached), f"{memory:.0f}", f"{start:.2f}"])
        costs.append([label, *(_costs(summary, name, kind) for kind in kinds)])
        if series.crowds and "mixed" in kinds:
            usual = summary.metric(name, "mixed", "p99_ms").median
            crowds = [summary.crowd(name, connections, "p99_ms") for connections in plan.crowds]
            waits.append([label, *(f"{wait:,.0f}" for wait in (usual, *crowds))])
    goals = [["Goal", "reached", ""]]
    goals += [
        [each.sentence, f"{each.value:.4g}", "yes" if each.reached else "no"] for each in summary.goals()
    ]
    machine = f"{one_line()}; {plan.sizes}, medians of {plan.rounds} rounds of {plan.seconds} s."
    first, *others = [_markdown(rows) for rows in (rates, costs, waits, goals) if len(rows) > 1]
    return [f"{machine}\n\n{first}", *others]


def _costs(summary: Summary, name: str, kind: str) -> str:
    own, database = (summary.metric(name, kind, each).median for each in ("cpu_us", "database_cpu_us"))
    return f"{own:,.0f} + {database:,.0f}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "| --- " * len(rows[0]) + "|", *body])


def _label(name: str) -> str:
    return CONTESTANTS[name].label


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:31}" + "".join(f"{cell:>19}" for cell in cells)


def _ratio(measured: Spread) -> str:
    return f"{measured.median:.2f} ({measured.least:.2f}-{measured.most:.2f})"
