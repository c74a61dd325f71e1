"""Users are made on first use, from the token's `sub` and `email`, and are erased when they ask for it."""

from typing import Any

import httpx
import pytest

from tests.support import conforming
from tests.support.clusters import run
from tests.support.running import Service
from tests.support.together import together

service = conforming.service


def stored(database_url: str, user: str) -> list[tuple[Any, ...]]:
    """The user's row as id and email, in a list that is empty where there is none."""
    return run(database_url, "SELECT id, email FROM users WHERE id = %s", user)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "key"}])
@pytest.mark.parametrize("email", ["{user}@example.com", None])
def test_a_row_on_first_use(
    service: Service, tasks: str, user: str, database_url: str, email: str | None, headers: dict[str, str]
) -> None:
    """The first task makes the user's row, with the email that the token holds, if any."""
    email = email and email.format(user=user)

    with service.client(user, email=email) as client:
        response = client.post(tasks, json={"title": "First"}, headers=headers)

    assert 201 == response.status_code
    assert [(user, email)] == stored(database_url, user)


def test_the_email_is_kept(service: Service, tasks: str, user: str, database_url: str) -> None:
    """Later tokens, with another email or none, do not change the row."""
    for email in (f"{user}@example.com", None, f"{user}@example.org"):
        with service.client(user, email=email) as client:
            assert 201 == client.post(tasks, json={"title": "Task"}).status_code

    assert [(user, f"{user}@example.com")] == stored(database_url, user)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "key"}])
def test_an_email_that_another_user_has(
    service: Service, tasks: str, user: str, database_url: str, headers: dict[str, str]
) -> None:
    """A user whose email another user has is served all the same, from the first task on, and has no email here."""
    email, other = f"{user}@example.com", f"other-{user}"
    with service.client(user, email=email) as client:
        mine = client.post(tasks, json={"title": "Mine"}, headers=headers)

    with service.client(other, email=email) as client:
        theirs = [
            client.post(f"/api/{other}/tasks", json={"title": "Theirs"}, headers=headers),
            client.post(f"/api/{other}/tasks", json={"title": "Theirs too"}),
        ]
        listed = client.get(f"/api/{other}/tasks").json()

    assert [201, 201, 201] == [response.status_code for response in (mine, *theirs)]
    assert [theirs[1].json(), theirs[0].json()] == listed
    assert [(user, email)] == stored(database_url, user)
    assert [(other, None)] == stored(database_url, other)


def test_one_email_of_many_users_at_once(service: Service, user: str, database_url: str) -> None:
    """Of new users with the same email who come at the same instant, all are served and one has the email."""
    users = [f"{user}-{number}" for number in range(6)]

    def create(index: int) -> int:
        with service.client(users[index], email=f"{user}@example.com") as client:
            return client.post(f"/api/{users[index]}/tasks", json={"title": "Task"}).status_code

    assert [201] * 6 == together(6, create)
    emails = [email for name in users for _, email in stored(database_url, name)]
    assert [*[None] * 5, f"{user}@example.com"] == sorted(emails, key=str)


def test_who_only_reads_leaves_no_row(client: httpx.Client, tasks: str, user: str, database_url: str) -> None:
    """Reading, and changing what does not exist, makes no user."""
    missing = f"{tasks}/9223372036854775807"
    statuses = [
        client.get(tasks).status_code,
        client.get(missing).status_code,
        client.put(missing, json={"title": "New"}).status_code,
        client.patch(f"{missing}/complete").status_code,
        client.delete(missing).status_code,
    ]

    assert [200, 404, 404, 404, 404] == statuses
    assert [] == stored(database_url, user)


def test_who_is_refused_leaves_no_row(
    service: Service, client: httpx.Client, tasks: str, user: str, database_url: str
) -> None:
    """A creation that is refused, for its body or its token, makes no user."""
    with service.client(f"other-{user}") as other:
        statuses = [
            client.post(tasks, json={"title": ""}).status_code,
            other.post(tasks, json={"title": "Yours"}).status_code,
        ]

    assert [400, 403] == statuses
    assert [] == stored(database_url, user) + stored(database_url, f"other-{user}")


@pytest.mark.parametrize(
    "name",
    [
        "auth0|42",
        "jo@example.com",
        "4b1d9a0e-2f7c-4f5e-8f0a-0f6f7c1f6c11",
        "Jörg Ω 😀",
        "' OR ''='",
        "%s",
        "😀" * 255,
        ".",
        "..",
    ],
)
def test_the_row_has_the_name_exactly(service: Service, database_url: str, name: str) -> None:
    """A user is stored and answered under exactly the name that the token gives."""
    path = "".join(f"%{byte:02X}" for byte in name.encode())

    with service.client(name) as client:
        created = client.post(f"/api/{path}/tasks", json={"title": "Mine"})

    assert 201 == created.status_code
    assert name == created.json()["user_id"]
    assert [(name, None)] == stored(database_url, name)


def test_nothing_of_an_erased_user_is_left(
    service: Service, client: httpx.Client, tasks: str, user: str, database_url: str
) -> None:
    """User, tasks, deleted ones and keys go at once, and again is the same; a later use begins anew."""
    with service.client(f"other-{user}") as other:
        kept = other.post(f"/api/other-{user}/tasks", json={"title": "Another's"}).headers["Location"]
        client.delete(client.post(tasks, json={"title": "Deleted"}).headers["Location"])
        key = {"Idempotency-Key": "key"}
        first = client.post(tasks, json={"title": "First"}, headers=key).json()

        assert [204, 204] == [client.delete(f"/api/{user}").status_code for _ in range(2)]

        for table in ("tasks", "idempotency_keys"):
            assert [(0,)] == run(database_url, f"SELECT count(*) FROM {table} WHERE user_id = %s", user)
        assert [] == stored(database_url, user)
        assert [] == client.get(tasks).json()
        again = client.post(tasks, json={"title": "First"}, headers=key).json()
        assert first["id"] < again["id"]
        assert [again] == client.get(tasks).json()
        assert 200 == other.get(kept).status_code


def test_a_user_whom_another_process_has_erased(
    client: httpx.Client, tasks: str, user: str, database_url: str
) -> None:
    """A user whose row is gone, whoever erased it, is made anew by the next creation."""
    client.post(tasks, json={"title": "First"})
    run(database_url, "DELETE FROM users WHERE id = %s", user)

    assert 201 == client.post(tasks, json={"title": "Second"}).status_code
    assert ["Second"] == [task["title"] for task in client.get(tasks).json()]
