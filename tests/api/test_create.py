"""POST /api/{user_id}/tasks: what a task may be, and what is refused."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support import conforming
from tests.support.clusters import run
from tests.support.conforming import ConformingService
from tests.support.running import Service, service_in_thread
from tests.support.together import together

service = conforming.service

JSON = {"Content-Type": "application/json"}
WHITE_SPACE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)
PRIORITY = "Invalid priority value. Must be 'low' or 'medium' or 'high'"
DUE_DATE = "Invalid due date. Must be a date such as 2026-11-24, or null"
NO_DATES = (
    *("", "tomorrow", "2026-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-11-31", "0000-01-01"),
    *("2026-1-1", "20261124", "2026-11-24T00:00:00Z", " 2026-11-24", "2026-11-24\n", "٢٠٢٦-11-24"),
    *("10000-01-01", "-0001-01-01", "-001-01-01", "2026-11-2+", "0044-03-15 BC", "infinity"),
    *("today", 20261124, True, ["2026-11-24"]),
)
TEXT = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")


def test_a_task_with_a_description(client: httpx.Client, tasks: str, user: str) -> None:
    """A new task has every member, is incomplete and of medium priority, and comes with its address and entity tag."""
    response = client.post(tasks, json={"title": "Buy milk", "description": "Two litres"})

    assert 201 == response.status_code
    task = response.json()
    assert {
        "id": task["id"],
        "user_id": user,
        "title": "Buy milk",
        "description": "Two litres",
        "status": "incomplete",
        "priority": "medium",
        "due_date": None,
        "tags": [],
        "created_at": task["created_at"],
        "updated_at": task["created_at"],
        "etag": response.headers["ETag"],
    } == task
    assert f"{tasks}/{task['id']}" == response.headers["Location"]
    assert task == client.get(response.headers["Location"]).json()


@pytest.mark.parametrize("body", [{"title": "Buy milk"}, {"title": "Buy milk", "description": None}])
def test_a_task_without_a_description(client: httpx.Client, tasks: str, body: dict[str, Any]) -> None:
    """A description that is absent or null is null in the task."""
    response = client.post(tasks, json=body)

    assert 201 == response.status_code
    assert None is response.json()["description"]


@pytest.mark.parametrize("priority", ["low", "medium", "high"])
@pytest.mark.parametrize(
    "due_date", ["0001-01-01", "0099-12-31", "2000-02-29", "2026-11-24", "9999-12-31", None]
)
def test_a_priority_and_a_due_date(
    client: httpx.Client, tasks: str, priority: str, due_date: str | None
) -> None:
    """Any priority and any date come back as they were sent."""
    sent = {"title": "Buy milk", "priority": priority, "due_date": due_date}

    response = client.post(tasks, json=sent)

    assert 201 == response.status_code
    for task in (response.json(), client.get(response.headers["Location"]).json()):
        assert sent == {name: task[name] for name in sent}


def test_the_times_are_now_in_utc(client: httpx.Client, tasks: str) -> None:
    """The times are those of the creation, in UTC."""
    created_at = client.post(tasks, json={"title": "Now"}).json()["created_at"]

    assert created_at.endswith("Z")
    assert timedelta(minutes=5) > abs(datetime.now(UTC) - datetime.fromisoformat(created_at))


def test_the_times_do_not_follow_the_session(
    database_url: str, client: httpx.Client, tasks: str, user: str
) -> None:
    """A database session in another time zone changes no time, no cursor and no entity tag."""
    created = [client.post(tasks, json={"title": f"Task {number}"}) for number in range(3)]

    with (
        service_in_thread(f"{database_url}&options=-c%20timezone%3DAsia%2FKathmandu") as elsewhere,
        ConformingService(elsewhere.url).client(user) as there,
    ):
        first = there.get(tasks, params={"limit": 1})
        rest = there.get(first.links["next"]["url"].replace("limit=1", "limit=2"))
        etag = there.get(created[0].headers["Location"]).headers["ETag"]
        changed = there.patch(created[0].headers["Location"] + "/complete", headers={"If-Match": etag})

    assert [response.json() for response in reversed(created)] == first.json() + rest.json()
    assert created[0].headers["ETag"] == etag
    assert 200 == changed.status_code


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "Title is required"),
        ({"description": "No title"}, "Title is required"),
        ({"title": None}, "Title is required"),
        ({"title": ""}, "Title is required"),
        ({"title": "   "}, "Title is required"),
        ({"title": "a" * 256}, "Title must be 255 characters or less"),
        ({"title": "😀" * 256}, "Title must be 255 characters or less"),
        ({"title": " " * 256}, "Title must be 255 characters or less"),
        ({"title": "a", "description": "a" * 5001}, "Description must be 5000 characters or less"),
        ({"title": "a\0b"}, "Title must not contain the character U+0000"),
        ({"title": "a", "description": "\0"}, "Description must not contain the character U+0000"),
        ({"title": 5}, "Title must be a string"),
        ({"title": ["a"]}, "Title must be a string"),
        ({"title": "a", "description": 5}, "Description must be a string or null"),
        *(({"title": "a", "priority": value}, PRIORITY) for value in ("urgent", "High", "", None, 2)),
        *(({"title": "a", "due_date": value}, DUE_DATE) for value in NO_DATES),
        ([], "The request body must be an object"),
        (None, "The request body must be an object"),
        ("Buy milk", "The request body must be an object"),
    ],
)
def test_a_body_that_breaks_a_rule(client: httpx.Client, tasks: str, body: Any, sentence: str) -> None:
    """A body that breaks a rule is refused with the rule's sentence, and nothing is created."""
    response = client.post(tasks, content=json.dumps(body), headers=JSON)

    assert 400 == response.status_code
    assert {"error": sentence} == response.json()
    assert [] == client.get(tasks).json()


