"""The growth curve: what `get` and `list` take as one user's list and the whole table grow."""

from dataclasses import dataclass

from benchmarks.check_peer import check_peer
from benchmarks.contestants import PRODUCT, running
from benchmarks.databases import Databases, execute, fill
from benchmarks.load import Measurement, Users, measure_load
from benchmarks.rounds import Tell

KINDS = ("get", "list10")
OTHERS_TASKS = 100


@dataclass(frozen=True)
class Step:
    """One user has `tasks` tasks in a table of `rows` rows."""

    tasks: int
    rows: int


STEPS = (
    Step(10, 10_000),
    Step(100, 50_000),
    Step(1_000, 200_000),
    Step(10_000, 600_000),
    Step(100_000, 2_000_000),
)


def measure_growth(
    databases: Databases, seconds: int, connections: int, tell: Tell, steps: tuple[Step, ...] = STEPS
) -> list[dict[str, Measurement]]:
    """What the product reaches at each step, by kind of load: one task, and the newest ten of the user's list.

    The service runs on while its table grows; each step measures a user of its own.

    Raises:
        BenchmarkError: as `measure_load`.
    """
    results = []
    with databases.empty("benchmark_growth") as url, running(PRODUCT, url) as product:
        check_peer(product)
        next_user = 1
        for step in steps:
            tell(f"growth: a user of {step.tasks:,} tasks in a table of {step.rows:,} rows")
            user = next_user
            next_user = _grow(url, user, step)
            ((first_task,),) = execute(
                url, "SELECT min(id) FROM tasks WHERE user_id = %(user)s", {"user": f"user{user}"}
            )
            users = Users(1, step.tasks, user, first_task)
            measured = {}
            for kind in KINDS:
                measure_load(product, databases.process, kind, users, 1, connections)
                measured[kind] = measure_load(product, databases.process, kind, users, seconds, connections)
                tell(f"  {kind:8}{measured[kind].requests_per_second:9,.0f} requests/s")
            results.append(measured)
    return results


def _grow(url: str, user: int, step: Step) -> int:
    """Adds the step's user, and as many others as the table needs; returns the number after the last."""
    fill(url, user, user, step.tasks)
    ((rows,),) = execute(url, "SELECT count(*) FROM tasks")
    others: int = max(0, step.rows - rows) // OTHERS_TASKS
    fill(url, user + 1, user + others, OTHERS_TASKS)
    # So that writing the new rows out does not fall into the measuring.
    execute(url, "CHECKPOINT")
    return user + others + 1
