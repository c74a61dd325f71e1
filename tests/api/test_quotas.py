"""What one user may keep: so many tasks and so many live Idempotency-Keys, and no more."""

import httpx
import pytest

from openapi.contract import contract
from tests.support import conforming
from tests.support.clusters import run
from tests.support.together import together

service = conforming.service

QUOTAS = contract().document["components"]["responses"]["QuotaReached"]
MOST_TASKS, MOST_KEYS = QUOTAS["x-max-tasks"], QUOTAS["x-max-idempotency-keys"]
TOO_MANY_TASKS = (
    f"At most {MOST_TASKS} tasks are kept, and as many deleted ones for 30 days. "
    "Delete some, or wait for those to go"
)
TOO_MANY_KEYS = (
    f"At most {MOST_KEYS} Idempotency-Keys are kept for 24 hours. Wait, or create the task without one"
)
FILL = {
    "tasks": "INSERT INTO tasks (user_id, title) SELECT %s, 'Task ' || n FROM generate_series(1, %s) AS n",
    "deleted": "INSERT INTO tasks (user_id, title, deleted_at) "
    "SELECT %s, 'Task ' || n, now() FROM generate_series(1, %s) AS n",
    "keys": "INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id) "
    "SELECT %s, 'key ' || n, '', 1 FROM generate_series(1, %s) AS n",
}


def fill(database_url: str, user: str, kind: str, count: int) -> None:
    """Makes rows of the user."""
    run(database_url, FILL[kind], user, count)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "new"}])
@pytest.mark.parametrize("kind", ["tasks", "deleted"])
def test_too_many_tasks(
    client: httpx.Client, tasks: str, user: str, database_url: str, kind: str, headers: dict[str, str]
) -> None:
    """Whoever keeps the most tasks, or the most deleted ones, gets 409 for one more; with one less there is room."""
    first = client.post(tasks, json={"title": "First"}, headers={"Idempotency-Key": "first"})
    fill(database_url, user, kind, MOST_TASKS - (kind == "tasks"))

    response = client.post(tasks, json={"title": "Further"}, headers=headers)

    assert (409, {"error": TOO_MANY_TASKS}) == (response.status_code, response.json())
    repeat = client.post(tasks, json={"title": "First"}, headers={"Idempotency-Key": "first"})
    assert (201, first.json()) == (repeat.status_code, repeat.json())
    if kind == "tasks":
        client.delete(first.headers["Location"])
        assert 201 == client.post(tasks, json={"title": "Further"}, headers=headers).status_code


def test_too_many_keys(client: httpx.Client, tasks: str, user: str, database_url: str) -> None:
    """Whoever has the most live keys gets 409 for a new one, but a repeat and a creation without a key are served."""
    key = {"Idempotency-Key": "first"}
    first = client.post(tasks, json={"title": "First"}, headers=key)
    fill(database_url, user, "keys", MOST_KEYS - 1)

    response = client.post(tasks, json={"title": "Further"}, headers={"Idempotency-Key": "new"})

    assert (409, {"error": TOO_MANY_KEYS}) == (response.status_code, response.json())
    assert first.json() == client.post(tasks, json={"title": "First"}, headers=key).json()
    assert 422 == client.post(tasks, json={"title": "Other"}, headers=key).status_code
    assert 201 == client.post(tasks, json={"title": "Further"}).status_code
    run(
        database_url,
        "UPDATE idempotency_keys SET created_at = now() - interval '24 hours' WHERE user_id = %s",
        user,
    )
    again = client.post(tasks, json={"title": "First"}, headers=key)
    assert (201, True) == (again.status_code, first.json()["id"] < again.json()["id"])


def test_what_has_run_out_does_not_count(
    client: httpx.Client, tasks: str, user: str, database_url: str
) -> None:
    """Where nobody ever purges, the keys and deleted tasks that have run out lock their user out of nothing."""
    client.post(tasks, json={"title": "First"})
    fill(database_url, user, "deleted", MOST_TASKS)
    fill(database_url, user, "keys", MOST_KEYS)
    for table, column in (("tasks", "deleted_at"), ("idempotency_keys", "created_at")):
        older = f"UPDATE {table} SET {column} = {column} - interval '30 days' WHERE user_id = %s"
        run(database_url, older, user)

    for headers in ({}, {"Idempotency-Key": "new"}):
        assert 201 == client.post(tasks, json={"title": "Further"}, headers=headers).status_code


def test_creations_at_once(client: httpx.Client, tasks: str, user: str, database_url: str) -> None:
    """Of creations at the same instant those beyond the most are refused, but for a few that did not see each other."""
    client.post(tasks, json={"title": "First"})
    fill(database_url, user, "tasks", MOST_TASKS - 3)

    statuses = together(24, lambda _: client.post(tasks, json={"title": "Task"}).status_code)

    assert {201, 409} == set(statuses)
    assert 2 <= statuses.count(201) <= 2 + 8
