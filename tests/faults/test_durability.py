"""Nothing acknowledged is lost or doubled, whatever is killed: clients that repeat a creation under its Idempotency-Key
until it is acknowledged find each of their tasks exactly once."""

import itertools
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.migrations import migrations
from tests.support.clusters import run
from tests.support.outage import Outage
from tests.support.running import SECRET, ServeProcess, Service, is_free, service_in_thread, wait_until

pytestmark = pytest.mark.faults

CLIENTS = 6
KILLS = 3


@pytest.fixture
def outage() -> Iterator[Outage]:
    """A PostgreSQL to be stopped, with the schema of this version."""
    with tempfile.TemporaryDirectory(prefix="durability-") as folder, ExitStack() as stack:
        outage = Outage(Path(folder), stack)
        migrations.upgrade(outage.url)
        yield outage


class Creators:
    """Clients that create tasks, each repeated until it is acknowledged; a context in which they go on."""

    def __init__(self, service: Service, user: str) -> None:
        self.acknowledged: list[tuple[str, int]] = []
        self.answers: Counter[int] = Counter()
        self.lost = 0
        self._service = service
        self._user = user
        self._done = False

    def __enter__(self) -> "Creators":
        self._threads = ThreadPoolExecutor(CLIENTS)
        self._creating = [self._threads.submit(self._create, client) for client in range(CLIENTS)]
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Lets each client come to the end of its creation; the service has to serve until then."""
        self._done = True
        for creating in self._creating:
            creating.result()
        self._threads.shutdown()

    def wait_for_more(self) -> None:
        """Returns when thirty more creations have been acknowledged."""
        enough = len(self.acknowledged) + 30
        wait_until(lambda: len(self.acknowledged) >= enough, 90)

    def _create(self, client: int) -> None:
        with self._service.client(self._user) as http:
            for number in itertools.count():
                if self._done:
                    return
                self._create_once(http, f"{client}-{number}")

    def _create_once(self, http: httpx.Client, name: str) -> None:
        while True:
            try:
                response = http.post(
                    f"/api/{self._user}/tasks", json={"title": name}, headers={"Idempotency-Key": name}
                )
            except httpx.TransportError:
                self.lost += 1
                time.sleep(0.05)  # As a client would, that leaves a server the time to start.
                continue
            self.answers[response.status_code] += 1
            if response.status_code == 201:
                self.acknowledged.append((response.json()["title"], response.json()["id"]))
                return


def check(creators: Creators, url: str, user: str, allowed: set[int], record: Callable[..., None]) -> None:
    """Every acknowledged task is stored once under the number that was told, and nothing else is stored."""
    record("durability: answers", dict(creators.answers))
    record("durability: requests without an answer", creators.lost)
    record("durability: acknowledged", len(creators.acknowledged))
    stored = run(url, "SELECT title, id FROM tasks WHERE user_id = %s", user)
    assert sorted(creators.acknowledged) == sorted(stored)
    assert len(stored) == len({title for title, _ in stored})
    assert {201} <= set(creators.answers) <= allowed


def successor(port: int, folder: Path, environment: dict[str, str]) -> ServeProcess:
    """The next server on the port, as soon as the last one's workers have left it."""
    wait_until(lambda: is_free(port))
    return ServeProcess(port, cwd=folder, **environment)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_nothing_is_lost_or_doubled_when_the_server_is_killed(
    outage: Outage, tmp_path: Path, user: str, workers: str, record_testsuite_property: Any
) -> None:
    """Over three times kill -9 of the server each creation is made once, and no answer is anything but 201 or 503."""
    environment = {
        "DATABASE_URL": outage.url,
        "AUTH_JWT_SECRET": SECRET.decode(),
        "WEB_CONCURRENCY": workers,
    }
    with ServeProcess(cwd=tmp_path, **environment) as first:
        first.wait_until_live()
        process = first
        with Creators(Service(first.url), user) as creators, ExitStack() as stack:
            for _ in range(KILLS):
                assert -signal.SIGKILL == process.stop(signal.SIGKILL)[0]
                process = stack.enter_context(successor(first.port, tmp_path, environment))
                creators.wait_for_more()
            creators.stop()

    check(creators, outage.url, user, {201, 503}, record_testsuite_property)
    assert creators.lost >= KILLS


def test_nothing_is_lost_or_doubled_when_the_database_crashes(
    outage: Outage, user: str, record_testsuite_property: Any
) -> None:
    """Over three immediate stops of PostgreSQL each creation is made once; a call that has waited in vain for others of
    its user is answered with 429, each other one with 201 or 503."""
    with service_in_thread(outage.url) as service, Creators(service, user) as creators:
        for _ in range(KILLS):
            refused = creators.answers[503]
            outage.stop("immediate")
            wait_until(lambda: creators.answers[503] > refused)  # noqa: B023
            outage.start()
            creators.wait_for_more()
        creators.stop()

    check(creators, outage.url, user, {201, 429, 503}, record_testsuite_property)
    assert 0 == creators.lost
