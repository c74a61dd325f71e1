"""The second opinion on every answer can itself say no."""

from collections.abc import Callable
from typing import Any

import httpx
import jsonschema_rs
import pytest

from openapi.contract import contract
from tests.support.conforming import check

TASK = {
    "id": 1,
    "user_id": "demo",
    "title": "Buy milk",
    "description": None,
    "status": "incomplete",
    "priority": "medium",
    "due_date": None,
    "tags": [],
    "created_at": "2026-11-22T10:00:00.125000Z",
    "updated_at": "2026-11-22T10:00:00.125000Z",
    "etag": '"6a8c52b45d268"',
}
ETAG = {"ETag": '"1"'}


def answer(method: str, path: str, status: int, body: Any = None, **headers: str) -> httpx.Response:
    request = httpx.Request(method, f"http://service{path}")
    content = {} if body is None else {"json": body}
    sent = {**contract().headers, "X-Request-Id": "1", **headers}
    return httpx.Response(status, request=request, headers=sent, **content)


@pytest.mark.parametrize(
    "make",
    [
        lambda: answer("GET", "/api/demo/tasks/1", 200, TASK, **ETAG),
        lambda: answer("GET", "/api/demo/tasks/1", 304, **ETAG),
        lambda: answer("GET", "/api/demo/tasks", 200, [TASK, TASK]),
        lambda: answer("DELETE", "/api/demo/tasks/1", 204),
        lambda: answer("PUT", "/api/demo/tasks", 405, {"error": "No"}, Allow="DELETE, GET, HEAD, POST"),
        lambda: answer("GET", "/elsewhere", 404, {"error": "Not found"}),
        lambda: answer("GET", "/health/ready", 503, {"error": "Later"}, **{"Retry-After": "1"}),
    ],
)
def test_what_the_contract_declares_passes(make: Callable[[], httpx.Response]) -> None:
    """An answer with a declared status, all declared headers and a valid body conforms."""
    check(make())


@pytest.mark.parametrize(
    "make",
    [
        lambda: answer("GET", "/api/demo/tasks/1", 404, TASK),
        lambda: answer("GET", "/api/demo/tasks/1", 418, {"error": "A teapot"}),
        lambda: answer("GET", "/api/demo/tasks/1", 200, TASK),
        lambda: answer("GET", "/api/demo/tasks/1", 200, TASK, ETag="weak"),
        lambda: answer("GET", "/api/demo/tasks/1", 200, {**TASK, "extra": 1}, **ETAG),
        lambda: answer(
            "GET", "/api/demo/tasks/1", 200, {**TASK, "created_at": "2026-11-22T10:00:00"}, **ETAG
        ),
        lambda: answer("GET", "/api/demo/tasks/1", 404, {"error": "Task not found"}, **ETAG),
        lambda: answer("GET", "/api/demo/tasks/1", 404, {"error": "Task not found", "detail": "x"}),
        lambda: answer("GET", "/api/demo/tasks/1", 200, **ETAG),
        lambda: answer("GET", "/api/demo/tasks", 401, {"error": "Unauthorized"}),
        lambda: answer("GET", "/api/demo/tasks", 200, [TASK], Link="elsewhere"),
        lambda: answer("GET", "/api/demo/tasks", 200, [TASK], **{"X-Request-Id": "a b"}),
        lambda: answer("GET", "/api/demo/tasks", 200, [TASK], **{"X-Content-Type-Options": "none"}),
        lambda: answer("DELETE", "/api/demo/tasks/1", 204, {}),
        lambda: answer("POST", "/api/demo/tasks", 404, {"error": "Task not found"}),
        lambda: answer("PUT", "/api/demo/tasks", 405, {"error": "No"}, Allow="GET, POST"),
        lambda: answer("GET", "/elsewhere", 404, {"detail": "Not found"}),
        lambda: answer("GET", "/elsewhere", 200, {"error": "Not found"}),
        lambda: answer("GET", "/health/ready", 503, {"error": "Later"}, **{"Retry-After": "2"}),
    ],
)
def test_what_the_contract_does_not_declare_fails(make: Callable[[], httpx.Response]) -> None:
    """An answer of another status, header or shape than the contract declares does not conform."""
    with pytest.raises((AssertionError, KeyError, jsonschema_rs.ValidationError)):
        check(make())
