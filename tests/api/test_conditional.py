"""Conditional requests (RFC 9110, sections 8.8.3 and 13): ETag, If-None-Match and If-Match."""

from collections.abc import Callable
from itertools import product

import httpx
import pytest

from tests.support import conforming
from tests.support.together import together

service = conforming.service

Change = Callable[[httpx.Client, str, dict[str, str]], httpx.Response]

MERGE_PATCH = "application/merge-patch+json"
CHANGES: dict[str, Change] = {
    "PUT": lambda client, location, headers: client.put(location, json={"title": "New"}, headers=headers),
    "PATCH": lambda client, location, headers: client.patch(f"{location}/complete", headers=headers),
    "DELETE": lambda client, location, headers: client.delete(location, headers=headers),
    "merge patch": lambda client, location, headers: client.patch(
        location, content='{"title": "New"}', headers={"Content-Type": MERGE_PATCH, **headers}
    ),
    "restore": lambda client, location, headers: client.post(f"{location}/restore", headers=headers),
}
# None of these is `*` or a list of entity tags.
MALFORMED = [
    *["", ",", "abc", '"abc', 'abc"', '"a" "b"', '"a"; "b"', '*, "a"', '"a", *', "**", '"*'],
    *['w/"a"', 'W/ "a"', "W/abc", '"a b"', "'a'"],
]
# A tag is "{shape}-{time}"; none of these is that tag, strongly.
NOT_THE_TAG = ["W/{tag}", 'W/{tag}, "other"', '"other"', '""', '"*"', '"{shape}-0{time}"']
STALE = "The task has changed since. Read it again and retry with its new ETag"
WEAK = "If-Match never holds for a weak entity tag (W/). Send the ETag of the task as it was answered"
UNCHANGED = "The task is in a state that If-None-Match names, so nothing was done"
MANY = "Only a single task has an entity tag. Here If-Match can be * alone, and If-None-Match cannot"
changes = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())


@pytest.fixture
def created(client: httpx.Client, tasks: str) -> httpx.Response:
    """The answer with which a task of the user was created."""
    return client.post(tasks, json={"title": "Buy milk"})


@pytest.fixture
def location(created: httpx.Response) -> str:
    """The task's address."""
    return created.headers["Location"]


@pytest.fixture
def tag(created: httpx.Response) -> str:
    """The task's entity tag."""
    return created.headers["ETag"]


def test_every_answer_with_one_task_has_its_tag(client: httpx.Client, location: str, tag: str) -> None:
    """The tag is strong, and a change or a completion answers the tag with which the task is read afterwards."""
    assert (tag[0], tag[-1]) == ('"', '"')
    assert tag == client.get(location).headers["ETag"]

    for change in (CHANGES["PUT"], CHANGES["PATCH"]):
        changed = change(client, location, {}).headers["ETag"]
        assert changed != tag
        assert changed == client.get(location).headers["ETag"]
        tag = changed


@pytest.mark.parametrize(
    "value",
    [
        "{tag}",
        "W/{tag}",
        "*",
        '"other", {tag}',
        '{tag},"other"',
        'W/"other"\t, W/{tag}',
        '"a,b",{tag}',
        '"",{tag}',
    ],
)
def test_not_modified(client: httpx.Client, location: str, tag: str, value: str) -> None:
    """If-None-Match that names the tag, strong or weak, or `*`, gets 304 with the tag and without a body."""
    for method in ("GET", "HEAD"):
        response = client.request(method, location, headers={"If-None-Match": value.format(tag=tag)})

        assert 304 == response.status_code
        assert tag == response.headers["ETag"]
        assert b"" == response.content


@pytest.mark.parametrize(
    "value", ['"other"', '"a", W/"b"', '""', '"{bare}-"', '"{bare}0"', '"0{bare}"', '"*"']
)
def test_modified(client: httpx.Client, location: str, tag: str, value: str) -> None:
    """If-None-Match that names other tags only gets the task."""
    response = client.get(location, headers={"If-None-Match": value.format(bare=tag.strip('"'))})

    assert 200 == response.status_code
    assert "Buy milk" == response.json()["title"]


def test_modified_since(client: httpx.Client, location: str, tag: str) -> None:
    """The tag of an older state gets the task as it is now."""
    changed = client.put(location, json={"title": "Buy oat milk"})

    response = client.get(location, headers={"If-None-Match": tag})

    assert 200 == response.status_code
    assert changed.json() == response.json()
    assert changed.headers["ETag"] == response.headers["ETag"]


