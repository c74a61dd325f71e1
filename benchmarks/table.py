"""What was measured, as text for a terminal."""

from collections.abc import Sequence

from benchmarks.contestants import CONTESTANTS
from benchmarks.summary import Spread, Summary

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
        costs = [
            [summary.metric(name, kind, each).median for each in ("cpu_us", "database_cpu_us")]
            for kind in kinds
        ]
        lines.append(_row(_label(name), [f"{own:,.0f} + {database:,.0f}" for own, database in costs]))
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
    for goal in summary.goals():
        lines.append(f"{'reached' if goal.reached else 'MISSED':8} {goal.sentence}: {goal.value:.2f}")
    return "\n".join(lines)


def _label(name: str) -> str:
    return CONTESTANTS[name].label


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:31}" + "".join(f"{cell:>19}" for cell in cells)


def _ratio(measured: Spread) -> str:
    return f"{measured.median:.2f} ({measured.least:.2f}-{measured.most:.2f})"
