"""Who is measured, and how each is started: a process of its own on a database of its own."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path

import jwt
import psutil  # type: ignore[import-untyped]

PROJECT = Path(__file__).parent.parent
SECRET = "a secret of the benchmarks, 32 bytes and more"  # noqa: S105 - it opens a throw-away database only
START_SECONDS = 60
# That of an environment as people install it. In one for developers httpx loads what only they have.
PRODUCT_PYTHON = os.environ.get("PRODUCT_PYTHON", sys.executable)


class BenchmarkError(Exception):
    """A measurement that cannot be made or does not count; the message is one line for a person."""


@dataclass(frozen=True)
class Contestant:
    """One implementation of the API.

    Args:
        module: the peer's module, or a script that Node runs; None for the product, which is started as people do.
        row_level_security: whether its tables have it.
        requires: the packages that it needs beside those of the service.
    """

    name: str
    label: str
    module: str | None
    row_level_security: bool
    requires: tuple[str, ...] = ()

    @property
    def is_left_out(self) -> bool:
        """Whether it needs Node and its packages, which are not there."""
        if self.script is None:
            return False
        return shutil.which("node") is None or not (self.script.parent / "node_modules").is_dir()

    @property
    def script(self) -> Path | None:
        """The file that Node runs; None for one in Python."""
        return PROJECT / self.module if self.module is not None and self.module.endswith(".mjs") else None

    def check_packages(self) -> None:
        """Returns if what it needs is installed and it runs on the peers' build of Python.

        Raises:
            BenchmarkError: if not; the message says what is missing.
        """
        if self.is_left_out:
            raise BenchmarkError(f"{self.label} needs Node 20 and its packages: run `make bench`")
        missing = [package for package in self.requires if find_spec(package) is None]
        if missing:
            raise BenchmarkError(
                f"{self.label} needs {', '.join(missing)}: install the project with its extra `bench`"
            )
        if self.module is None and (build := _build_of(PRODUCT_PYTHON)) != sys.version:
            raise BenchmarkError(
                f"the service would run on Python {build}, the peers on {sys.version}: measure after `make clean`"
            )

    def command(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """The command that serves on this port of loopback, and its settings beyond database and secret."""
        if self.module is None:
            # With a line for each request, as people run it, which the peers have not.
            settings = {"PORT": str(port), "WEB_CONCURRENCY": str(workers)}
            return [PRODUCT_PYTHON, "-m", "server", "serve"], settings
        if self.script is not None:
            settings = {"PORT": str(port), "WEB_CONCURRENCY": str(workers), "NODE_ENV": "production"}
            return ["node", str(self.script)], settings
        options = f"--port {port} --workers {workers} --loop uvloop --http httptools --ws none"
        quiet = "--no-access-log --log-level warning --no-proxy-headers --no-server-header"
        return [sys.executable, "-m", "uvicorn", f"{self.module}:app", *options.split(), *quiet.split()], {}


PRODUCT = Contestant("todo-api", "todo-api", None, row_level_security=True)
FASTAPI = Contestant(
    "fastapi",
    "FastAPI + SQLModel + psycopg2",
    "benchmarks.fastapi_peer",
    row_level_security=False,
    requires=("fastapi", "sqlmodel"),
)
LITESTAR = Contestant(
    "litestar",
    "Litestar + msgspec + asyncpg",
    "benchmarks.litestar_peer",
    row_level_security=False,
    requires=("litestar", "msgspec", "asyncpg"),
)
FASTIFY = Contestant(
    "fastify",
    "Fastify + openapi-glue + pg",
    "benchmarks/fastify_peer/server.mjs",
    row_level_security=False,
)
FLOOR = Contestant("floor", "bare ASGI + psycopg2", "benchmarks.floor", row_level_security=False)
CONTESTANTS = {contestant.name: contestant for contestant in (PRODUCT, FASTAPI, LITESTAR, FASTIFY, FLOOR)}


@dataclass(frozen=True)
class Running:
    """A contestant that answers on `port` of loopback."""

    contestant: Contestant
    port: int
    process: psutil.Process
    seconds_to_first_answer: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running(contestant: Contestant, database_url: str, workers: int = 1) -> Iterator[Running]:
    """A contestant in a process of its own, from its first answer until the context ends.

    Raises:
        BenchmarkError: if it does not answer; the message holds the last line that it has printed.
    """
    contestant.check_packages()
    port = _free_port()
    command, settings = contestant.command(port, workers)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "DATABASE_URL": database_url,
        "AUTH_JWT_SECRET": SECRET,
        **settings,
    }
    # In a folder of its own, where no .env has a say.
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - the command is ours and no shell reads it
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while not _answers(port):
                if process.poll() is not None or time.perf_counter() - started > START_SECONDS:
                    output.seek(0)
                    last = (output.read().strip().splitlines() or ["it has printed nothing"])[-1]
                    raise BenchmarkError(f"{contestant.label} does not start: {last}")
                time.sleep(0.005)
            seconds = time.perf_counter() - started
            yield Running(contestant, port, psutil.Process(process.pid), seconds)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def token(user: str, lifetime: int = 24 * 3600) -> str:
    """A token for `user` that every contestant takes, for so many seconds."""
    return jwt.encode({"sub": user, "exp": int(time.time()) + lifetime}, SECRET, algorithm="HS256")


def bearer(user: str) -> Mapping[str, str]:
    """The header that signs a request in as `user`."""
    return {"Authorization": f"Bearer {token(user)}"}


@cache
def _build_of(python: str) -> str:
    asked = [python, "-c", "import sys; print(sys.version)"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.rstrip("\n")  # noqa: S603


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/user1/tasks?limit=1", headers=dict(bearer("user1")))
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
