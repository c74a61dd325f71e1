"""DELETE on a task and on a list, and what brings a deleted task back."""

import httpx
import pytest

from tests.support import conforming
from tests.support.clusters import run
from tests.support.database import open_transaction, wait_for_waiting
from tests.support.together import together

service = conforming.service


@pytest.fixture
def location(client: httpx.Client, tasks: str) -> str:
    """The address of a task of the user."""
    return client.post(tasks, json={"title": "Buy milk"}).headers["Location"]


def test_a_task_is_hidden(client: httpx.Client, tasks: str, location: str) -> None:
    """A deleted task is neither listed nor counted, read, changed, completed or deleted again."""
    response = client.delete(location)

    assert 204 == response.status_code
    assert b"" == response.content
    listed = client.get(tasks, params={"count": "true"})
    assert ([], "0") == (listed.json(), listed.headers["X-Total-Count"])
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


def test_a_task_comes_back(client: httpx.Client, tasks: str, location: str) -> None:
    """A deleted task is brought back as it was, in its place, with a later `updated_at`; again is the same."""
    client.post(tasks, json={"title": "Later"})
    before = client.get(location).json()
    client.delete(location)

    response = client.post(f"{location}/restore")

    assert 200 == response.status_code
    after = response.json()
    assert {**before, "updated_at": after["updated_at"], "etag": after["etag"]} == after
    assert before["updated_at"] < after["updated_at"]
    assert after == client.get(location).json() == client.get(tasks).json()[1]
    assert after == client.post(f"{location}/restore").json()


def test_what_does_not_come_back(
    client: httpx.Client, tasks: str, location: str, user: str, database_url: str
) -> None:
    """A task that was deleted 30 days ago cannot be brought back, nor one that never was."""
    client.delete(location)
    run(database_url, "UPDATE tasks SET deleted_at = now() - interval '30 days' WHERE user_id = %s", user)

    for gone in (location, f"{tasks}/{2**62}"):
        response = client.post(f"{gone}/restore")
        assert (404, {"error": "Task not found"}) == (response.status_code, response.json())


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("status=complete", ["open"]),
        ("status=incomplete", ["done", "also done"]),
        ("status=complete&status=incomplete", []),
    ],
)
def test_clearing(client: httpx.Client, tasks: str, query: str, left: list[str]) -> None:
    """All tasks in the statuses that are named are deleted, and counted; each can be brought back."""
    locations = {
        title: client.post(tasks, json={"title": title}).headers["Location"]
        for title in ("also done", "done", "open")
    }
    for title in ("done", "also done"):
        client.patch(f"{locations[title]}/complete")

    response = client.delete(f"{tasks}?{query}")

    assert (200, {"deleted": 3 - len(left)}) == (response.status_code, response.json())
    assert left == [task["title"] for task in client.get(tasks).json()]
    assert {"deleted": 0} == client.delete(f"{tasks}?{query}").json()
    for location in locations.values():
        assert 200 == client.post(f"{location}/restore").status_code
    assert 3 == len(client.get(tasks).json())


def test_clearing_needs_a_filter(client: httpx.Client, tasks: str, location: str) -> None:
    """Without the filter nothing is deleted."""
    response = client.delete(tasks)

    assert (400, {"error": "Status is required"}) == (response.status_code, response.json())
    assert 200 == client.get(location).status_code