def test_tags_on_two_lines(client: httpx.Client, location: str, tag: str) -> None:
    """Tags on two lines of the same header are one list (RFC 9110, section 5.3)."""
    lines = [("If-None-Match", '"other"'), ("If-None-Match", tag)]
    assert 304 == client.get(location, headers=lines).status_code

    lines = [("If-Match", tag), ("If-Match", '"other"')]
    assert 204 == client.delete(location, headers=lines).status_code


@pytest.mark.parametrize("value", ['"other", , {tag}', ",{tag}", "{tag},", '"other",,{tag} ,'])
def test_empty_elements_of_a_list(client: httpx.Client, location: str, tag: str, value: str) -> None:
    """Empty elements of a list mean nothing (RFC 9110, section 5.6.1.2)."""
    value = value.format(tag=tag)

    assert 304 == client.get(location, headers={"If-None-Match": value}).status_code
    assert 204 == client.delete(location, headers={"If-Match": value}).status_code


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
def test_too_many_tags(client: httpx.Client, location: str, name: str) -> None:
    """A list that is too long is told so, however right its form is."""
    response = client.get(location, headers={name: ", ".join(['"a"'] * 300)})
    assert (400, {"error": f"{name} must be 1024 characters or less"}) == (
        response.status_code,
        response.json(),
    )


@pytest.mark.parametrize("path", ["/api/{user}/tasks?status=incomplete", "/api/{user}"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": '"a"'}, 412),
        ({"If-Match": "{tag}"}, 412),
        ({"If-None-Match": "*"}, 412),
        ({"If-Match": "*", "If-None-Match": "*"}, 412),
        ({"If-Match": "*", "If-None-Match": "{tag}"}, None),
    ],
)
def test_what_deletes_many_has_conditions_too(
    client: httpx.Client,
    location: str,
    user: str,
    tag: str,
    path: str,
    headers: dict[str, str],
    status: int | None,
) -> None:
    """All tasks, or all that a user has, are there and have no tag, so a condition that asks for one does not hold and
    nothing is deleted (sections 13.1.1 and 13.1.2)."""
    given = {name: value.format(tag=tag) for name, value in headers.items()}
    response = client.delete(path.format(user=user), headers=given)
    assert (status is None, 404 if status is None else 200) == (
        response.is_success,
        client.get(location).status_code,
    )
    if status is not None:
        assert (status, {"error": MANY}) == (response.status_code, response.json())


@pytest.mark.parametrize("value", MALFORMED)
def test_malformed_tags(client: httpx.Client, location: str, value: str) -> None:
    """What is neither `*` nor a list of entity tags is refused, and nothing is changed."""
    response = client.get(location, headers={"If-None-Match": value})
    assert 400 == response.status_code
    assert response.json()["error"].startswith("If-None-Match must ")

    for name, change in product(("If-Match", "If-None-Match"), CHANGES.values()):
        response = change(client, location, {name: value})
        assert 400 == response.status_code
        assert response.json()["error"].startswith(f"{name} must ")
    assert 200 == client.get(location).status_code


@changes
@pytest.mark.parametrize("value", ["{tag}", "*", '"other", {tag}', '{tag} ,\tW/"other"', '"a,b",{tag}'])
def test_a_condition_that_holds(
    client: httpx.Client, location: str, tag: str, change: Change, value: str
) -> None:
    """If-Match that names the current tag, alone or in a list, or `*`, lets the change happen."""
    response = change(client, location, {"If-Match": value.format(tag=tag)})

    assert response.is_success


@changes
@pytest.mark.parametrize("value", NOT_THE_TAG)
def test_a_condition_that_does_not_hold(
    client: httpx.Client, location: str, tag: str, change: Change, value: str
) -> None:
    """If-Match that names the current tag weakly, or other tags only, stops the change: 412."""
    shape, _, time = tag.strip('"').partition("-")
    before = client.get(location)

    headers = {"If-Match": value.format(tag=tag, shape=shape, time=time)}
    for response in (change(client, location, headers), client.get(location, headers=headers)):
        assert 412 == response.status_code
        assert {"error": WEAK if "W/" in value else STALE} == response.json()
    assert before.content == client.get(location).content


