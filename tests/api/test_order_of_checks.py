"""The order of checks: route, token, owner, size and media type, parameters and body, and then the database.

Each request is wrong in two ways that stand next to each other in that order, and is refused for the earlier one.
"""

import httpx
import pytest

from tests.support import conforming
from tests.support.operations import CASES, Case, name
from tests.support.running import Service

service = conforming.service

MISSING = "9223372036854775807"
JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}
TOO_LARGE = b" " * 131073


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/{user}/nothing", 404),
        ("GET", "/api/{user}/tasks/1/complete/now", 404),
        ("PUT", "/api/{user}/tasks", 405),
        ("POST", "/api/{user}/tasks/1", 405),
        ("GET", "/api/{user}/tasks/1/complete", 405),
    ],
)
def test_the_route_before_the_token(service: Service, user: str, method: str, path: str, status: int) -> None:
    """A path or method that does not exist is 404 or 405 also without a valid token."""
    with service.client() as nobody:
        for headers in ({}, {"Authorization": "Bearer nonsense"}):
            assert status == nobody.request(method, path.format(user=user), headers=headers).status_code


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer nonsense", "Basic YTpi", "nonsense"])
def test_the_token_before_the_owner(service: Service, tasks: str, authorization: str) -> None:
    """Without a valid token every path is 401, whoever's it is."""
    with service.client() as nobody:
        response = nobody.get(tasks, headers={"Authorization": authorization})

    assert 401 == response.status_code
    assert {"error": "Unauthorized"} == response.json()
    assert "Bearer" == response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("case", [case for case in CASES if not case.is_public], ids=name)
def test_a_token_that_is_too_long_is_told_so(service: Service, user: str, case: Case) -> None:
    """A token longer than 16 KiB is 431 with the limit, whoever's path it is, since another would be as long."""
    path = case.operation.path.format(user_id=user, id=1)
    with service.client() as nobody:
        response = nobody.request(case.method, path, headers={"Authorization": f"Bearer {'a' * 16385}"})

    assert 431 == response.status_code
    sentence = "The token must be 16384 bytes or less. Have its issuer put fewer claims into it"
    if case.method != "HEAD":
        assert {"error": sentence} == response.json()


@pytest.mark.parametrize(
    ("content", "headers"),
    [(TOO_LARGE, JSON), (TOO_LARGE, TEXT), (b"Task", TEXT), (b"Task", {}), (b"{", JSON), (b"{}", JSON)],
)
@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PUT", "/abc"), ("PATCH", "/abc/complete")])
def test_token_and_owner_before_the_body(
    service: Service, tasks: str, method: str, path: str, content: bytes, headers: dict[str, str]
) -> None:
    """Whatever the body is, without a token the answer is 401, and on another's path it is 403."""
    with service.client() as nobody, service.client("somebody-else") as other:
        assert 401 == nobody.request(method, tasks + path, content=content, headers=headers).status_code
        response = other.request(method, tasks + path, content=content, headers=headers)

    assert 403 == response.status_code
    assert {"error": "Forbidden"} == response.json()


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [(TOO_LARGE, JSON, 413), (b"Task", TEXT, 415), (b"Task", {}, 415), (b"{}", TEXT, 415), (b"{", TEXT, 415)],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("POST", "?unknown=1"),
        ("PUT", "/abc"),
        ("PUT", f"/{MISSING}?unknown=1"),
        ("PATCH", "/abc/complete"),
    ],
)
def test_size_and_media_type_before_parameters_and_body(
    client: httpx.Client,
    tasks: str,
    method: str,
    path: str,
    content: bytes,
    headers: dict[str, str],
    status: int,
) -> None:
    """A body that is too large or of another type is refused before anything else is validated."""
    assert status == client.request(method, tasks + path, content=content, headers=headers).status_code


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"title": ""}', b'{"status": "done"}'])
def test_parameters_before_the_body(client: httpx.Client, tasks: str, content: bytes) -> None:
    """Of a wrong parameter and a wrong body the parameter is reported."""
    response = client.put(f"{tasks}/abc", content=content, headers=JSON)

    assert 400 == response.status_code
    assert {"error": "Invalid task ID"} == response.json()


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "sentence"),
    [
        ("GET", f"/{MISSING}?unknown=1", b"", {}, "Unknown query parameter. Known here: none"),
        ("DELETE", f"/{MISSING}?unknown=1", b"", {}, "Unknown query parameter. Known here: none"),
        ("POST", "?unknown=1", b'{"title": "Mine"}', JSON, "Unknown query parameter. Known here: none"),
        ("DELETE", "/abc", b"", {}, "Invalid task ID"),
        ("PUT", "/abc", b'{"title": "Mine"}', JSON, "Invalid task ID"),
        ("PATCH", "/abc/complete", b"", {}, "Invalid task ID"),
        ("POST", "/abc/restore", b"", {}, "Invalid task ID"),
        (
            *("PUT", f"/{MISSING}", b"{}", JSON),
            "At least one field (title, description, status, priority, due_date or tags) must be provided",
        ),
        ("PUT", f"/{MISSING}", b'{"title": " "}', JSON, "Title cannot be empty"),
        (
            *("PATCH", f"/{MISSING}/complete", b'{"status": "done"}', JSON),
            "Invalid status value. Must be 'incomplete' or 'complete'",
        ),
    ],
)
def test_parameters_and_body_before_the_database(
    client: httpx.Client,
    tasks: str,
    method: str,
    path: str,
    content: bytes,
    headers: dict[str, str],
    sentence: str,
) -> None:
    """A request that breaks a rule of the contract is 400 also for a task that does not exist."""
    response = client.request(method, tasks + path, content=content, headers=headers)

    assert 400 == response.status_code
    assert {"error": sentence} == response.json()


def test_parameters_before_the_condition(client: httpx.Client, tasks: str) -> None:
    """A body that breaks a rule is 400 before a stale If-Match is 412."""
    location = client.post(tasks, json={"title": "Task"}).headers["Location"]

    assert 400 == client.put(location, json={"title": ""}, headers={"If-Match": '"stale"'}).status_code


def test_the_body_before_the_key(client: httpx.Client, tasks: str) -> None:
    """A body that breaks a rule is 400 before a key that was used with another body is 422."""
    headers = {"Idempotency-Key": "key"}
    client.post(tasks, json={"title": "First"}, headers=headers)

    response = client.post(tasks, json={"title": ""}, headers=headers)

    assert 400 == response.status_code
    assert {"error": "Title is required"} == response.json()
