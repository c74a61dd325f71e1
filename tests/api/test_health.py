"""GET /health/live and /health/ready, and what clients are told while the database is not as it should be."""

from collections.abc import Iterator

import pytest

from tests.support import conforming
from tests.support.clusters import Cluster
from tests.support.conforming import ConformingService
from tests.support.running import Service, free_port, service_in_thread

service = conforming.service

paths = pytest.mark.parametrize("path", ["/health/live", "/health/ready"])


@pytest.fixture(scope="module")
def without_database() -> Iterator[Service]:
    """A service whose database cannot be reached."""
    with service_in_thread(f"postgresql://somebody:secret@127.0.0.1:{free_port()}/todo") as running:
        yield ConformingService(running.url, running.secret)


@pytest.fixture(scope="module")
def without_schema(database_url: str) -> Iterator[Service]:
    """A service whose database answers, but has none of the service's tables and functions."""
    with Cluster(database_url).database() as url, service_in_thread(url) as running:
        yield ConformingService(running.url, running.secret)


@paths
def test_healthy(service: Service, path: str) -> None:
    """A healthy service says so to anybody, without a token, and HEAD does without the body."""
    with service.client() as nobody:
        get, head = nobody.get(path), nobody.head(path)
    # It would be known only by building the body.
    assert "Content-Length" not in head.headers

    assert 200 == get.status_code == head.status_code
    assert {"status": "ok"} == get.json()


@paths
def test_the_token_does_not_matter(service: Service, path: str) -> None:
    """A token, even one that would be refused elsewhere, changes nothing."""
    with service.client() as nobody:
        for token in (service.token("somebody"), "nonsense"):
            assert 200 == nobody.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def test_alive_without_a_database(without_database: Service) -> None:
    """Without a database the process lives, and is not ready."""
    with without_database.client() as nobody:
        live, ready = nobody.get("/health/live"), nobody.get("/health/ready")

    assert 200 == live.status_code
    assert 503 == ready.status_code
    assert {"error": "The service is temporarily unavailable. Try again shortly"} == ready.json()
    assert "1" == ready.headers["Retry-After"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("POST", "", {"title": "Task"}),
        ("GET", "/1", None),
        ("PUT", "/1", {"title": "Task"}),
        ("DELETE", "/1", None),
        ("PATCH", "/1/complete", {}),
    ],
)
def test_every_operation_without_a_database(
    without_database: Service, user: str, tasks: str, method: str, path: str, body: dict[str, str] | None
) -> None:
    """Without a database an operation is 503 and says when to try again."""
    with without_database.client(user) as client:
        response = client.request(method, tasks + path, **({} if body is None else {"json": body}))

    assert 503 == response.status_code
    assert {"error": "The service is temporarily unavailable. Try again shortly"} == response.json()
    assert "1" == response.headers["Retry-After"]


def test_refusals_need_no_database(without_database: Service, user: str, tasks: str) -> None:
    """What is refused for its form is refused also without a database."""
    with without_database.client(user) as client, without_database.client() as nobody:
        statuses = [
            client.get("/elsewhere").status_code,
            client.put(tasks).status_code,
            nobody.get(tasks).status_code,
            client.get("/api/another/tasks").status_code,
            client.post(tasks, content=b" " * 131073).status_code,
            client.post(tasks, content=b"Task").status_code,
            client.post(tasks, json={}).status_code,
        ]

    assert [404, 405, 401, 403, 413, 415, 400] == statuses


def test_not_ready_without_tables(without_schema: Service) -> None:
    """A database that answers, but not for the rows of a user, is not ready."""
    with without_schema.client() as nobody:
        assert 503 == nobody.get("/health/ready").status_code
