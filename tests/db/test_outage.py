"""PostgreSQL stopped, crashed and frozen under the service: what clients are told, and that it passes by itself."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from db.migrations import migrations
from tests.support.clusters import run
from tests.support.outage import UNAVAILABLE, Outage, told
from tests.support.running import Service, service_in_thread, wait_until
from tests.support.together import together

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def outage() -> Iterator[Outage]:
    """A PostgreSQL to be stopped, with the schema of this version."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, ExitStack() as stack:
        outage = Outage(Path(folder), stack)
        migrations.upgrade(outage.url)
        yield outage


@pytest.fixture(scope="module")
def stricken(outage: Outage) -> Iterator[Service]:
    """The service on the PostgreSQL that is stopped; it is never started again."""
    with service_in_thread(outage.url) as service:
        yield service


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_stopped_database_is_told_and_comes_back(
    outage: Outage, stricken: Service, user: str, tasks: str, mode: str
) -> None:
    """With the database stopped every operation is 503 with Retry-After, and the first after its start is served."""
    with stricken.client(user) as client:
        created = client.post(tasks, json={"title": "Buy milk"})
        path = created.headers["location"]
        outage.stop(mode)

        assert UNAVAILABLE == told(client.get(tasks))
        assert UNAVAILABLE == told(client.get(path))
        assert UNAVAILABLE == told(client.post(tasks, json={"title": "Buy bread"}))
        assert UNAVAILABLE == told(client.put(path, json={"title": "Buy bread"}))
        assert UNAVAILABLE == told(client.patch(f"{path}/complete"))
        assert UNAVAILABLE == told(client.delete(path))
        # It is asked once a second at most.
        wait_until(lambda: told(client.get("/health/ready")) == UNAVAILABLE, 5)
        assert (200, {"status": "ok"}) == (client.get("/health/live").status_code, {"status": "ok"})
        assert 401 == client.get(tasks, headers={"Authorization": "none"}).status_code

        outage.start()
        response = client.get(tasks)
        assert (200, [created.json()]) == (response.status_code, response.json())
        assert response.elapsed.total_seconds() < 5
        wait_until(lambda: client.get("/health/ready").status_code == 200, 5)


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="there is no /proc to find PostgreSQL's processes in"
)
def test_a_database_that_is_frozen_is_told(outage: Outage, stricken: Service, user: str, tasks: str) -> None:
    """A database that neither answers nor hangs up costs nobody more than the deadline, and is served from again."""
    with stricken.client(user) as client:
        assert 200 == client.get(tasks).status_code
        with outage.frozen():
            refused = together(40, lambda _: told(client.get(tasks)))
            assert {503, 429} == {status for status, *_ in refused}
            assert {"1"} == {retry_after for _, retry_after, _ in refused}
            assert 200 == client.get("/health/live").status_code
        assert 200 == client.get(tasks).status_code


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="there is no /proc to find PostgreSQL's processes in"
)
def test_what_was_refused_never_takes_effect_later(
    outage: Outage, stricken: Service, user: str, tasks: str
) -> None:
    """A change that was 503 while its backend was frozen does not overwrite the later one that was acknowledged."""
    with stricken.client(user) as client:
        path = client.post(tasks, json={"title": "First"}).headers["location"]
        backends = "SELECT pid FROM pg_stat_activity WHERE application_name = 'todo-api'"
        with outage.frozen([pid for (pid,) in run(outage.url, backends)]):
            # Enough of them to reach every frozen backend; the next connections are new ones.
            refused = together(4, lambda _: told(client.put(path, json={"title": "Refused"})))
            changed = client.put(path, json={"title": "Acknowledged"})
            for _ in range(4):
                if changed.status_code == 200:
                    break
                changed = client.put(path, json={"title": "Acknowledged"})
        assert UNAVAILABLE in refused
        assert 200 == changed.status_code
        wait_until(
            lambda: (
                [(0,)] == run(outage.url, f"SELECT count(*) FROM ({backends} AND state = 'active') AS busy")
            )
        )
        assert changed.json() == client.get(path).json()
