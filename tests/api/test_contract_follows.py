"""Edit `openapi.yaml`, restart, and the service follows, without a line of Python: shown on the real service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import contracts
from tests.support.contracts import GONE, Json, Start, contract_with, project_with
from tests.support.operations import DOCUMENT
from tests.support.running import Service, todo_api

TASKS = "/paths/~1api~1{user_id}~1tasks"
_LISTED = [each.get("name") for each in DOCUMENT["paths"]["/api/{user_id}/tasks"]["get"]["parameters"]]
STATUS, LIMIT = _LISTED.index("status"), _LISTED.index("limit")
start = contracts.start

# Independent of each other, so that one start serves for all.
EDITS = {
    "/info/title": "Chores",
    "/info/version": "2.5.0",
    "/x-path-not-found": "No such place",
    "/x-headers": {"X-Robots-Tag": "noindex"},
    "/components/schemas/UserId/maxLength": 64,
    "/components/schemas/Title/maxLength": 9,
    "/components/schemas/Title/pattern": "^[a-z ]*$",
    "/components/schemas/Title/x-messages/pattern": "Lower case, please",
    "/components/schemas/TaskCreate/properties/title/x-messages/pattern": GONE,
    "/components/schemas/Status/enum": ["incomplete"],
    "/components/schemas/TaskCreate/properties/title/x-messages/required": "Which chore?",
    "/components/schemas/TaskCreate/properties/description/default": "Soon",
    "/components/schemas/TaskUpdate/dependentRequired": {"status": ["title"]},
    "/components/schemas/TaskUpdate/x-messages/minProperties": "Change {minProperties} thing or more",
    "/components/responses/Forbidden/x-message": "That is not yours",
    "/components/responses/Unauthorized/headers/WWW-Authenticate/schema/const": 'Bearer realm="chores"',
    "/components/responses/ContentTooLarge/x-max-body-bytes": 99,
    "/components/responses/TaskNotFound/x-message": "No such chore",
    "/components/parameters/IfMatch/required": True,
    f"{TASKS}/get/parameters/{STATUS}/in": "cookie",
    f"{TASKS}/get/parameters/{STATUS}/allowEmptyValue": GONE,
    f"{TASKS}/get/parameters/{LIMIT}/schema/maximum": 3,
    f"{TASKS}/get/parameters/{LIMIT}/schema/default": 2,
    f"{TASKS}/post/requestBody/content": {
        "application/chore+json": {"schema": {"$ref": "#/components/schemas/TaskCreate"}}
    },
    f"{TASKS}~1{{id}}/delete": GONE,
    "/paths/~1health~1ready/get/security": GONE,
}
CHORE = {"Content-Type": "application/chore+json"}


@pytest.fixture(scope="module")
def chores(start: Start) -> Service:
    """The service with all these edits."""
    return start(contract_with(EDITS))


@pytest.fixture
def alice(chores: Service, user: str) -> Iterator[httpx.Client]:
    """A client that is signed in as `user`."""
    with chores.client(user) as client:
        yield client


def create(client: httpx.Client, tasks: str, **members: Any) -> httpx.Response:
    """Creates a task, as the edited contract has it."""
    return client.post(tasks, content=json.dumps(members), headers=CHORE)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"title": "buy oat milk"}, "Title must be 9 characters or less"),
        ({"title": "Buy milk"}, "Lower case, please"),
        ({}, "Which chore?"),
    ],
)
def test_limits_patterns_and_sentences(alice: httpx.Client, tasks: str, sent: Json, expected: str) -> None:
    """A limit is reported with its new number, a pattern and a missing member in their new words."""
    response = create(alice, tasks, **sent)
    assert (400, {"error": expected}) == (response.status_code, response.json())


def test_a_members_default(alice: httpx.Client, tasks: str) -> None:
    """A member that is not sent has the default that the contract now gives it."""
    assert "Soon" == create(alice, tasks, title="buy milk").json()["description"]
    assert "Now" == create(alice, tasks, title="buy milk", description="Now").json()["description"]


def test_the_media_type(alice: httpx.Client, tasks: str) -> None:
    """A body is taken in the media type that the contract now names, and in no other."""
    assert 201 == create(alice, tasks, title="buy milk").status_code
    refused = alice.post(tasks, json={"title": "buy milk"})
    sentence = "The request body must be application/chore+json in UTF-8, without Content-Encoding"
    assert (415, {"error": sentence}) == (refused.status_code, refused.json())


def test_the_largest_body(alice: httpx.Client, tasks: str) -> None:
    """The body's limit and the sentence about it have one number."""
    refused = create(alice, tasks, title="buy milk", description="x" * 99)
    assert (413, {"error": "The request body must be 99 bytes or less"}) == (
        refused.status_code,
        refused.json(),
    )


def test_enums_and_dependencies(alice: httpx.Client, tasks: str) -> None:
    """A change is held to the new enum, to members that now need each other, and to the number in its sentence."""
    path = create(alice, tasks, title="buy milk").headers["Location"]
    expected = {
        '{"status": "complete"}': "Invalid status value. Must be 'incomplete'",
        '{"status": "incomplete"}': "Title is required",
        "{}": "Change 1 thing or more",
    }
    headers = {"If-Match": "*", "Content-Type": "application/json"}
    assert expected == {
        sent: alice.put(path, content=sent, headers=headers).json()["error"] for sent in expected
    }


def test_a_parameters_default_and_limit(alice: httpx.Client, tasks: str) -> None:
    """A list has the page size that the contract now gives it, and at most what it now allows."""
    for _ in range(3):
        create(alice, tasks, title="buy milk")
    assert 2 == len(alice.get(tasks).json())
    assert 3 == len(alice.get(tasks, params={"limit": 3}).json())
    assert {"error": "Limit must be 3 or less"} == alice.get(tasks, params={"limit": 4}).json()


