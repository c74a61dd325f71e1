"""GET /api/{user_id}/tasks/{id}, and HEAD, which is GET without the body."""

import httpx
import pytest

from tests.support import conforming

service = conforming.service

NOT_A_TASK_ID = [
    *["abc", "0", "-1", "+1", "01", "1.0", "1e0", "0x1", "1_000", "9223372036854775808", "9" * 5000],
    *["%201", "1%20", "%D9%A1", "true", "null", "%00", "1;2", "1,2"],
]


def test_a_task(client: httpx.Client, tasks: str) -> None:
    """A task is answered as it was when it was created or changed last."""
    created = client.post(tasks, json={"title": "Buy milk"})

    response = client.get(created.headers["Location"])

    assert 200 == response.status_code
    assert created.json() == response.json()
    assert created.headers["ETag"] == response.headers["ETag"]


@pytest.mark.parametrize("id", ["1", "9223372036854775807"])
def test_no_such_task(client: httpx.Client, tasks: str, id: str) -> None:
    """A number that none of the user's tasks has is 404."""
    response = client.get(f"{tasks}/{id}")

    assert 404 == response.status_code
    assert {"error": "Task not found"} == response.json()


@pytest.mark.parametrize("id", NOT_A_TASK_ID)
def test_what_is_no_task_id(client: httpx.Client, tasks: str, id: str) -> None:
    """Only a decimal number from 1 to 2^63 - 1, in its one plain spelling, is a task's number."""
    response = client.get(f"{tasks}/{id}")

    assert 400 == response.status_code
    assert {"error": "Invalid task ID"} == response.json()
