"""The rounds: in each, every contestant in turn is started on a fresh copy of the same database, checked and loaded."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.check_peer import check_peer
from benchmarks.contestants import FASTIFY, PRODUCT, Contestant, running
from benchmarks.databases import TASKS_PER_USER, USERS, Databases
from benchmarks.load import CROWD, Measurement, Users, measure_load

WARM_UP_SECONDS = 1
CROWDED = (PRODUCT, FASTIFY)
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is measured: `seconds` of each kind of load on each contestant, `rounds` times; and the mixed load with each
    of the numbers of connections in `crowds`, on the product and the fastest peer; and, beside one worker, with two."""

    contestants: tuple[Contestant, ...]
    kinds: tuple[str, ...]
    rounds: int
    seconds: int
    workers: int
    connections: int
    crowds: tuple[int, ...] = ()
    users: int = USERS
    tasks: int = TASKS_PER_USER
    cores: int = os.cpu_count() or 1

    @property
    def sizes(self) -> str:
        """Workers and connections, for people."""
        return f"{self.workers} worker{'s' * (self.workers > 1)}, {self.connections} connections"


@dataclass
class Series:
    """What one contestant has reached, round by round."""

    loads: dict[str, list[Measurement]] = field(default_factory=dict)
    start_seconds: list[float] = field(default_factory=list)
    crowds: dict[int, list[Measurement]] = field(default_factory=dict)
    doubled: list[Measurement] = field(default_factory=list)


def measure_rounds(databases: Databases, plan: Plan, tell: Tell) -> dict[str, Series]:
    """What each contestant has reached, by its name.

    The contestants are interleaved, and each round begins with another one, so that whatever else the machine does
    meets all of them.

    Args:
        tell: takes each step as a line for a person.

    Raises:
        BenchmarkError: if a contestant cannot be started, breaks a rule of `check_peer` or refuses a request.
    """
    results = {contestant.name: Series() for contestant in plan.contestants}
    with databases.filled("benchmark_seed", plan.users, plan.tasks):
        for number in range(plan.rounds):
            shift = number % len(plan.contestants)
            for contestant in plan.contestants[shift:] + plan.contestants[:shift]:
                tell(f"round {number + 1} of {plan.rounds}: {contestant.label}")
                _measure(databases, plan, contestant, results[contestant.name], tell)
    return results


def _measure(databases: Databases, plan: Plan, contestant: Contestant, series: Series, tell: Tell) -> None:
    users = Users(plan.users, plan.tasks)
    with (
        databases.copy("benchmark_seed", "benchmark", contestant.row_level_security) as url,
        running(contestant, url, plan.workers) as contender,
    ):
        check_peer(contender)
        series.start_seconds.append(contender.seconds_to_first_answer)
        measure_load(contender, databases.process, "mixed", users, WARM_UP_SECONDS, plan.connections)
        for kind in plan.kinds:
            measured = measure_load(contender, databases.process, kind, users, plan.seconds, plan.connections)
            series.loads.setdefault(kind, []).append(measured)
            tell(f"  {kind:8}{measured.requests_per_second:9,.0f} requests/s")
        for connections in plan.crowds if contestant in CROWDED else ():
            measured = measure_load(contender, databases.process, CROWD, users, plan.seconds, connections)
            series.crowds.setdefault(connections, []).append(measured)
            tell(f"  {connections} connections: p99 {measured.p99_ms:,.0f} ms, {measured.refused} refused")
    if contestant is PRODUCT and plan.workers == 1 and "mixed" in plan.kinds:
        _measure_doubled(databases, plan, series, users, tell)


def _measure_doubled(databases: Databases, plan: Plan, series: Series, users: Users, tell: Tell) -> None:
    """The mixed load on two workers of the product."""
    with (
        databases.copy("benchmark_seed", "benchmark", PRODUCT.row_level_security) as url,
        running(PRODUCT, url, 2) as contender,
    ):
        measure_load(contender, databases.process, "mixed", users, WARM_UP_SECONDS, plan.connections)
        measured = measure_load(contender, databases.process, "mixed", users, plan.seconds, plan.connections)
        series.doubled.append(measured)
        tell(f"  2 workers{measured.requests_per_second:8,.0f} requests/s")