@pytest.mark.parametrize("name", ["id", "user_id", "status", "created_at", "updated_at", "colour"])
def test_members_that_are_not_the_clients(client: httpx.Client, tasks: str, name: str) -> None:
    """What the service sets, or does not know, cannot be given on creation."""
    response = client.post(tasks, json={"title": "Mine", name: "incomplete"})

    assert 400 == response.status_code
    assert {
        "error": "The request body must not have members other than "
        "'title' or 'description' or 'priority' or 'due_date' or 'tags'"
    } == response.json()
    assert [] == client.get(tasks).json()


def test_a_blank_title_is_no_title(service: Service) -> None:
    """A title of nothing but white space, in any script, is refused."""
    with service.client("blank") as client:

        @given(st.text(st.sampled_from(WHITE_SPACE), max_size=255))
        def refused(title: str) -> None:
            response = client.post("/api/blank/tasks", json={"title": title})
            assert (400, {"error": "Title is required"}) == (response.status_code, response.json())

        refused()


def test_text_comes_back_exactly(service: Service) -> None:
    """Title and description are answered, then and later, character for character as they were sent."""
    with service.client("exact") as client:

        @given(st.text(TEXT, min_size=1, max_size=255), st.none() | st.text(TEXT, max_size=300))
        def the_same(title: str, description: str | None) -> None:
            assume(title.strip(WHITE_SPACE))
            sent = {"title": title, "description": description}
            created = client.post("/api/exact/tasks", json=sent)
            assert 201 == created.status_code
            for task in (created.json(), client.get(created.headers["Location"]).json()):
                assert sent == {"title": task["title"], "description": task["description"]}

        the_same()


@pytest.mark.parametrize("character", ["a", "é", "漢", "😀"])
def test_lengths_count_code_points(client: httpx.Client, tasks: str, character: str) -> None:
    """A title of 255 and a description of 5000 code points fit, however many bytes they take."""
    sent = {"title": character * 255, "description": character * 5000}

    response = client.post(tasks, json=sent)

    assert 201 == response.status_code
    assert sent == {name: response.json()[name] for name in sent}


def test_many_first_tasks_at_once(client: httpx.Client, tasks: str, database_url: str, user: str) -> None:
    """A new user may create many tasks at once: each is made, with a number of its own, and the user once."""
    responses = together(16, lambda index: client.post(tasks, json={"title": f"Task {index}"}))

    assert [201] * 16 == [response.status_code for response in responses]
    assert {response.json()["id"] for response in responses} == {
        task["id"] for task in client.get(tasks).json()
    }
    assert 16 == len({response.json()["id"] for response in responses})
    assert [(1,)] == run(database_url, "SELECT count(*) FROM users WHERE id = %s", user)
