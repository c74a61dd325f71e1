"""The rounds: in each, every contestant is started on a fresh copy of the same database and checked, and they take
turns under one load after the other."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from benchmarks.check_peer import check_peer
from benchmarks.contestants import FASTIFY, PRODUCT, Contestant, Running, running
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

    Under each load the contestants are measured right after one another, and each round begins with another one, so
    that whatever else the machine does meets all of them.

    Args:
        tell: takes each step as a line for a person.

    Raises:
        BenchmarkError: if a contestant cannot be started, breaks a rule of `check_peer` or refuses a request.
    """
    results = {contestant.name: Series() for contestant in plan.contestants}
    with databases.filled("benchmark_seed", plan.users, plan.tasks):
        for number in range(plan.rounds):
            tell(f"round {number + 1} of {plan.rounds}")
            shift = number % len(plan.contestants)
            order = plan.contestants[shift:] + plan.contestants[:shift]
            _measure(databases, plan, order, results, tell)
    return results


def _measure(
    databases: Databases, plan: Plan, order: Sequence[Contestant], results: dict[str, Series], tell: Tell
) -> None:
    users = Users(plan.users, plan.tasks)
    with ExitStack() as stack:
        contenders = [
            stack.enter_context(_started(databases, plan, users, contestant, plan.workers))
            for contestant in order
        ]
        for contender in contenders:
            check_peer(contender)
            results[contender.contestant.name].start_seconds.append(contender.seconds_to_first_answer)
        for kind in plan.kinds:
            for contender in contenders:
                measured = measure_load(
                    contender, databases.process, kind, users, plan.seconds, plan.connections
                )
                results[contender.contestant.name].loads.setdefault(kind, []).append(measured)
                rate = f"{measured.requests_per_second:9,.0f} requests/s"
                tell(f"  {kind:8}{rate} {contender.contestant.label}")
        crowded = [contender for contender in contenders if contender.contestant in CROWDED]
        for connections in plan.crowds:
            for contender in crowded:
                measured = measure_load(
                    contender, databases.process, CROWD, users, 2 * plan.seconds, connections
                )
                results[contender.contestant.name].crowds.setdefault(connections, []).append(measured)
                figures = f"p99 {measured.p99_ms:,.0f} ms, {measured.refused} refused"
                tell(f"  {connections} connections: {figures}: {contender.contestant.label}")
    if PRODUCT in order and plan.workers == 1 and "mixed" in plan.kinds:
        with _started(databases, plan, users, PRODUCT, 2) as contender:
            measured = measure_load(
                contender, databases.process, "mixed", users, plan.seconds, plan.connections
            )
        results[PRODUCT.name].doubled.append(measured)
        tell(f"  2 workers{measured.requests_per_second:8,.0f} requests/s")


@contextmanager
def _started(
    databases: Databases, plan: Plan, users: Users, contestant: Contestant, workers: int
) -> Iterator[Running]:
    """A contestant that is warm, on a database of its own."""
    name = f"benchmark_{contestant.name.replace('-', '_')}"
    with (
        databases.copy("benchmark_seed", name, contestant.row_level_security) as url,
        running(contestant, url, workers) as contender,
    ):
        measure_load(contender, databases.process, "mixed", users, WARM_UP_SECONDS, plan.connections)
        yield contender
