"""One request is one message to PostgreSQL, and one that is refused before the database is none.

PostgreSQL itself is the witness: it logs each message of the simple protocol once, however many statements it holds."""

import json
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import psycopg2
import pytest

from db import statements
from db.driver.messages import as_tenant
from db.embedded.cluster import embedded_postgres
from db.migrations import migrations
from db.models import NAMES
from openapi.contract import contract
from server.app import CONNECTIONS
from tests.support.clusters import run
from tests.support.operations import CASES, Case, ask, name
from tests.support.running import Service, service_in_thread, wait_until
from tests.support.together import together

ENTER = next(iter(as_tenant(statements.get_task(), NAMES).prepared))
ENTRANCES = (
    rf"EXECUTE {ENTER}_[0-9]+\('{{user}}', '",
    "SET LOCAL app.user_id TO '{user}'; EXECUTE ",
)


class StatementLog:
    """The messages that the service has sent to PostgreSQL; use it as a context."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder

    def __enter__(self) -> "StatementLog":
        # For the database, since the embedded PostgreSQL is started with options that stand above ALTER SYSTEM.
        run(self.url, "ALTER DATABASE todo SET log_statement = 'all'")
        self._connection = psycopg2.connect(self.url)
        self._connection.autocommit = True
        # One line of JSON for one message, whatever line breaks it holds.
        self._run("ALTER SYSTEM SET log_destination = 'jsonlog'")
        self._run("SELECT pg_reload_conf()")
        wait_until(lambda: self._mark() in self._text())
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def begin(self) -> None:
        """Forgets what has been sent so far."""
        self._since = self._mark()

    def messages(self) -> list[str]:
        """What the service has sent since `begin`; it is complete, since a later mark is in the log already."""
        until = self._mark()
        wait_until(lambda: until in self._text())
        lines = [json.loads(line) for line in self._text().split(self._since)[1].split("\n")[1:-1]]
        return [
            line["message"].removeprefix("statement: ")
            for line in lines
            if line.get("application_name") == "todo-api" and line["message"].startswith("statement: ")
        ]

    def _mark(self) -> str:
        mark = str(uuid4())
        self._run(f"SELECT '{mark}'")
        return mark

    def _run(self, statement: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    def _text(self) -> str:
        files = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        return "".join(path.read_text(encoding="utf-8") for path in files).rpartition("\n")[0] + "\n"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StatementLog]:
    """The log of a PostgreSQL that nobody else uses."""
    folder = tmp_path_factory.mktemp("logged")
    with embedded_postgres(folder) as url:
        migrations.upgrade(url)
        with StatementLog(url, folder / "postgres" / "log") as log:
            yield log


@pytest.fixture(scope="module")
def service(log: StatementLog) -> Iterator[Service]:
    """A service on that PostgreSQL which has opened its first connection."""
    with service_in_thread(log.url) as running, running.client("warm") as client:
        assert 200 == client.get("/api/warm/tasks").status_code
        yield running


class Person:
    """A user who is signed in, has a task, and knows where it is and what its entity tag was and is."""

    def __init__(self, http: httpx.Client, service: Service, user: str) -> None:
        self.user = user
        self._http = http
        self._token = service.token(user, email=f"{user}@example.com")
        self.tasks = f"/api/{user}/tasks"
        created = self.send("POST", self.tasks, {"Idempotency-Key": "used"}, json={"title": "First"})
        self.id = created.json()["id"]
        self.task = f"{self.tasks}/{self.id}"
        self.stale = created.headers["etag"]
        self.current = self.send("PUT", self.task, json={"title": "Second"}).headers["etag"]

    def send(self, method: str, path: str, headers: Any = None, **options: Any) -> httpx.Response:
        """Sends a request with the user's token, unless the headers hold another."""
        headers = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        return self._http.request(method, path, headers=headers, **options)


@pytest.fixture
def person(http: httpx.Client, service: Service, user: str) -> Person:
    """A user whom no other test knows."""
    return Person(http, service, user)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_every_operation_is_one_message(log: StatementLog, person: Person, case: Case) -> None:
    """Each operation of the contract is one message in the tenant's role; the health checks are about no tenant."""
    log.begin()
    response = ask(person.send, case, person.user, person.id)
    messages = log.messages()
    assert case.operation.success == response.status_code
    if case.operation.owner is None:
        assert not any(person.user in message for message in messages)
    else:
        assert 1 == len(messages)
    if case.operation.owner is not None:
        assert any(re.search(entrance.format(user=person.user), messages[0]) for entrance in ENTRANCES)


TITLE = {"title": "Third"}
OTHER = "{tasks}/9223372036854775807"

