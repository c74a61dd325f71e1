"""GET /api/{user_id}/changes: a client that keeps a copy of the tasks misses nothing."""

import os
import random
from contextlib import closing
from threading import Event
from typing import Any

import httpx
import psycopg2
import pytest

from tests.support import conforming
from tests.support.clusters import run
from tests.support.running import Service
from tests.support.together import together

service = conforming.service
GONE = {"error": "The changes since then are not kept any more. Begin anew, without since"}


class Copy:
    """A client's copy of a user's tasks, by their numbers."""

    def __init__(self, client: httpx.Client, user: str, limit: int = 1000) -> None:
        self.tasks: dict[int, dict[str, Any]] = {}
        self.since: str | None = None
        self._client = client
        self._path = f"/api/{user}/changes"
        self._limit = limit

    def ask(self) -> httpx.Response:
        """The answer to one call."""
        since = {} if self.since is None else {"since": self.since}
        return self._client.get(self._path, params={"limit": self._limit, **since})

    def sync(self) -> int:
        """Takes everything that has changed, and returns in how many answers it came."""
        for count in range(1, 1000):
            response = self.ask()
            assert 200 == response.status_code, response.text
            answer = response.json()
            assert len(answer["tasks"]) + len(answer["deleted"]) <= self._limit
            self.tasks |= {task["id"]: task for task in answer["tasks"]}
            for gone in answer["deleted"]:
                self.tasks.pop(gone["id"], None)
            self.since = answer["next"]
            if not answer["more"]:
                return count
        raise AssertionError("it has no end")

    def equals(self, listed: list[dict[str, Any]]) -> bool:
        """Whether it is what the list says."""
        return self.tasks == {task["id"]: task for task in listed}


@pytest.fixture
def copy(client: httpx.Client, user: str) -> Copy:
    """A copy that has nothing yet."""
    return Copy(client, user)


def test_all_that_is_there(client: httpx.Client, tasks: str, copy: Copy) -> None:
    """Without `since` all tasks are listed, whole, and no deletion; of a new user nothing."""
    assert {**copy.ask().json(), "next": ""} == {"tasks": [], "deleted": [], "next": "", "more": False}
    first, gone = (client.post(tasks, json={"title": title, "tags": ["a"]}) for title in "ab")
    client.delete(gone.headers["Location"])

    answer = copy.ask().json()

    assert ([first.json()], [], False) == (answer["tasks"], answer["deleted"], answer["more"])


def test_what_has_changed_and_gone(
    client: httpx.Client, tasks: str, copy: Copy, user: str, database_url: str
) -> None:
    """With `since` what was created, changed, brought back and deleted afterwards is listed, and nothing else."""
    _, changed, gone, back = (
        client.post(tasks, json={"title": title}).headers["Location"] for title in "abcd"
    )
    client.delete(back)
    run(
        database_url,
        "UPDATE tasks SET updated_at = updated_at - interval '1 minute', "
        "deleted_at = deleted_at - interval '1 minute' WHERE user_id = %s",
        user,
    )
    copy.sync()

    client.patch(f"{changed}/complete")
    client.delete(gone)
    client.post(f"{back}/restore")
    new = client.post(tasks, json={"title": "e"}).headers["Location"]
    answer = copy.ask().json()

    assert [client.get(each).json() for each in (changed, back, new)] == answer["tasks"]
    assert [int(gone.rpartition("/")[2])] == [each["id"] for each in answer["deleted"]]
    copy.sync()
    assert copy.equals(client.get(tasks).json())


