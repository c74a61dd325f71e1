"""The end of a server under load: nothing that it has taken goes unanswered, and workers can change without a gap."""

import asyncio
import os
import pty
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.clusters import run
from tests.support.running import SECRET, ServeProcess, Service, free_port, is_free, wait_until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(
        not Path("/proc/self/task").exists(), reason="there is no /proc to find the workers in"
    ),
]


@pytest.fixture
def serve(own_url: str, tmp_path: Path) -> Any:
    """Starts the service with so many workers, and is a context in which all of them are ready."""

    def started(workers: int) -> ServeProcess:
        return ServeProcess(
            cwd=tmp_path,
            DATABASE_URL=own_url,
            AUTH_JWT_SECRET=SECRET.decode(),
            WEB_CONCURRENCY=str(workers),
            LOG_LEVEL="WARNING",
        )

    return started


class Load:
    """Clients in a thread of their own that create tasks one after another, each until a request gets no answer: some
    keep their connection open, some take a fresh one for each request."""

    def __init__(self, service: Service, user: str) -> None:
        self.statuses: Counter[int] = Counter()
        self.failures: list[str] = []
        self.closed = 0
        self._service = service
        self._user = user
        self._done = False

    async def _create(self, keeps: bool) -> None:
        headers = {"Authorization": f"Bearer {self._service.token(self._user)}"}
        if not keeps:
            headers["Connection"] = "close"
        async with httpx.AsyncClient(base_url=self._service.url, headers=headers, timeout=30) as client:
            while not self._done:
                try:
                    response = await client.post(f"/api/{self._user}/tasks", json={"title": "Buy milk"})
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                    return
                else:
                    self.statuses[response.status_code] += 1
                    self.closed += keeps and "close" == response.headers.get("connection")
                    await asyncio.sleep(0.01)  # Leaves the new workers a processor to start on.

    def __enter__(self) -> "Load":
        async def run_all() -> None:
            await asyncio.gather(*(self._create(keeps=number % 2 == 0) for number in range(8)))

        self._thread = ThreadPoolExecutor(1)
        self._running = self._thread.submit(asyncio.run, run_all())
        wait_until(lambda: sum(self.statuses.values()) > 100)
        return self

    def __exit__(self, *_: object) -> None:
        self._done = True
        self._running.result()
        self._thread.shutdown()


def test_a_rolling_restart_drops_no_request(
    serve: Any, user: str, own_url: str, record_testsuite_property: Any
) -> None:
    """On SIGHUP each worker is replaced in turn, and every request before, meanwhile and after is answered 201."""
    with serve(2) as process:
        process.wait_until_live()
        wait_until(lambda: 2 == len(process.workers()))
        with Load(Service(process.url), user) as load:
            before = process.workers()
            process.process.send_signal(signal.SIGHUP)
            wait_until(lambda: 2 == len(process.workers()) and not before & process.workers(), 120)
            served = load.statuses[201]
            wait_until(lambda: load.statuses[201] > served + 100)
        status, said = process.stop()

    record_testsuite_property("rolling restart: requests", load.statuses.total())
    assert 0 == status
    assert "curl" == said.splitlines()[-1].split()[0]
    assert [] == load.failures
    assert [201] == list(load.statuses)
    assert load.closed > 0
    assert [(load.statuses[201],)] == run(own_url, "SELECT count(*) FROM tasks WHERE user_id = %s", user)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_under_load_leaves_no_request_half_done(
    serve: Any, user: str, own_url: str, workers: int
) -> None:
    """On SIGTERM under load whatever was begun is answered, new connections are refused, and the status is soon 0."""
    with serve(workers) as process:
        process.wait_until_live()
        with Load(Service(process.url), user) as load:
            begun = time.monotonic()
            status, _ = process.stop()
            seconds = time.monotonic() - begun
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{process.url}/health/live", trust_env=False)

    assert 0 == status
    assert seconds < 15
    assert [201] == list(load.statuses)
    assert [(load.statuses[201],)] == run(own_url, "SELECT count(*) FROM tasks WHERE user_id = %s", user)


def test_a_signal_ends_a_rolling_restart_too(serve: Any) -> None:
    """SIGTERM does not wait for the workers that are being replaced."""
    with serve(2) as process:
        process.wait_until_live()
        wait_until(lambda: 2 == len(process.workers()), 90)
        process.process.send_signal(signal.SIGHUP)
        wait_until(lambda: 3 == len(process.workers()), 90)
        begun = time.monotonic()

        assert 0 == process.stop()[0]
        assert time.monotonic() - begun < 15


def test_the_end_of_its_terminal_ends_the_service(own_url: str, tmp_path: Path) -> None:
    """With several workers and metrics too, a service whose terminal is closed stops, and leaves no worker behind."""
    master, slave = pty.openpty()
    process = ServeProcess(
        cwd=tmp_path,
        DATABASE_URL=own_url,
        AUTH_JWT_SECRET=SECRET.decode(),
        WEB_CONCURRENCY="2",
        METRICS_PORT=str(free_port()),
    )
    process.take_terminal(slave)
    with process:
        os.close(slave)
        process.wait_until_live()
        wait_until(lambda: 2 == len(process.workers()), 90)
        os.close(master)

        assert 0 == process.process.wait(30)
    wait_until(lambda: is_free(process.port))