ONE_MESSAGE = {
    "create without a key": (201, "POST", "{tasks}", {}, TITLE),
    "create under a new key": (201, "POST", "{tasks}", {"Idempotency-Key": "new"}, TITLE),
    "repeat of a creation": (201, "POST", "{tasks}", {"Idempotency-Key": "used"}, {"title": "First"}),
    "key with another body": (422, "POST", "{tasks}", {"Idempotency-Key": "used"}, TITLE),
    "filtered list": (200, "GET", "{tasks}?status=complete", {}, None),
    "searched list": (200, "GET", "{tasks}?q=first", {}, None),
    "sorted list": (200, "GET", "{tasks}?sort=due_date", {}, None),
    "limited list": (200, "GET", "{tasks}?limit=1", {}, None),
    "get what is not there": (404, "GET", OTHER, {}, None),
    "put what is not there": (404, "PUT", OTHER, {}, TITLE),
    "complete what is not there": (404, "PATCH", f"{OTHER}/complete", {}, None),
    "delete what is not there": (404, "DELETE", OTHER, {}, None),
    "get what the client holds": (304, "GET", "{task}", {"If-None-Match": "{current}"}, None),
    "get what the client held": (200, "GET", "{task}", {"If-None-Match": "{stale}"}, None),
    "put what has changed": (412, "PUT", "{task}", {"If-Match": "{stale}"}, TITLE),
    "complete what has changed": (412, "PATCH", "{task}/complete", {"If-Match": "{stale}"}, None),
    "delete what has changed": (412, "DELETE", "{task}", {"If-Match": "{stale}"}, None),
    "put what has not": (200, "PUT", "{task}", {"If-Match": "{current}"}, TITLE),
    "complete what has not": (200, "PATCH", "{task}/complete", {"If-Match": "{current}"}, None),
    "delete what has not": (204, "DELETE", "{task}", {"If-Match": "{current}"}, None),
    "put with a foreign tag": (412, "PUT", "{task}", {"If-Match": '"foreign"'}, TITLE),
    "reopen what is open": (200, "PATCH", "{task}/complete", {}, {"status": "incomplete"}),
}

NO_MESSAGE = {
    "live": (200, "GET", "/health/live", {}, None),
    "pages": (200, "GET", "/docs/", {}, None),
    "contract": (200, "GET", "/openapi.yaml", {}, None),
    "unknown path": (404, "GET", "/nothing", {}, None),
    "slash too many": (404, "GET", "{tasks}/", {}, None),
    "unknown method": (405, "PATCH", "{tasks}", {}, TITLE),
    "another's path": (403, "GET", "/api/another/tasks", {}, None),
    "another's path, create": (403, "POST", "/api/another/tasks", {}, TITLE),
    "another's path, get": (403, "GET", "/api/another/tasks/1", {}, None),
    "another's path, put": (403, "PUT", "/api/another/tasks/1", {}, TITLE),
    "another's path, complete": (403, "PATCH", "/api/another/tasks/1/complete", {}, None),
    "another's path, delete": (403, "DELETE", "/api/another/tasks/1", {}, None),
    "no body": (400, "POST", "{tasks}", {"Content-Type": "application/json"}, None),
    "blank title": (400, "POST", "{tasks}", {}, {"title": " "}),
    "unknown member": (400, "PUT", "{task}", {}, {"id": 1}),
    "nothing to change": (400, "PUT", "{task}", {}, {}),
    "wrong status": (400, "PATCH", "{task}/complete", {}, {"status": "done"}),
    "wrong id": (400, "GET", "{tasks}/abc", {}, None),
    "id beyond int64": (400, "GET", "{tasks}/9223372036854775808", {}, None),
    "wrong limit": (400, "GET", "{tasks}?limit=0", {}, None),
    "wrong sort": (400, "GET", "{tasks}?sort=-title", {}, None),
    "wrong due date": (400, "PUT", "{task}", {}, {"due_date": "2026-02-29"}),
    "made-up cursor": (400, "GET", "{tasks}?cursor=abc", {}, None),
    "unknown query": (400, "GET", "{tasks}?page=2", {}, None),
    "malformed If-Match": (400, "DELETE", "{task}", {"If-Match": "bare"}, None),
    "malformed If-None-Match": (400, "GET", "{task}", {"If-None-Match": "bare"}, None),
    "empty key": (400, "POST", "{tasks}", {"Idempotency-Key": ""}, TITLE),
    "too large": (413, "POST", "{tasks}", {}, {"title": 131_072 * "a"}),
    "media type": (415, "POST", "{tasks}", {"Content-Type": "text/plain"}, TITLE),
    "compressed": (415, "PUT", "{task}", {"Content-Encoding": "gzip"}, TITLE),
    "no scheme": (401, "GET", "{tasks}", {"Authorization": ""}, None),
    "another scheme": (401, "GET", "{tasks}", {"Authorization": "Basic YTpi"}, None),
    "no token": (401, "POST", "{tasks}", {"Authorization": "Bearer x"}, TITLE),
    "foreign token": (401, "GET", "{tasks}", {"Authorization": "Bearer {foreign}"}, None),
    "expired token": (401, "DELETE", "{task}", {"Authorization": "Bearer {expired}"}, None),
    "unsigned token": (401, "PUT", "{task}", {"Authorization": "Bearer {unsigned}"}, TITLE),
    "cut token": (401, "GET", "{tasks}", {"Authorization": "Bearer {cut}"}, None),
}
TABLE = [
    pytest.param(count, *row, id=name)
    for count, rows in ((1, ONE_MESSAGE), (0, NO_MESSAGE))
    for name, row in rows.items()
]


