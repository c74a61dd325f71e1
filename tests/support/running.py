"""The real service for tests: on a real port, in this process so that its lines are counted, or as its own process."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from server.app import create_app
from server.identity.claims import issue_token
from server.process.connections import Connections
from server.product import LoadProduct
from server.settings import Settings
from server.todo import todo
from tests.support.forked import run_module

PROJECT = Path(__file__).parents[2]
SECRET = b"a secret of the test suite, 32 bytes and more"
# What a process of ours gets of this one's environment.
INHERITED = {name: os.environ[name] for name in ("PATH", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
# Made once, since it takes milliseconds, and tests need thousands of clients.
ANY_CERTIFICATE = httpx.create_ssl_context(verify=False)
# The headers in which two answers differ that are the same to their reader.
EACH_ITS_OWN = {"date", "x-request-id"}


def copy_project(folder: Path) -> None:
    """Copies the project's own Python, its contract and its migrations into `folder`."""
    for package in ("openapi", "handlers", "db", "server", "lint", "alembic"):
        shutil.copytree(PROJECT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))


@dataclass(frozen=True)
class Service:
    """A service that answers at `url`."""

    url: str
    secret: bytes = SECRET

    def token(self, user: str, **claims: Any) -> str:
        """A token for `user` that the service takes."""
        return issue_token(self.secret, user, **claims)

    def client(self, user: str | None = None, **claims: Any) -> httpx.Client:
        """An HTTP client that is signed in as `user`, or not at all."""
        headers = {"Authorization": f"Bearer {self.token(user, **claims)}"} if user is not None else {}
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=30, trust_env=False, verify=ANY_CERTIFICATE
        )


def status_of(address: str) -> int | None:
    """The status with which a GET of the address is answered, None where nobody answers it."""
    try:
        return httpx.get(address, trust_env=False, verify=ANY_CERTIFICATE).status_code
    except httpx.TransportError:
        return None


def settings_for(**values: Any) -> Settings:
    """Settings from `values` alone, whatever the environment holds."""
    return Settings(auth_jwt_secret=SECRET, **values)


_reserved: list[socket.socket] = []


def free_port() -> int:
    """A port on loopback that nobody listens on, and that is given to nobody else while the tests run.

    A bound socket that does not listen keeps the system from choosing the port for a server or a client that leaves
    the choice to it; one that names the port gets it, since both sockets have SO_REUSEADDR.
    """
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind(("127.0.0.1", 0))
    _reserved.append(reservation)
    return int(reservation.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server may listen on the port."""
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


@contextmanager
def service_in_thread(
    database_url: str,
    settings: Settings | None = None,
    load: LoadProduct = todo,
    *,
    validate_answers: bool = True,
) -> Iterator[Service]:
    """A service on a real port, its event loop in a thread of this process."""
    settings = settings or settings_for()
    app = create_app(load(), settings, database_url, validate_answers=validate_answers)
    connections = Connections(settings.request_timeout, settings.keep_alive, settings.root_path)
    server = uvicorn.Server(connections.configuration(app, lifespan="on", log_config=None))
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started, "the service did not start"
        try:
            yield Service(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join(20)


def todo_api(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command `todo-api` to its end, with these settings and no others."""
    values = {**INHERITED, "PYTHONPATH": str(PROJECT), **environment}
    return run_module("server", *arguments, cwd=cwd, environment=values)


class ServeProcess:
    """`todo-api serve` as a process of its own; use it as a context."""

    def __init__(self, port: int | None = None, cwd: Path | None = None, **environment: str) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._cwd = cwd or PROJECT
        self._environment = {
            **INHERITED,
            "PYTHONPATH": str(PROJECT),
            "PORT": str(self.port),
            # Without a line for each request, so that any other stands out.
            "LOG_LEVEL": "WARNING",
            **environment,
        }
        self._options: dict[str, Any] = {}
        self.arguments: tuple[str, ...] = ()
        """Options of the command, to be set before it starts."""

    def take_terminal(self, terminal: int) -> None:
        """Lets the service be the first process of this terminal, as one that a person starts from it."""

        def own() -> None:
            os.setsid()
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
            # Ignored, and so inherited, where the tests themselves were started by nohup.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)

        self._options = {"preexec_fn": own, "pass_fds": [terminal]}

    def __enter__(self) -> "ServeProcess":
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server", "serve", *self.arguments],
            cwd=self._cwd,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self._options,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=30)

    def said(self) -> str:
        """What the service has printed by now and nobody has read."""
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        with suppress(BlockingIOError):
            return os.read(self.process.stdout.fileno(), 1_000_000).decode()
        return ""

    def workers(self) -> set[int]:
        """The process ids of the workers, from /proc."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = set()
        for pid in children:
            # One that is being replaced may be gone meanwhile.
            with suppress(FileNotFoundError, ProcessLookupError):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.add(int(pid))
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Sends a signal and returns the status with which the service ended, and all that it has printed."""
        self.process.send_signal(number)
        output = self.process.communicate(timeout=30)[0]
        return self.process.returncode, output

    def wait_until_live(self) -> None:
        """Returns when the service answers; fails with its output if it ends instead."""

        def answers() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"the service ended: {self.process.communicate()[0]}")
            return 200 == status_of(f"{self.url}/health/live")

        wait_until(answers, 90)


def wait_until(condition: Any, seconds: float = 30) -> None:
    """Returns as soon as `condition()` is true; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
