"""What /metrics answers, that it adds workers up, and that the dashboard and the alerts ask for nothing else."""

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from openapi.contract import contract
from server.telemetry.metrics import metrics_server
from tests.support.database import open_transaction
from tests.support.running import PROJECT, SECRET, ServeProcess, Service, free_port, todo_api, wait_until

pytestmark = pytest.mark.faults

Samples = dict[tuple[str, ...], float]
LIST = ("GET", "/api/{user_id}/tasks")
IN_USE, WAITING = ("todo_api_database_connections_in_use",), ("todo_api_requests_waiting",)
DASHBOARD = PROJECT / "docs" / "grafana-dashboard.json"
OPERATE = PROJECT / "docs" / "operate.md"


def samples(port: int) -> Samples:
    """Every sample, by its name and the values of its labels in the order of the labels' names."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def pair(own_url: str) -> Iterator[tuple[Service, int]]:
    """A service with two workers, and the port of its metrics."""
    port = free_port()
    settings = {"METRICS_PORT": str(port), "WEB_CONCURRENCY": "2", "AUTH_JWT_SECRET": SECRET.decode()}
    with ServeProcess(**settings, DATABASE_URL=own_url) as process:
        process.wait_until_live()
        yield Service(process.url), port
        status, said = process.stop()
    assert 0 == status
    assert f"  metrics   http://127.0.0.1:{port}/metrics" in said.splitlines()[:8]


@pytest.fixture(scope="module")
def counted(pair: tuple[Service, int]) -> Samples:
    """What is counted after 20 requests that were answered and 20 that were refused."""
    service, port = pair
    for _ in range(20):  # On a new connection, which either worker may take.
        with service.client("alice") as client:
            assert 200 == client.get("/api/alice/tasks").status_code
            assert 403 == client.get("/api/bob/tasks").status_code
    return samples(port)


def test_the_requests_of_all_workers_are_counted(counted: Samples) -> None:
    """Requests are counted by method, route and status, whichever worker has answered them."""
    assert [20, 20] == [counted["todo_api_requests_total", *LIST, status] for status in ("200", "403")]


def test_what_has_not_happened_yet_is_told_as_0(counted: Samples) -> None:
    """Every answer that the contract declares is there from the start, so that the first fault is an increase."""
    told = {name[1:] for name in counted if name[0] == "todo_api_requests_total"}
    declared = {
        (operation.method, operation.path, status)
        for operation in contract().operations.values()
        for status in operation.responses
    }

    assert declared <= told
    assert 0 == counted["todo_api_requests_total", *LIST, "500"]


def test_the_time_of_each_request_is_in_the_histogram(counted: Samples) -> None:
    """The buckets of a route grow towards the last, which holds every request, and their sum is a time."""
    buckets = [
        value
        for name, value in counted.items()
        if (name[0], *name[2:]) == ("todo_api_request_duration_seconds_bucket", *LIST)
    ]

    assert 40 == counted["todo_api_request_duration_seconds_count", *LIST] == max(buckets)
    assert 13 == len(buckets)
    assert 0 < counted["todo_api_request_duration_seconds_sum", *LIST] < 40


def test_connections_and_the_queue_are_told(pair: tuple[Service, int], own_url: str) -> None:
    """While 20 clients wait for a lock, connections in use and the queue before them make 20, and then none. Each is
    answered, with 200 once the lock is gone."""
    service, port = pair
    has_been_told = threading.Event()
    seen: Samples = {}
    answered: list[int] = []

    def change(client: httpx.Client, path: str) -> None:
        # Again and again, since nothing waits longer than the deadline.
        while not has_been_told.is_set():
            answered.append(client.put(path, json={"title": "Buy bread"}).status_code)

    def tells_of_all() -> bool:
        seen.update(samples(port))
        return 20 == seen[IN_USE] + seen[WAITING]

    with service.client("alice") as client, ThreadPoolExecutor(20) as threads:
        path = client.post("/api/alice/tasks", json={"title": "Buy milk"}).headers["Location"]
        with open_transaction(own_url) as cursor:
            cursor.execute("SELECT FROM tasks FOR UPDATE")
            changes = [threads.submit(change, client, path) for _ in range(20)]
            try:
                wait_until(tells_of_all)
            finally:
                has_been_told.set()
            # Which worker takes a connection is up to the system; a user has half of the connections of each.
            assert 4 <= seen[IN_USE] <= 8
        assert {None} == {each.result() for each in changes}
        assert {200, 429, 503} >= set(answered)
        assert 200 == client.put(path, json={"title": "Buy tea"}).status_code
    wait_until(lambda: 0 == samples(port)[IN_USE] == samples(port)[WAITING])


def test_what_a_dead_worker_counted_stays_and_what_it_held_goes(tmp_path: Path) -> None:
    """Counts never go down, but the connections of a worker that has died are no longer in use."""
    script = (
        "import asyncio\nfrom server.telemetry.metrics import Metrics\n"
        "metrics = Metrics({'todo_api_database_connections_in_use': lambda: 7}, ())\n"
        "metrics.count('GET', '/', 200, 0.5)\n"
        "async def sample():\n    async with metrics.sampled():\n        await asyncio.sleep(0)\n"
        "asyncio.run(sample())"
    )
    port = free_port()
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    assert any(tmp_path.glob("gauge_livesum_*.db"))

    with metrics_server("127.0.0.1", port, tmp_path):
        found = samples(port)

    assert 1 == found["todo_api_requests_total", "GET", "/", "200"]
    assert IN_USE not in found


def test_silent_connections_hold_few_threads(tmp_path: Path) -> None:
    """Connections that say nothing to the metrics' port hold a few threads for some seconds, and the others none."""
    before, port = threading.active_count(), free_port()
    with metrics_server("127.0.0.1", port, tmp_path), ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        wait_until(lambda: threading.active_count() > before + 1)
        assert threading.active_count() <= before + 1 + 8


