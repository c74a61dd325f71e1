"""PUT /api/{user_id}/tasks/{id}: changes what is given and leaves the rest."""

import json
from typing import Any

import httpx
import pytest

from tests.support import conforming
from tests.support.clusters import run
from tests.support.database import open_transaction, wait_for_waiting
from tests.support.together import together

service = conforming.service

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
JSON = {"Content-Type": "application/json"}
SENT = {"title": "Buy milk", "description": "Two litres", "due_date": "2026-11-24"}


@pytest.fixture
def location(client: httpx.Client, tasks: str) -> str:
    """The address of a task of the user."""
    return client.post(tasks, json=SENT).headers["Location"]


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Buy oat milk"},
        {"description": "One litre"},
        {"description": ""},
        {"description": None},
        {"status": "complete"},
        {"title": "Buy oat milk", "status": "complete"},
        {"title": "Buy oat milk", "description": None, "status": "incomplete"},
        {"title": "😀" * 255, "description": "😀" * 5000},
        {"priority": "high"},
        {"due_date": "2026-11-30"},
        {"due_date": None},
        {"title": "Buy oat milk", "priority": "low", "due_date": "0001-01-01"},
        {"tags": ["b", "a", "Ä", 'a"b', "\\", "{,}", "NULL", "a\nb", "😀" * 50]},
        {"tags": [str(number) for number in range(20)]},
        {"tags": []},
    ],
)
@pytest.mark.parametrize(("method", "headers"), [("PUT", JSON), ("PATCH", MERGE_PATCH)])
def test_what_is_given_changes(
    client: httpx.Client, location: str, change: dict[str, Any], method: str, headers: dict[str, str]
) -> None:
    """The members that are given change, by PUT as by a merge patch, `updated_at` grows, and the rest stays."""
    before = client.get(location).json()

    response = client.request(method, location, content=json.dumps(change), headers=headers)

    assert 200 == response.status_code
    after = response.json()
    assert {**before, **change, "updated_at": after["updated_at"], "etag": after["etag"]} == after
    assert before["updated_at"] < after["updated_at"]
    assert after == client.get(location).json()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "At least one field (title, description, status, priority, due_date or tags) must be provided"),
        ({"title": ""}, "Title cannot be empty"),
        ({"title": None}, "Title cannot be empty"),
        ({"title": " \t\u3000"}, "Title cannot be empty"),
        ({"title": "a" * 256}, "Title must be 255 characters or less"),
        ({"title": "a\0b"}, "Title must not contain the character U+0000"),
        ({"title": False}, "Title must be a string"),
        ({"description": "a" * 5001}, "Description must be 5000 characters or less"),
        ({"description": ["a"]}, "Description must be a string or null"),
        ({"status": "done"}, "Invalid status value. Must be 'incomplete' or 'complete'"),
        ({"status": "Complete"}, "Invalid status value. Must be 'incomplete' or 'complete'"),
        ({"status": ""}, "Invalid status value. Must be 'incomplete' or 'complete'"),
        ({"status": None}, "Invalid status value. Must be 'incomplete' or 'complete'"),
        ({"status": True}, "Invalid status value. Must be 'incomplete' or 'complete'"),
        ({"priority": "urgent"}, "Invalid priority value. Must be 'low' or 'medium' or 'high'"),
        ({"priority": None}, "Invalid priority value. Must be 'low' or 'medium' or 'high'"),
        ({"due_date": "2026-02-29"}, "Invalid due date. Must be a date such as 2026-11-24, or null"),
        ({"due_date": 0}, "Invalid due date. Must be a date such as 2026-11-24, or null"),
        ({"title": "Fine", "status": "done"}, "Invalid status value. Must be 'incomplete' or 'complete'"),
        ({"title": "", "description": "Fine"}, "Title cannot be empty"),
        ({"tags": None}, "Tags must be an array"),
        ({"tags": "shopping"}, "Tags must be an array"),
        ({"tags": [1]}, "A tag must be a string"),
        ({"tags": [None]}, "A tag must be a string"),
        ({"tags": ["a", "b", "a"]}, "Tags must not hold the same one twice"),
        ({"tags": ["a", "\u3000"]}, "A tag must not be blank"),
        ({"tags": [""]}, "A tag must not be blank"),
        ({"tags": ["a\0b"]}, "A tag must not contain the character U+0000"),
        ({"tags": ["a" * 51]}, "A tag must be 50 characters or less"),
        ({"tags": [str(number) for number in range(21)]}, "Tags must be 20 or less"),
        ([], "The request body must be an object"),
        (None, "The request body must be an object"),
    ],
)
@pytest.mark.parametrize(("method", "headers"), [("PUT", JSON), ("PATCH", MERGE_PATCH)])
def test_a_body_that_breaks_a_rule(
    client: httpx.Client, location: str, body: Any, sentence: str, method: str, headers: dict[str, str]
) -> None:
    """A body that breaks a rule is refused with the rule's sentence, and nothing of it is done."""
    before = client.get(location).json()

    response = client.request(method, location, content=json.dumps(body), headers=headers)

    assert 400 == response.status_code
    assert {"error": sentence} == response.json()
    assert before == client.get(location).json()


