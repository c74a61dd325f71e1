"""Idempotency-Key on creation: a repeat answers the first result, and never makes a second task."""

from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support import conforming
from tests.support.clusters import run
from tests.support.database import open_transaction, wait_for_waiting
from tests.support.running import Service
from tests.support.together import together

service = conforming.service

BODY = {"title": "Buy milk", "description": "Two litres"}
NULLS = {"title": "Null", "description": None, "due_date": None}
FULL = {"title": "Full", "description": "All of it", "priority": "high", "due_date": "2026-11-24"}
REUSED = "This Idempotency-Key was used with another body. Use a new key for a new task"


def create(client: httpx.Client, tasks: str, body: Any = BODY, key: str = "key") -> httpx.Response:
    return client.post(tasks, json=body, headers={"Idempotency-Key": key})


def age(database_url: str, user: str, time: str) -> None:
    """Makes the user's keys older by `time`."""
    older = (
        "UPDATE idempotency_keys SET created_at = created_at - %s::interval WHERE user_id = %s RETURNING key"
    )
    assert 1 == len(run(database_url, older, time, user))


@pytest.mark.parametrize("body", [BODY, {"title": "Short"}, NULLS, FULL])
def test_a_repeat(client: httpx.Client, tasks: str, body: dict[str, Any]) -> None:
    """A repeat answers byte for byte what the first request was answered, and there is one task."""
    first, second, third = (create(client, tasks, body) for _ in range(3))

    assert 201 == first.status_code
    assert 201 == second.status_code == third.status_code
    assert first.content == second.content == third.content
    assert first.headers["Location"] == second.headers["Location"]
    assert first.headers["ETag"] == second.headers["ETag"]
    assert [first.json()] == client.get(tasks).json()
    assert first.json() == client.get(first.headers["Location"]).json()


def test_the_same_body_spelled_otherwise(client: httpx.Client, tasks: str) -> None:
    """White space and the order of members do not make another body."""
    first = create(client, tasks)
    content = b'{ "description": "Two litres",\n "title": "\\u0042uy milk" }'
    headers = {"Idempotency-Key": "key", "Content-Type": "application/json; charset=utf-8"}

    second = client.post(tasks, content=content, headers=headers)

    assert first.content == second.content


def test_without_a_key(client: httpx.Client, tasks: str) -> None:
    """Without a key each request makes a task of its own."""
    first, second = (client.post(tasks, json=BODY) for _ in range(2))

    assert [second.json(), first.json()] == client.get(tasks).json()


def test_another_key(client: httpx.Client, tasks: str) -> None:
    """Another key makes another task; keys are compared exactly."""
    created = [create(client, tasks, key=key).json() for key in ("key", "Key", "key2", '"key"')]

    assert created[::-1] == client.get(tasks).json()


def test_many_at_once(client: httpx.Client, tasks: str) -> None:
    """Requests of a new user with the same key at the same instant make one task and get the same answer."""
    answers = together(16, lambda _: create(client, tasks))

    assert [201] * 16 == [answer.status_code for answer in answers]
    assert 1 == len({answer.content for answer in answers})
    assert [answers[0].json()] == client.get(tasks).json()


def test_many_bodies_at_once(client: httpx.Client, tasks: str) -> None:
    """Of different bodies under the same key at the same instant one makes a task, and the others are refused."""
    answers = together(8, lambda index: create(client, tasks, {"title": f"Task {index}"}))

    (created,) = [answer for answer in answers if answer.status_code == 201]
    refused = [(answer.status_code, answer.json()) for answer in answers if answer is not created]
    assert [(422, {"error": REUSED})] * 7 == refused
    assert [created.json()] == client.get(tasks).json()


@pytest.mark.parametrize(
    "body",
    [
        {"title": "Buy bread", "description": "Two litres"},
        {"title": "Buy milk", "description": "One litre"},
        {"title": "Buy milk", "description": None},
        {"title": "Buy milk"},
        {"title": "Buy milk "},
        {**BODY, "priority": "medium"},
        {**BODY, "due_date": None},
        {"title": "Two litres", "description": "Buy milk"},
    ],
)
def test_another_body(client: httpx.Client, tasks: str, body: dict[str, Any]) -> None:
    """Another body under the same key is refused, makes no task, and leaves the key to the first body."""
    first = create(client, tasks)

    response = create(client, tasks, body)

    assert 422 == response.status_code
    assert {"error": REUSED} == response.json()
    assert [first.json()] == client.get(tasks).json()
    assert first.content == create(client, tasks).content


