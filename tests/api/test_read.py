"""GET /api/{user_id}/tasks/{id}, and HEAD, which is GET without the body."""

import httpx
import pytest

from tests.support import conforming
from tests.support.running import EACH_ITS_OWN, Service

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


def test_another_users_task(service: Service, client: httpx.Client, tasks: str) -> None:
    """A task of another user cannot be told apart from one that does not exist."""
    with service.client("neighbour") as neighbour:
        task = neighbour.post("/api/neighbour/tasks", json={"title": "Private"}).json()
    theirs = client.get(f"{tasks}/{task['id']}")
    nobodys = client.get(f"{tasks}/9223372036854775807")

    assert 404 == theirs.status_code
    assert nobodys.content == theirs.content
    assert nobodys.headers.keys() == theirs.headers.keys()


@pytest.mark.parametrize("id", NOT_A_TASK_ID)
def test_what_is_no_task_id(client: httpx.Client, tasks: str, id: str) -> None:
    """Only a decimal number from 1 to 2^63 - 1, in its one plain spelling, is a task's number."""
    response = client.get(f"{tasks}/{id}")

    assert 400 == response.status_code
    assert {"error": "Invalid task ID"} == response.json()


def test_no_token(service: Service, tasks: str) -> None:
    """Without a token nothing is read."""
    with service.client() as client:
        response = client.get(f"{tasks}/1")

    assert 401 == response.status_code
    assert {"error": "Unauthorized"} == response.json()


def test_another_users_path(service: Service, client: httpx.Client, tasks: str) -> None:
    """Another user's path is forbidden, whether or not there is such a task."""
    location = client.post(tasks, json={"title": "Private"}).headers["Location"]

    with service.client("somebody-else") as other:
        for path in (location, f"{tasks}/9223372036854775807"):
            response = other.get(path)
            assert 403 == response.status_code
            assert {"error": "Forbidden"} == response.json()


def test_an_unknown_query_parameter(client: httpx.Client, tasks: str) -> None:
    """A query parameter that the operation does not have is refused."""
    location = client.post(tasks, json={"title": "Buy milk"}).headers["Location"]

    response = client.get(location, params={"fields": "title"})

    assert 400 == response.status_code
    assert {"error": "Unknown query parameter. Known here: none"} == response.json()


@pytest.mark.parametrize("path", ["", "?limit=1", "/{id}", "/abc", "/9223372036854775807"])
def test_head(client: httpx.Client, tasks: str, path: str) -> None:
    """HEAD answers the status and the headers of GET, and neither a body nor, where it would have to be built for it,
    its length (RFC 9110, section 9.3.2)."""
    for number in range(2):
        task = client.post(tasks, json={"title": f"Task {number}"}).json()
    path = tasks + path.format(id=task["id"])

    get, head = client.get(path), client.head(path)

    assert get.status_code == head.status_code
    assert b"" == head.content
    assert _lasting(get) == _lasting(head)
    assert (get.status_code == 200) == ("content-length" not in head.headers)


def _lasting(response: httpx.Response) -> dict[str, str]:
    others = {*EACH_ITS_OWN, "content-length"}
    return {name: value for name, value in response.headers.items() if name not in others}


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "", "DELETE, GET, HEAD, POST"),
        ("POST", "/1", "DELETE, GET, HEAD, PATCH, PUT"),
        ("GET", "/1/complete", "PATCH"),
        ("HEAD", "/1/complete", "PATCH"),
        ("OPTIONS", "/1/complete", "PATCH"),
        ("PROPFIND", "/1", "DELETE, GET, HEAD, PATCH, PUT"),
    ],
)
def test_a_method_that_the_path_does_not_take(
    client: httpx.Client, tasks: str, method: str, path: str, allow: str
) -> None:
    """Another method is 405, and `Allow` lists all that the path takes."""
    response = client.request(method, tasks + path)

    assert 405 == response.status_code
    assert allow == response.headers["Allow"]
    if method != "HEAD":
        sentence = "Method not allowed. The Allow header lists the methods that this path takes"
        assert {"error": sentence} == response.json()


@pytest.mark.parametrize(
    "path", ["/api", "/api/{user}/nothing", "/api/{user}/tasks/", "/api/{user}/tasks/1/", "/API/tasks"]
)
def test_a_path_that_is_not_in_the_contract(client: httpx.Client, user: str, path: str) -> None:
    """Any other path is 404, also one with a slash too many."""
    response = client.get(path.format(user=user))

    assert 404 == response.status_code
    assert {"error": "Not found. The paths of this API are listed in /openapi.yaml"} == response.json()
