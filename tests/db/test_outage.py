"""PostgreSQL stopped, crashed and frozen under the service: what clients are told, and that it passes by itself."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from db.migrations import migrations
from tests.support.outage import UNAVAILABLE, Outage, told
from tests.support.running import Service, service_in_thread
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
        assert UNAVAILABLE == told(unready := client.get("/health/ready"))
        assert unready.elapsed.total_seconds() < 5
        assert (200, {"status": "ok"}) == (client.get("/health/live").status_code, {"status": "ok"})
        assert 401 == client.get(tasks, headers={"Authorization": "none"}).status_code

        outage.start()
        response = client.get(tasks)
        assert (200, [created.json()]) == (response.status_code, response.json())
        assert response.elapsed.total_seconds() < 5
        assert 200 == client.get("/health/ready").status_code


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="there is no /proc to find PostgreSQL's processes in"
)
def test_a_database_that_is_frozen_is_told(outage: Outage, stricken: Service, user: str, tasks: str) -> None:
    """A database that neither answers nor hangs up costs nobody more than the deadline, and is served from again."""
    with stricken.client(user) as client:
        assert 200 == client.get(tasks).status_code
        with outage.frozen():
            assert [UNAVAILABLE] * 40 == together(40, lambda _: told(client.get(tasks)))
            assert 200 == client.get("/health/live").status_code
        assert 200 == client.get(tasks).status_code
