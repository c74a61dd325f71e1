"""The oldest PostgreSQL that is served: Debian's 15, migrated and used by the commands, as a newcomer would."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.clusters import DEPLOYER, Cluster, cluster
from tests.support.running import SECRET, ServeProcess, Service, todo_api

PRODUCTION = {"AUTH_JWT_SECRET": SECRET.decode()}


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A PostgreSQL 15 that asks for passwords; skipped by name where Debian's is not installed."""
    with cluster(15) as server:
        yield server


@pytest.fixture(
    scope="module",
    params=[(None, "postgresql+psycopg2"), (DEPLOYER, "postgres")],
    ids=["superuser", "ordinary-login"],
)
def url(server: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database, in each way in which an operator may name it."""
    owner, scheme = request.param
    with server.database(owner=owner) as url:
        yield url.replace("postgresql", scheme, 1)


@pytest.fixture(scope="module")
def served(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service on the database after `todo-api migrate`."""
    folder = tmp_path_factory.mktemp("postgresql-15")
    migrated = todo_api("migrate", cwd=folder, DATABASE_URL=url, **PRODUCTION)
    assert (0, "") == (migrated.returncode, migrated.stderr)
    with ServeProcess(cwd=folder, DATABASE_URL=url, **PRODUCTION) as process:
        process.wait_until_live()
        yield Service(process.url)
        assert 0 == process.stop()[0]


@pytest.fixture
def alice(served: Service) -> Iterator[httpx.Client]:
    """A client that is signed in as alice."""
    with served.client("alice") as client:
        yield client


def test_it_is_ready(alice: httpx.Client) -> None:
    """The database answers."""
    assert (200, {"status": "ok"}) == (
        alice.get("/health/ready").status_code,
        alice.get("/health/ready").json(),
    )


def test_a_task_is_created_read_changed_completed_and_deleted(alice: httpx.Client) -> None:
    """Each operation on a task does what it does on the embedded PostgreSQL."""
    created = alice.post("/api/alice/tasks", json={"title": "Buy milk", "description": "Two litres"})
    assert 201 == created.status_code
    task, path = created.json(), created.headers["location"]
    assert ("Buy milk", "Two litres", "incomplete") == (task["title"], task["description"], task["status"])

    assert [task] == alice.get("/api/alice/tasks").json()
    assert [task] == alice.get("/api/alice/tasks", params={"status": "incomplete"}).json()
    assert [] == alice.get("/api/alice/tasks", params={"status": "complete"}).json()
    assert (200, task) == (alice.get(path).status_code, alice.get(path).json())

    renamed = alice.put(path, json={"title": "Buy bread", "description": None})
    assert (200, "Buy bread", None) == (
        renamed.status_code,
        renamed.json()["title"],
        renamed.json()["description"],
    )
    assert renamed.json()["updated_at"] > task["updated_at"]
    assert (
        412 == alice.put(path, json={"title": "x"}, headers={"If-Match": created.headers["etag"]}).status_code
    )

    completed = alice.patch(f"{path}/complete")
    assert (200, "complete") == (completed.status_code, completed.json()["status"])
    assert completed.json() == alice.patch(f"{path}/complete").json()
    reopened = alice.patch(f"{path}/complete", json={"status": "incomplete"})
    assert (200, "incomplete") == (reopened.status_code, reopened.json()["status"])

    assert (204, []) == (alice.delete(path).status_code, alice.get("/api/alice/tasks").json())
    for answer in (alice.get(path), alice.delete(path), alice.patch(f"{path}/complete")):
        assert (404, {"error": "Task not found"}) == (answer.status_code, answer.json())


def test_a_creation_can_be_repeated(alice: httpx.Client) -> None:
    """The same Idempotency-Key makes one task."""
    key = {"Idempotency-Key": "one"}
    first = alice.post("/api/alice/tasks", json={"title": "Once"}, headers=key)
    second = alice.post("/api/alice/tasks", json={"title": "Once"}, headers=key)

    assert (201, 201, first.content) == (first.status_code, second.status_code, second.content)
    assert ["Once"] == [task["title"] for task in alice.get("/api/alice/tasks").json()]
    assert 422 == alice.post("/api/alice/tasks", json={"title": "Twice"}, headers=key).status_code
    assert 204 == alice.delete(first.headers["location"]).status_code


def test_the_other_user_is_kept_out(served: Service, alice: httpx.Client) -> None:
    """Another user's path is 403, and another user's task on one's own path is 404."""
    path = alice.post("/api/alice/tasks", json={"title": "Hers"}).headers["location"]
    with served.client("bob") as bob:
        assert (403, {"error": "Forbidden"}) == (bob.get(path).status_code, bob.get(path).json())
        own_path = path.replace("alice", "bob")
        assert (404, {"error": "Task not found"}) == (bob.get(own_path).status_code, bob.get(own_path).json())
        assert [] == bob.get("/api/bob/tasks").json()
    with served.client() as nobody:
        assert (401, {"error": "Unauthorized"}) == (nobody.get(path).status_code, nobody.get(path).json())
    assert 204 == alice.delete(path).status_code


def test_the_doctor_finds_nothing(served: Service, url: str, tmp_path: Path) -> None:
    """After `todo-api migrate` everything is in order for the login that ran it."""
    ended = todo_api("doctor", cwd=tmp_path, DATABASE_URL=url, **PRODUCTION)

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "PostgreSQL 15." in ended.stdout