@pytest.mark.parametrize(("count", "status", "method", "path", "headers", "body"), TABLE)
def test_every_outcome_has_its_number_of_messages(
    log: StatementLog,
    service: Service,
    person: Person,
    count: int,
    status: int,
    method: str,
    path: str,
    headers: dict[str, str],
    body: Any,
) -> None:
    """What the database decides costs one message, and what is refused before costs none."""
    known = {
        **vars(person),
        "foreign": Service(service.url, b"another secret, also of 32 bytes!").token(person.user),
        "expired": service.token(person.user, lifetime=timedelta(hours=-1)),
        "unsigned": jwt.encode({"sub": person.user, "exp": 2**32}, None, algorithm="none"),
        "cut": service.token(person.user)[:-1],
    }
    log.begin()
    sent = {name: value.format_map(known) for name, value in headers.items()}
    response = person.send(method, path.format_map(known), sent, json=body)
    assert (status, count) == (response.status_code, len(log.messages()))


def test_the_first_use_is_one_message_too(
    log: StatementLog, http: httpx.Client, service: Service, user: str
) -> None:
    """The request that makes a user's row, the first creation, costs no more than any other."""
    headers = {"Authorization": f"Bearer {service.token(user, email=f'{user}@example.com')}"}
    log.begin()
    response = http.post(f"/api/{user}/tasks", headers=headers, json=TITLE)
    assert (201, 1) == (response.status_code, len(log.messages()))


@pytest.mark.parametrize("sort", contract().schema("Sort")["enum"])
def test_a_page_is_one_message(log: StatementLog, person: Person, sort: str) -> None:
    """A page that goes on from a cursor costs one message, and whether there is a next one costs none."""
    person.send("POST", person.tasks, json=TITLE)
    link = person.send("GET", f"{person.tasks}?limit=1&sort={sort}").links["next"]["url"]
    log.begin()
    response = person.send("GET", link)
    assert (200, 1) == (response.status_code, len(log.messages()))


def test_a_further_connection_costs_one_message(log: StatementLog) -> None:
    """Requests at the same instant, which open connections, are one message each beside one for each connection."""
    with service_in_thread(log.url) as fresh, fresh.client("warm") as client:
        assert 200 == client.get("/api/warm/tasks").status_code
        log.begin()
        statuses = together(24, lambda _: client.get("/api/warm/tasks").status_code)
        messages = log.messages()
    assert 24 * [200] == statuses
    opening = [message for message in messages if "pg_backend_pid" in message]
    assert (24, True) == (len(messages) - len(opening), len(opening) <= CONNECTIONS)


def test_readiness_costs_one_message_a_second(log: StatementLog, http: httpx.Client) -> None:
    """However often it is asked for, by several at once too, the database is asked once a second at most."""
    assert 200 == http.get("/health/ready").status_code
    log.begin()
    begun = time.monotonic()
    for _ in range(10):
        assert 8 * [200] == together(8, lambda _: http.get("/health/ready").status_code)
    seconds = time.monotonic() - begun
    assert len(log.messages()) <= seconds + 1


def test_two_messages_would_be_seen(log: StatementLog) -> None:
    """The control: the log tells two messages of two statements apart from one message of two statements."""
    with_name = f"{log.url}&application_name=todo-api"
    connection = psycopg2.connect(with_name)
    connection.autocommit = True
    log.begin()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1; SELECT 2")
        cursor.execute("SELECT 3")
        cursor.execute("SELECT 4")
    connection.close()
    assert ["SELECT 1; SELECT 2", "SELECT 3", "SELECT 4"] == log.messages()
