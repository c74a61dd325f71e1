"""PATCH /api/{user_id}/tasks/{id}/complete: completes and reopens, and never toggles by accident."""

import json
from typing import Any

import httpx
import pytest

from tests.support import conforming
from tests.support.together import together

service = conforming.service

COMPLETE = {"status": "complete"}
REOPEN = {"status": "incomplete"}


@pytest.fixture
def location(client: httpx.Client, tasks: str) -> str:
    """The address of an incomplete task of the user."""
    return client.post(tasks, json={"title": "Buy milk", "description": "Two litres"}).headers["Location"]


def test_without_a_body(client: httpx.Client, location: str) -> None:
    """Without a body the task becomes complete, and nothing else of it changes but `updated_at`."""
    before = client.get(location).json()

    response = client.patch(f"{location}/complete")

    assert 200 == response.status_code
    after = response.json()
    assert {**before, "status": "complete", "updated_at": after["updated_at"], "etag": after["etag"]} == after
    assert before["updated_at"] < after["updated_at"]
    assert after == client.get(location).json()


@pytest.mark.parametrize("status", ["complete", "incomplete"])
def test_again(client: httpx.Client, location: str, status: str) -> None:
    """A task that has the status already stays exactly as it is, so a retry is safe."""
    first = client.patch(f"{location}/complete", json={"status": status})
    second = client.patch(f"{location}/complete", json={"status": status})

    assert 200 == second.status_code
    assert first.content == second.content
    assert first.headers["ETag"] == second.headers["ETag"]


def test_there_and_back(client: httpx.Client, location: str) -> None:
    """The body says which status the task takes, and each real change has a later `updated_at`."""
    bodies = [COMPLETE, REOPEN, COMPLETE, REOPEN]

    answers = [client.patch(f"{location}/complete", json=body).json() for body in bodies]

    assert bodies == [{"status": answer["status"]} for answer in answers]
    assert sorted({answer["updated_at"] for answer in answers}) == [
        answer["updated_at"] for answer in answers
    ]


def test_an_empty_object_completes(client: httpx.Client, location: str) -> None:
    """A body that names no status means the default, complete."""
    assert "complete" == client.patch(f"{location}/complete", json={}).json()["status"]
    assert "complete" == client.patch(f"{location}/complete", json={}).json()["status"]


@pytest.mark.parametrize("media_type", ["application/json", "text/plain"])
def test_no_content_has_no_media_type(client: httpx.Client, location: str, media_type: str) -> None:
    """Where no body is sent, a client that names a media type all the same is understood."""
    response = client.patch(f"{location}/complete", content=b"", headers={"Content-Type": media_type})

    assert 200 == response.status_code
    assert "complete" == response.json()["status"]


def test_many_at_once(client: httpx.Client, location: str) -> None:
    """Of many completions at once one changes the task and the others find it complete."""
    answers = together(12, lambda _: client.patch(f"{location}/complete"))

    assert [200] * 12 == [answer.status_code for answer in answers]
    assert {client.get(location).content} == {answer.content for answer in answers}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"status": "done"}, "Invalid status value. Must be 'incomplete' or 'complete'"),
        ({"status": None}, "Invalid status value. Must be 'incomplete' or 'complete'"),
        ({"status": True}, "Invalid status value. Must be 'incomplete' or 'complete'"),
        ({"complete": True}, "The request body must not have members other than 'status'"),
        (
            {"status": "complete", "title": "New"},
            "The request body must not have members other than 'status'",
        ),
        ([], "The request body must be an object"),
        (None, "The request body must be an object"),
        ("complete", "The request body must be an object"),
    ],
)
def test_a_body_that_breaks_a_rule(client: httpx.Client, location: str, body: Any, sentence: str) -> None:
    """A body that does not name a status is refused, and the task stays as it is."""
    before = client.get(location).json()
    headers = {"Content-Type": "application/json"}

    response = client.patch(f"{location}/complete", content=json.dumps(body), headers=headers)

    assert 400 == response.status_code
    assert {"error": sentence} == response.json()
    assert before == client.get(location).json()