def test_a_parameter_moves_to_a_cookie(alice: httpx.Client, tasks: str) -> None:
    """A parameter is read where the contract now has it, and is unknown where it was."""
    assert {"error": "Invalid status value. Must be 'incomplete'"} == alice.get(
        tasks, headers={"Cookie": "a=b; status=complete"}
    ).json()
    assert 200 == alice.get(tasks, headers={"Cookie": "status=incomplete"}).status_code
    refused = alice.get(tasks, params={"status": "incomplete"}).json()["error"]
    assert refused.startswith("Unknown query parameter. Known here: 'priority', 'tag', ")


def test_a_header_becomes_required(alice: httpx.Client, tasks: str) -> None:
    """A header that the contract now requires is asked for, wherever the shared parameter is referred to."""
    path = create(alice, tasks, title="buy milk").headers["Location"]
    refused = alice.put(path, json={"title": "buy tea"})
    assert (400, {"error": "If-Match is required"}) == (refused.status_code, refused.json())
    assert "buy tea" == alice.put(path, json={"title": "buy tea"}, headers={"If-Match": "*"}).json()["title"]


def test_an_operation_goes(alice: httpx.Client, tasks: str) -> None:
    """An operation that is taken out is 405, and is out of `Allow`."""
    path = create(alice, tasks, title="buy milk").headers["Location"]
    refused = alice.delete(path)
    assert (405, "GET, HEAD, PATCH, PUT") == (refused.status_code, refused.headers["Allow"])


def test_refusals_have_their_new_words(chores: Service, alice: httpx.Client, tasks: str) -> None:
    """The sentences of 403 and 404, and the fixed header of 401, are those that the contract now has."""
    assert {"error": "No such place"} == alice.get("/nowhere").json()
    assert {"error": "No such chore"} == alice.get(
        f"{tasks}/9223372036854775807", headers={"If-Match": "*"}
    ).json()
    assert {"error": "That is not yours"} == alice.get("/api/nobody/tasks").json()
    assert 'Bearer realm="chores"' == httpx.get(f"{chores.url}{tasks}").headers["WWW-Authenticate"]


def test_the_headers_of_every_answer(alice: httpx.Client, tasks: str) -> None:
    """An answer and a refusal have the headers that the contract now has, and not those that it had."""
    for response in (alice.get(tasks), alice.get("/nowhere")):
        assert "noindex" == response.headers["X-Robots-Tag"]
        assert "Cache-Control" not in response.headers


def test_who_can_be_a_user(chores: Service) -> None:
    """A token is for a user of the length that the contract now has."""
    for length, status in ((64, 200), (65, 401)):
        with chores.client(length * "u") as client:
            assert status == client.get(f"/api/{length * 'u'}/tasks").status_code


def test_what_was_public_needs_a_token(chores: Service) -> None:
    """An operation that has lost its exemption has the document's security."""
    assert 401 == httpx.get(f"{chores.url}/health/ready").status_code
    assert 200 == httpx.get(f"{chores.url}/health/live").status_code


def test_the_document_is_published_as_it_is(chores: Service) -> None:
    """The contract that is published, and the title of its pages, are the edited ones."""
    assert contract_with(EDITS) == httpx.get(f"{chores.url}/openapi.yaml").text
    assert json.loads(contract_with(EDITS)) == httpx.get(f"{chores.url}/openapi.json").json()
    assert "<title>Chores</title>" in httpx.get(f"{chores.url}/docs/").text


def test_paths_move(start: Start, user: str) -> None:
    """Paths follow the first server and their own names, also that of the parameter that names the user, with the
    addresses in answers, and the old ones are gone."""
    document = json.loads(contract_with({"/servers": [{"url": "https://todo.example/v2"}]}))
    document["paths"] = {
        path.replace("/api/{user_id}/tasks", "/chores-of/{user_id}"): item
        for path, item in document["paths"].items()
        if not path.startswith("/health")
    } | {"/health/live": {**document["paths"]["/health/live"], "servers": [{"url": "/"}]}}
    document["components"]["parameters"]["UserId"]["name"] = "member"
    text = json.dumps(document).replace("{user_id}", "{member}").replace('"user_id": "$', '"member": "$')
    with start(text).client(user) as client:
        created = client.post(f"/v2/chores-of/{user}", json={"title": "Buy milk"})
        client.post(f"/v2/chores-of/{user}", json={"title": "Buy tea"})
        assert f"/v2/chores-of/{user}/{created.json()['id']}" == created.headers["Location"]
        assert created.json() == client.get(created.headers["Location"]).json()
        link = client.get(f"/v2/chores-of/{user}", params={"limit": 1}).headers["Link"]
        assert link.startswith(f"</v2/chores-of/{user}?cursor=")
        assert [404, 404, 404] == [
            client.get(path).status_code
            for path in (f"/v2/api/{user}/tasks", f"/api/{user}/tasks", f"/chores-of/{user}")
        ]


def test_the_commands_follow(tmp_path: Path) -> None:
    """`todo-api routes` and `--version` tell what the edited contract says."""
    project = project_with(
        contract_with({"/info/version": "2.5.0", f"{TASKS}~1{{id}}/delete": GONE}), tmp_path
    )
    listed = todo_api("routes", cwd=project, PYTHONPATH=str(project)).stdout
    assert (True, False) == ("handlers.tasks.update_task " in listed, "handlers.tasks.delete_task " in listed)
    assert "todo-api 2.5.0\n" == todo_api("--version", cwd=project, PYTHONPATH=str(project)).stdout
