"""The service's numbers in the format of Prometheus, on an address of their own.

Every worker counts in files of its own below one folder (prometheus_client's multiprocess mode), and the process that
has started them answers the sum, so one worker and eight are reported in the same way.
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, Literal
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

SAMPLE_SECONDS = 1
# A thread serves a scrape, so a connection that says nothing may hold one for a short while only.
SILENCE_SECONDS = 5
MOST_SCRAPES = 8
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

# What each gauge means, and what becomes of the values of several workers.
GAUGES: Mapping[str, tuple[str, Literal["livesum", "livemax"]]] = {
    "todo_api_database_connections_in_use": ("Database connections that are running a statement.", "livesum"),
    "todo_api_requests_waiting": ("Requests that wait for a database connection.", "livesum"),
    "todo_api_jwks_age_seconds": (
        "Seconds since the issuer gave its keys; 0 before it ever has.",
        "livemax",
    ),
}


class Metrics:
    """What one worker counts.

    Args:
        readings: by the name of a gauge, what tells its value; infinity is none.
        answers: method, route and status of those that are reported from the start, as 0, since Prometheus takes the
            first value that it sees for no increase.
    """

    def __init__(
        self, readings: Mapping[str, Callable[[], float]], answers: Iterable[tuple[str, str, int]]
    ) -> None:
        # A registry of its own, since the process that starts the workers makes an application too.
        registry = CollectorRegistry()
        self._requests = Counter(
            "todo_api_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "todo_api_request_duration_seconds",
            "Seconds from a request's head to the end of its answer.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=registry,
        )
        self._gauges = [
            (Gauge(name, GAUGES[name][0], multiprocess_mode=GAUGES[name][1], registry=registry), read)
            for name, read in readings.items()
        ]
        # Bounded by the contract: to look the pair up by its labels would take longer than to count.
        self._pairs = {answer: self._pair(*answer) for answer in answers}

    def _pair(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(method, route, status), self._seconds.labels(method, route)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answer."""
        pair = self._pairs.get((method, route, status))
        if pair is None:
            pair = self._pairs[method, route, status] = self._pair(method, route, status)
        pair[0].inc()
        pair[1].observe(seconds)

    @asynccontextmanager
    async def sampled(self) -> AsyncIterator[None]:
        """Reads the gauges once a second while the context lasts, so that no request has to."""
        sampling = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            sampling.cancel()

    async def _sample(self) -> None:
        while True:
            for gauge, read in self._gauges:
                if (value := read()) != float("inf"):
                    gauge.set(value)
            await asyncio.sleep(SAMPLE_SECONDS)


class _LiveWorkers(Collector):
    """Sums up what all workers have counted; the gauges of one that has died die with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._workers = MultiProcessCollector(None, str(folder))

    def collect(self) -> Iterable[Metric]:
        for file in self._folder.glob("gauge_live*.db"):
            worker = int(file.stem.rpartition("_")[2])
            try:
                os.kill(worker, 0)
            except ProcessLookupError:
                with suppress(FileNotFoundError):  # Another scrape was faster.
                    mark_process_dead(worker, str(self._folder))
        yield from self._workers.collect()


class _Handler(WSGIRequestHandler):
    timeout = SILENCE_SECONDS

    def log_message(self, *_: object) -> None:
        """Writes no line for a scrape."""


class _Server(ThreadingMixIn, WSGIServer):
    """One thread for each of a few scrapes at a time; who comes beyond them is turned away."""

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._free = threading.BoundedSemaphore(MOST_SCRAPES)
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Writes nothing of a connection that breaks off."""


@contextmanager
def metrics_server(host: str, port: int, folder: Path) -> Iterator[None]:
    """Answers `GET /metrics` at this address while the context lasts.

    Args:
        folder: where the workers count.

    Raises:
        OSError: if the address cannot be had.
    """
    registry = CollectorRegistry()
    registry.register(_LiveWorkers(folder))
    # The server's thread must leave signals to those who wait for them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        server = _Server(host, port)
        server.set_app(make_wsgi_app(registry))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
