"""One load: wrk sends requests of one kind to a contestant for some seconds; and what came of it."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.contestants import BenchmarkError, Running, token
from benchmarks.processes import cpu_seconds, memory_mb

LOADS = Path(__file__).with_name("loads")
KINDS = ("get", "list20", "list100", "mixed", "create")
# The mixed load once more, in which a service may refuse what it has no room for.
CROWD = "crowd"
# The seconds that wrk has beyond those of the load, to connect and to write its result.
MARGIN = 30


@dataclass(frozen=True)
class Users:
    """The users whom the load plays, each with the same number of tasks, numbered on from user to user.

    Args:
        first: the first user's number: `user1` is 1.
        first_task: the number of the first user's first task.
    """

    count: int
    tasks: int
    first: int = 1
    first_task: int = 1

    def lines(self) -> str:
        """A line for each user, as the Lua scripts read them: the name, the first task's number, a token."""
        names = [f"user{self.first + index}" for index in range(self.count)]
        return "".join(
            f"{name} {self.first_task + index * self.tasks} {token(name)}\n"
            for index, name in enumerate(names)
        )


@dataclass(frozen=True)
class Measurement:
    """What one load reached.

    `cpu_us` is user and system time of the contestant's processes for each request, `database_cpu_us` that of
    PostgreSQL's, in microseconds; `memory_mb` is the contestant's proportional set size after the load; `refused`
    counts the answers 429 and 503 of a crowd, where they are allowed.
    """

    requests: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    database_cpu_us: float
    memory_mb: float
    refused: int = 0


def check_wrk() -> None:
    """Returns if wrk is installed; raises BenchmarkError if not."""
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is not installed; on Debian: apt-get install wrk")


def measure_load(
    running: Running, postgres: psutil.Process, kind: str, users: Users, seconds: int, connections: int
) -> Measurement:
    """Sends requests of one kind for so many seconds, each connection its next one as soon as it has its answer.

    Args:
        postgres: the process that has started PostgreSQL's others.
        kind: one of `KINDS`, or another script of the folder `loads`, such as CROWD.
        connections: how many requests are under way at the same time.

    Raises:
        BenchmarkError: if any answer was 400 or above, or none came at all.
    """
    cpu, database_cpu = cpu_seconds(running.process), cpu_seconds(postgres)
    result = _run_wrk(running, kind, users, seconds, connections)
    cpu, database_cpu = cpu_seconds(running.process) - cpu, cpu_seconds(postgres) - database_cpu
    requests, refused, broken = (int(result[name]) for name in ("requests", "refused", "broken"))
    if refused or broken or not requests:
        raise BenchmarkError(
            f"{running.contestant.label}, {kind}: of {requests} answers {refused} were 400 or above, and "
            f"{broken} requests had none: the run does not count"
        )
    return Measurement(
        requests=requests,
        requests_per_second=requests / result["seconds"],
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        cpu_us=1e6 * cpu / requests,
        database_cpu_us=1e6 * database_cpu / requests,
        memory_mb=memory_mb(running.process),
        refused=int(result["allowed"]),
    )


def _run_wrk(running: Running, kind: str, users: Users, seconds: int, connections: int) -> dict[str, float]:
    check_wrk()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        Path(folder, "users").write_text(users.lines())
        environment = {
            "PATH": os.environ["PATH"],
            "LUA_PATH": f"{LOADS}/?.lua",
            "BENCHMARK_USERS": f"{folder}/users",
            "BENCHMARK_TASKS_PER_USER": str(users.tasks),
            "BENCHMARK_RESULT": str(result),
        }
        options = f"--threads 1 --connections {connections} --duration {seconds}s --timeout 10s"
        command = ["wrk", *options.split(), "--script", str(LOADS / f"{kind}.lua"), running.url]
        ended = subprocess.run(  # noqa: S603 - the command is ours and no shell reads it
            command, env=environment, capture_output=True, text=True, timeout=seconds + MARGIN, check=False
        )
        if ended.returncode != 0 or not result.exists():
            lines = (ended.stderr + ended.stdout).strip().splitlines()
            raise BenchmarkError(f"wrk failed: {lines[-1] if lines else 'it has printed nothing'}")
        measured: dict[str, float] = json.loads(result.read_text())
        return measured