@changes
@pytest.mark.parametrize("value", ["*", "{tag}", "W/{tag}", '"other", {tag}'])
def test_a_change_of_what_the_client_holds(
    client: httpx.Client, location: str, tag: str, change: Change, value: str
) -> None:
    """If-None-Match that names the task's state, strongly, weakly or by `*`, stops a change: 412 (RFC 9110, 13.1.2)."""
    before = client.get(location)

    response = change(client, location, {"If-None-Match": value.format(tag=tag)})

    assert (412, {"error": UNCHANGED}) == (response.status_code, response.json())
    assert before.content == client.get(location).content
    assert change(client, location, {"If-None-Match": '"other"'}).is_success


@changes
def test_the_order_of_conditions(client: httpx.Client, location: str, tag: str, change: Change) -> None:
    """If-Match is looked at before If-None-Match, by changes as by reads (RFC 9110, section 13.2.2)."""
    both = {"If-Match": '"other"', "If-None-Match": tag}
    assert {"error": STALE} == change(client, location, both).json()
    assert 412 == client.get(location, headers=both).status_code
    held = {"If-Match": tag, "If-None-Match": tag}
    assert 412 == change(client, location, held).status_code
    assert 304 == client.get(location, headers=held).status_code


def test_conditions_of_time_mean_nothing(client: httpx.Client, location: str) -> None:
    """Without a Last-Modified they are ignored (RFC 9110, sections 13.1.3 and 13.1.4)."""
    long_ago = {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}
    assert 200 == client.put(location, json={"title": "New"}, headers=long_ago).status_code
    later = {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    assert 200 == client.get(location, headers=later).status_code


def test_the_undoing_of_a_deletion_has_conditions_too(client: httpx.Client, location: str, tag: str) -> None:
    """A deletion leaves the version that the client holds, so that alone is brought back."""
    client.delete(location)
    assert 412 == client.post(f"{location}/restore", headers={"If-Match": '"other"'}).status_code
    assert 200 == client.post(f"{location}/restore", headers={"If-Match": tag}).status_code


@changes
def test_a_stale_condition(client: httpx.Client, location: str, tag: str, change: Change) -> None:
    """The tag of an older state stops the change, the tag of the present one lets it happen."""
    present = client.put(location, json={"description": "Two litres"}).headers["ETag"]

    assert 412 == change(client, location, {"If-Match": tag}).status_code
    assert change(client, location, {"If-Match": f"{tag}, {present}"}).is_success


@changes
@pytest.mark.parametrize("value", ["*", '"other"', "{tag}"])
def test_no_such_task(client: httpx.Client, tasks: str, tag: str, change: Change, value: str) -> None:
    """Where there is no task, there is none to compare: 404, whatever the condition."""
    location = f"{tasks}/{2**62}"

    response = change(client, location, {"If-Match": value.format(tag=tag)})

    assert 404 == response.status_code
    assert {"error": "Task not found"} == response.json()
    assert 404 == client.get(location, headers={"If-None-Match": value.format(tag=tag)}).status_code


def test_a_completion_that_changes_nothing(client: httpx.Client, location: str) -> None:
    """The condition holds for a task that is complete already, too, and its tag stays."""
    complete = CHANGES["PATCH"](client, location, {}).headers["ETag"]

    assert complete == CHANGES["PATCH"](client, location, {"If-Match": complete}).headers["ETag"]
    assert 412 == CHANGES["PATCH"](client, location, {"If-Match": '"other"'}).status_code


def test_changes_at_once_with_the_same_tag(client: httpx.Client, location: str, tag: str) -> None:
    """Of changes that are made at once from the same state, one happens and the others learn of it."""
    answers = together(
        8, lambda index: client.put(location, json={"title": f"Task {index}"}, headers={"If-Match": tag})
    )

    (winner,) = [answer for answer in answers if answer.status_code == 200]
    assert [412] * 7 == [answer.status_code for answer in answers if answer is not winner]
    assert winner.json() == client.get(location).json()


@changes
def test_without_a_condition_the_last_write_wins(client: httpx.Client, location: str, change: Change) -> None:
    """Without If-Match a change happens whatever state the task is in."""
    client.put(location, json={"title": "Somebody else's"})

    assert change(client, location, {}).is_success
