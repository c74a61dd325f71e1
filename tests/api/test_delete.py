"""DELETE /api/{user_id}/tasks/{id}: deletes for good, and only one's own."""

import httpx
import pytest

from tests.support import conforming
from tests.support.database import open_transaction, wait_for_waiting
from tests.support.running import Service
from tests.support.together import together

service = conforming.service


@pytest.fixture
def location(client: httpx.Client, tasks: str) -> str:
    """The address of a task of the user."""
    return client.post(tasks, json={"title": "Buy milk"}).headers["Location"]


def test_a_task_is_gone_for_good(client: httpx.Client, tasks: str, location: str) -> None:
    """A deleted task is neither listed nor read, changed, completed or deleted again."""
    response = client.delete(location)

    assert 204 == response.status_code
    assert b"" == response.content
    assert [] == client.get(tasks).json()
    for after in (
        client.delete(location),
        client.get(location),
        client.put(location, json={"title": "Again"}),
        client.patch(f"{location}/complete"),
    ):
        assert 404 == after.status_code
        assert {"error": "Task not found"} == after.json()


def test_only_the_task_that_is_named(client: httpx.Client, tasks: str) -> None:
    """The user's other tasks stay."""
    first, second, third = (client.post(tasks, json={"title": title}) for title in "abc")

    client.delete(second.headers["Location"])

    assert [third.json(), first.json()] == client.get(tasks).json()


def test_a_number_is_never_used_again(client: httpx.Client, tasks: str, location: str) -> None:
    """A task that is created after a deletion has another number."""
    client.delete(location)

    assert location != client.post(tasks, json={"title": "New"}).headers["Location"]


def test_twice_at_once(client: httpx.Client, location: str, user: str, database_url: str) -> None:
    """Of two deletions at once one deletes the task and the other finds none."""

    def delete_or_let_go(index: int) -> int:
        if index:
            return client.delete(location).status_code
        wait_for_waiting(database_url, 2)
        cursor.connection.commit()
        return 0

    with open_transaction(database_url) as cursor:
        cursor.execute("SELECT id FROM tasks WHERE user_id = %s FOR UPDATE", [user])
        _, *statuses = together(3, delete_or_let_go)

    assert [204, 404] == sorted(statuses)


def test_no_such_task(client: httpx.Client, tasks: str) -> None:
    """A task that does not exist cannot be deleted."""
    missing = client.delete(f"{tasks}/9223372036854775807")
    invalid = client.delete(f"{tasks}/abc")

    assert (404, {"error": "Task not found"}) == (missing.status_code, missing.json())
    assert (400, {"error": "Invalid task ID"}) == (invalid.status_code, invalid.json())


def test_an_unknown_query_parameter(client: httpx.Client, location: str) -> None:
    """A query parameter that the operation does not have is refused, and the task stays."""
    response = client.delete(location, params={"dry_run": "true"})

    assert 400 == response.status_code
    assert {"error": "Unknown query parameter. Known here: none"} == response.json()
    assert 200 == client.get(location).status_code


def test_another_users_task(service: Service, client: httpx.Client, location: str) -> None:
    """Another user's task is not found below one's own path, forbidden below theirs, and stays."""
    before = client.get(location).json()

    with service.client("somebody-else") as other:
        own_path = other.delete(f"/api/somebody-else/tasks/{before['id']}")
        their_path = other.delete(location)
    with service.client() as nobody:
        no_token = nobody.delete(location)

    assert (404, {"error": "Task not found"}) == (own_path.status_code, own_path.json())
    assert (403, {"error": "Forbidden"}) == (their_path.status_code, their_path.json())
    assert (401, {"error": "Unauthorized"}) == (no_token.status_code, no_token.json())
    assert before == client.get(location).json()