def test_an_address_that_is_taken_is_one_line(tmp_path: Path) -> None:
    """A METRICS_PORT on which another program listens stops the start before a database is made."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ended = todo_api("serve", cwd=tmp_path, PORT=str(free_port()), METRICS_PORT=str(port))

    sentence = f"cannot listen on 127.0.0.1 port {port} (Address already in use): set METRICS_HOST and METRICS_PORT to "
    assert (1, f"error: {sentence}what is free\n") == (ended.returncode, ended.stderr)
    assert [] == list(tmp_path.iterdir())


def expressions() -> Iterator[tuple[str, str]]:
    """Every PromQL expression of the dashboard and of the alerts, with where it stands."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from ((f"panel {panel['title']!r}", target["expr"]) for target in panel.get("targets", ()))
    for block in re.findall(r"```yaml\n(groups:.*?)```", OPERATE.read_text(), re.DOTALL):
        for group in yaml.safe_load(block)["groups"]:
            yield from ((f"alert {rule['alert']}", rule["expr"]) for rule in group["rules"])


def test_dashboard_and_alerts_ask_for_what_is_served(counted: Samples) -> None:
    """Every metric that a panel or an alert names is one that /metrics serves."""
    asked = {name: place for place, text in expressions() for name in re.findall(r"\btodo_api_\w+", text)}

    assert {} == {name: place for name, place in asked.items() if name not in {key[0] for key in counted}}
    assert {"panel", "alert"} == {place.split()[0] for place, _ in expressions()}


def test_every_metric_is_on_the_dashboard(counted: Samples) -> None:
    """What /metrics serves can be seen: each metric is in a panel."""
    text = " ".join(text for place, text in expressions() if place.startswith("panel"))
    served = {key[0].removesuffix("_sum").removesuffix("_count").removesuffix("_bucket") for key in counted}

    assert [] == [name for name in served if name not in text]


def test_the_dashboard_loads() -> None:
    """The dashboard has what Grafana asks of one: panels with ids of their own, places that fit and a data source."""
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]

    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(dashboard)
    assert len(panels) == len({panel["id"] for panel in panels})
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 and place["h"] > 0 for place in places)
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)), "two panels cover one another"
    (variable,) = dashboard["templating"]["list"]
    assert ("datasource", "prometheus") == (variable["type"], variable["query"])
    assert {f"${{{variable['name']}}}"} == {panel["datasource"]["uid"] for panel in panels}