@pytest.mark.parametrize("body", [BODY, FULL])
@pytest.mark.parametrize("change", ["change", "complete", "delete"])
def test_a_repeat_after_the_task_changed(
    client: httpx.Client, tasks: str, change: str, body: dict[str, Any]
) -> None:
    """A repeat answers the first result also when the task has since been changed, completed or deleted."""
    first = create(client, tasks, body)
    location = first.headers["Location"]
    {
        "change": lambda: client.put(location, json={**NULLS, "priority": "low"}),
        "complete": lambda: client.patch(f"{location}/complete"),
        "delete": lambda: client.delete(location),
    }[change]()
    now = client.get(tasks).json()

    repeat = create(client, tasks, body)

    assert 201 == repeat.status_code
    assert first.content == repeat.content
    assert first.headers["ETag"] == repeat.headers["ETag"]
    assert first.headers["Location"] == repeat.headers["Location"]
    assert now == client.get(tasks).json()


@pytest.mark.parametrize("body", [{"title": ""}, {}, {"title": "Fine", "status": "complete"}])
def test_a_refused_request_stores_nothing(
    client: httpx.Client, tasks: str, user: str, database_url: str, body: dict[str, Any]
) -> None:
    """A request that is refused leaves no key behind: the corrected one may use it."""
    assert 400 == create(client, tasks, body).status_code
    assert [(0,)] == run(database_url, "SELECT count(*) FROM idempotency_keys WHERE user_id = %s", user)

    assert 201 == create(client, tasks).status_code


def test_keys_of_different_users(service: Service, client: httpx.Client, tasks: str) -> None:
    """The same key of two users names two creations, also with different bodies."""
    first = create(client, tasks)
    with service.client("key-owner") as other:
        second = create(other, "/api/key-owner/tasks", {"title": "Another"})
        assert 201 == second.status_code
        assert second.content == create(other, "/api/key-owner/tasks", {"title": "Another"}).content

    assert first.json()["id"] != second.json()["id"]
    assert first.content == create(client, tasks).content


def test_a_key_of_yesterday(client: httpx.Client, tasks: str, user: str, database_url: str) -> None:
    """A key is remembered for 24 hours and then starts anew, with whatever body."""
    first = create(client, tasks).json()
    age(database_url, user, "23 hours 59 minutes")
    assert first["id"] == create(client, tasks).json()["id"]
    assert 422 == create(client, tasks, {"title": "Another"}).status_code

    age(database_url, user, "1 minute")
    second = create(client, tasks, {"title": "Another"})

    assert 201 == second.status_code
    assert first["id"] != second.json()["id"]
    assert second.content == create(client, tasks, {"title": "Another"}).content
    assert [second.json(), first] == client.get(tasks).json()


def test_a_key_of_yesterday_twice_at_once(
    client: httpx.Client, tasks: str, user: str, database_url: str
) -> None:
    """Two requests at once with a key that has just run out make one new task and get the same answer."""
    first = create(client, tasks)
    age(database_url, user, "25 hours")

    def create_or_let_go(index: int) -> httpx.Response | None:
        if index:
            return create(client, tasks, {"title": "Another"})
        wait_for_waiting(database_url, 2)
        cursor.connection.commit()
        return None

    with open_transaction(database_url) as cursor:
        cursor.execute("SELECT key FROM idempotency_keys WHERE user_id = %s FOR UPDATE", [user])
        _, *answers = together(3, create_or_let_go)

    listed = client.get(tasks).json()
    assert 2 == len(listed)
    assert first.json() == listed[1]
    assert [(201, listed[0])] * 2 == [(answer.status_code, answer.json()) for answer in answers if answer]


def test_any_printable_key(service: Service) -> None:
    """Every key of 1 to 255 printable ASCII characters works, and a repeat under it is recognised."""
    with service.client("keys") as client:

        @given(
            st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255).map(
                str.strip
            )
        )
        @example("a" * 255)
        @example("!")
        def recognised(key: str) -> None:
            if key:
                first, second = (create(client, "/api/keys/tasks", key=key) for _ in range(2))
                assert 201 == first.status_code
                assert first.content == second.content

        recognised()


@pytest.mark.parametrize("key", ["", "a" * 256, "clé".encode(), "clé".encode("latin-1"), b"a\tb"])
def test_what_is_no_key(client: httpx.Client, tasks: str, key: str | bytes) -> None:
    """A key that is empty, too long or not printable ASCII is refused in words, and nothing is created."""
    response = client.post(tasks, json=BODY, headers=[(b"Idempotency-Key", key)])

    assert 400 == response.status_code
    assert response.json()["error"].startswith("Idempotency-Key must be ")  # not "match the pattern"
    assert [] == client.get(tasks).json()


def test_two_keys(client: httpx.Client, tasks: str) -> None:
    """A request has one key: with two it is refused."""
    response = client.post(tasks, json=BODY, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])

    assert 400 == response.status_code
    assert [] == client.get(tasks).json()