@pytest.mark.parametrize("limit", [1, 3])
def test_pages_of_changes(client: httpx.Client, tasks: str, user: str, limit: int) -> None:
    """Few changes at a time add up to the same, with `more` until the last, while others are made in between."""
    copy = Copy(client, user, limit)
    locations = [client.post(tasks, json={"title": str(n)}).headers["Location"] for n in range(7)]
    assert -(-7 // limit) == copy.sync()
    for location in locations[:4]:
        client.delete(location)
    copy.since = copy.ask().json()["next"]
    client.put(locations[5], json={"title": "changed"})
    client.post(f"{locations[0]}/restore")

    copy.since = None
    copy.tasks.clear()
    copy.sync()

    assert copy.equals(client.get(tasks).json())


def test_a_change_that_is_committed_late(
    client: httpx.Client, tasks: str, copy: Copy, user: str, database_url: str
) -> None:
    """A change that began long before a call, and is committed after it, is listed by the next one."""
    client.post(tasks, json={"title": "First"})
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO tasks (user_id, title) VALUES (%s, 'Late')", [user])
        cursor.execute(
            "UPDATE tasks SET updated_at = now() - interval '10 minutes' WHERE user_id = %s AND title = 'Late'",
            [user],
        )
        client.post(tasks, json={"title": "Second"})
        copy.sync()
        assert 2 == len(copy.tasks)
        connection.commit()

    copy.sync()

    assert copy.equals(client.get(tasks).json())
    assert 3 == len(copy.tasks)


def test_what_is_not_kept(client: httpx.Client, service: Service, tasks: str, user: str, copy: Copy) -> None:
    """A `since` of before the time that deletions are kept, or of before the user was erased, is 410."""
    client.post(tasks, json={"title": "First"})
    copy.sync()
    assert copy.since is not None
    # 2020-01-01 in microseconds: the first of the numbers.
    long_ago = "".join(f"{digit}{15 - int(digit, 16):x}" for digit in f"{1577836800000000:014x}")
    old = Copy(client, user)
    old.since = long_ago + copy.since[len(long_ago) :]
    assert (410, GONE) == (old.ask().status_code, old.ask().json())

    client.delete(f"/api/{user}")
    assert 410 == copy.ask().status_code
    client.post(tasks, json={"title": "New"})
    assert (410, GONE) == (copy.ask().status_code, copy.ask().json())


@pytest.mark.parametrize("since", ["", "abc", "0" * 176, "0f" * 87, "0f" * 72 + "87" + "0f" * 15])
def test_a_made_up_since(client: httpx.Client, user: str, since: str) -> None:
    """What no answer can have said is 400."""
    response = client.get(f"/api/{user}/changes", params={"since": since})

    assert (400, {"error": "Invalid since. Take it from the answer before"}) == (
        response.status_code,
        response.json(),
    )


SEEDS = range(int(os.environ.get("SYNC_SEEDS", "3")))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_copy_while_others_write(service: Service, user: str, seed: int) -> None:
    """While 8 writers create, change, delete, bring back and clear, a copy is kept; at last it equals the list."""
    path = f"/api/{user}/tasks"
    written = Event()

    def write(index: int) -> None:
        choices = random.Random(f"{seed}-{index}")
        with service.client(user) as client:
            own = [client.post(path, json={"title": "x"}).headers["Location"]]
            for number in range(30):
                location = choices.choice(own)
                change = choices.choice(
                    ["create", "put", "complete", "delete", "restore", "restore", "clear"]
                )
                if change == "create":
                    own.append(client.post(path, json={"title": f"{index}"}).headers["Location"])
                elif change == "put":
                    client.put(location, json={"title": f"{number}"})
                elif change == "complete":
                    client.patch(f"{location}/complete")
                elif change == "delete":
                    client.delete(location)
                elif change == "restore":
                    client.post(f"{location}/restore")
                elif number % 5 == 0:
                    client.delete(f"{path}?status=complete")

    def read(limit: int) -> None:
        with service.client(user) as client:
            copy = Copy(client, user, limit)
            while not written.is_set():
                copy.sync()
            copy.sync()
            assert copy.equals(client.get(path).json())

    def work(index: int) -> None:
        if index < 8:
            try:
                write(index)
            finally:
                done[index] = True
                if all(done):
                    written.set()
        else:
            read(1000 if index == 8 else 7)

    done = [False] * 8
    together(10, work)