@pytest.mark.parametrize("name", ["id", "user_id", "created_at", "updated_at", "colour"])
def test_members_that_are_not_the_clients(client: httpx.Client, location: str, name: str) -> None:
    """What the service sets, or does not know, cannot be changed."""
    before = client.get(location).json()

    response = client.put(location, json={"title": "Mine", name: before.get(name, 1)})

    assert 400 == response.status_code
    assert response.json()["error"].startswith("The request body must not have members other than 'title'")
    assert before == client.get(location).json()


def test_no_body(client: httpx.Client, location: str) -> None:
    """A change needs a body."""
    response = client.put(location, headers=JSON)

    assert 400 == response.status_code
    assert {"error": "The request body is required, as application/json"} == response.json()


def test_the_time_of_change_always_grows(client: httpx.Client, location: str) -> None:
    """Each change has a later `updated_at` and another entity tag than the one before; `created_at` stays."""
    answers = [client.put(location, json={"title": "The same"}) for _ in range(20)]

    times = [answer.json()["updated_at"] for answer in answers]
    assert sorted(set(times)) == times
    assert 20 == len({answer.headers["ETag"] for answer in answers})
    assert 1 == len({answer.json()["created_at"] for answer in answers})


def test_the_time_of_change_grows_when_the_clock_goes_back(
    client: httpx.Client, location: str, user: str, database_url: str
) -> None:
    """A change is later than the one before, even where the database's clock says otherwise."""
    run(database_url, "UPDATE tasks SET updated_at = '2999-12-31T23:59:59.999999Z' WHERE user_id = %s", user)

    response = client.put(location, json={"title": "Later still"})

    assert "3000-01-01T00:00:00Z" == response.json()["updated_at"]


def test_changes_at_once(client: httpx.Client, location: str) -> None:
    """Of changes that are made at once each is done in turn, and none undoes another's members."""
    changes = [{"title": "Buy oat milk"}, {"description": "One litre"}, {"status": "complete"}] * 4

    answers = together(len(changes), lambda index: client.put(location, json=changes[index]))

    assert [200] * len(changes) == [answer.status_code for answer in answers]
    assert len(changes) == len({answer.json()["updated_at"] for answer in answers})
    after = client.get(location).json()
    expected = {"title": "Buy oat milk", "description": "One litre", "status": "complete"}
    assert expected == {name: after[name] for name in expected}
    assert max(answer.json()["updated_at"] for answer in answers) == after["updated_at"]


def test_a_task_that_is_deleted_meanwhile(
    client: httpx.Client, location: str, user: str, database_url: str
) -> None:
    """A change that waits while its task is deleted finds no task."""
    with open_transaction(database_url) as cursor:
        cursor.execute("DELETE FROM tasks WHERE user_id = %s", [user])

        def change_or_let_go(index: int) -> httpx.Response | None:
            if index:
                return client.put(location, json={"title": "Too late"})
            wait_for_waiting(database_url, 1)
            cursor.connection.commit()
            return None

        _, response = together(2, change_or_let_go)

    assert response is not None
    assert 404 == response.status_code
    assert {"error": "Task not found"} == response.json()
