"""The example of a second service, examples/library: its own rules, and what it gets from the project."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg2
import pytest

from db.admin.isolation import require
from examples.library.contract import contract
from examples.library.models import NAMES
from examples.library.product import library
from tests.support.clusters import Cluster
from tests.support.running import SECRET, Service, service_in_thread, settings_for

BOOK = {"title": "The Dispossessed", "author": "Ursula K. Le Guin", "genre": "fiction"}
DUE = "2026-12-24"
OPERATIONS = contract().operations.values()


@pytest.fixture(scope="module")
def library_url(database_url: str) -> Iterator[str]:
    """A database of the cluster that the todo service has one in too."""
    with Cluster(database_url).database() as url:
        library().tables.migrations.upgrade(url)
        yield url


@pytest.fixture(scope="module")
def http(library_url: str) -> Iterator[httpx.Client]:
    """A client of the library that is not signed in."""
    with service_in_thread(library_url, settings_for(), library) as service, service.client() as client:
        yield client


def signed(reader: str, **claims: object) -> dict[str, Any]:
    """The headers of a reader."""
    token = jwt.encode({"sub": reader, "exp": int(time.time()) + 86_400, **claims}, SECRET, algorithm="HS256")
    return {"headers": {"Authorization": f"Bearer {token}"}}


LIBRARIAN = signed("librarian", scope="openid librarian")


@pytest.fixture
def book(http: httpx.Client) -> int:
    """The number of a new book."""
    return int(http.post("/books", json=BOOK, **LIBRARIAN).json()["id"])


def borrow(http: httpx.Client, reader: str, book: int) -> str:
    """The address of a new loan."""
    loan = http.post(f"/readers/{reader}/loans", json={"book_id": book, "due_date": DUE}, **signed(reader))
    return loan.headers["location"]


def test_books_are_everybody_s(http: httpx.Client, book: int) -> None:
    """Whoever is signed in reads the books; a genre and a page of them can be asked for."""
    assert {**BOOK, "id": book, "published": None} == http.get(f"/books/{book}", **signed("ada")).json()
    for _ in range(2):
        http.post("/books", json={**BOOK, "genre": "science"}, **LIBRARIAN)
    first = http.get("/books?genre=science&limit=1", **signed("ada"))
    second = http.get(first.links["next"]["url"], **signed("ada"))
    assert first.json()[0]["id"] < second.json()[0]["id"]
    assert {"science"} == {each["genre"] for each in first.json() + second.json()}


def test_only_librarians_add_books(http: httpx.Client) -> None:
    """Without the scope that the contract asks for a book is 403."""
    assert (403, {"error": "Forbidden"}) == (
        (refused := http.post("/books", json=BOOK, **signed("ada", scope="openid"))).status_code,
        refused.json(),
    )


def test_a_loan_from_begin_to_end(http: httpx.Client, book: int) -> None:
    """A book is borrowed, renewed and returned; the renewals end with the loan, and are not there as it is not."""
    loan = borrow(http, "bert", book)
    assert [] == http.get(f"{loan}/renewals", **signed("bert")).json()
    renewal = http.post(f"{loan}/renewals", json={"due_date": "2027-01-07"}, **signed("bert"))
    assert (201, "2027-01-07") == (renewal.status_code, renewal.json()["due_date"])
    assert "2027-01-07" == http.get(loan, **signed("bert")).json()["due_date"]
    assert [renewal.json()] == http.get(f"{loan}/renewals", **signed("bert")).json()
    assert [204, 404] == [http.delete(loan, **signed("bert")).status_code for _ in range(2)]
    assert 404 == http.get(f"{loan}/renewals", **signed("bert")).status_code


def test_what_is_not_there(http: httpx.Client) -> None:
    """The sentences of the contract say what was not found."""
    found = [
        http.get("/books/999999", **signed("cleo")),
        http.post("/readers/cleo/loans", json={"book_id": 999999, "due_date": DUE}, **signed("cleo")),
        http.get("/readers/cleo/loans/999999", **signed("cleo")),
        http.post("/readers/cleo/loans/999999/renewals", json={"due_date": DUE}, **signed("cleo")),
    ]
    assert [(404, {"error": f"{what} not found"}) for what in ("Book", "Book", "Loan", "Loan")] == [
        (each.status_code, each.json()) for each in found
    ]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_the_matrix(http: httpx.Client, operation: Any) -> None:
    """Every operation of the contract: 401 without a token where it asks for one, 403 on another reader's path."""
    path = operation.path.format_map({"user_id": "bob", "id": 1})
    anonymous = http.request(operation.method, path).status_code
    assert (401 == anonymous) is operation.secured
    if operation.owner is not None:
        assert 403 == http.request(operation.method, path, **signed("alice")).status_code


def test_another_reader_s_loan_is_none(http: httpx.Client, book: int) -> None:
    """A loan of another reader and one that never was are told apart by nothing."""
    number = borrow(http, "dora", book).rpartition("/")[2]
    for method, path, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/renewals", {"due_date": DUE}),
        ("GET", "/renewals", None),
    ):
        others, never = (
            http.request(method, f"/readers/eve/loans/{each}{path}", json=body, **signed("eve"))
            for each in (number, "999999")
        )
        assert (never.status_code, never.content) == (others.status_code, others.content)
    assert [] == http.get("/readers/eve/loans", **signed("eve")).json()


def test_the_database_keeps_readers_apart(http: httpx.Client, library_url: str, book: int) -> None:
    """Row level security shows a reader's loans and renewals to nobody else, whatever the statement says."""
    http.post(f"{borrow(http, 'finn', book)}/renewals", json={"due_date": DUE}, **signed("finn"))
    require(library_url, library().tables.metadata, NAMES)
    with psycopg2.connect(library_url) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {NAMES.enter}('somebody else')")
        cursor.execute("SELECT (SELECT count(*) FROM loans), (SELECT count(*) FROM renewals)")
        assert (0, 0) == cursor.fetchone()
    connection.close()


def test_two_services_share_a_server(http: httpx.Client, service: Service, user: str, book: int) -> None:
    """The todo service runs on the same PostgreSQL; roles and functions have names of their own."""
    with service.client(user) as todo:
        assert 201 == todo.post(f"/api/{user}/tasks", json={"title": "Return the book"}).status_code
    assert borrow(http, user, book)


def test_schemathesis_finds_nothing(http: httpx.Client, tmp_path: Path) -> None:
    """The stock program holds the running service to the published contract."""
    headers = signed("gina", scope="librarian")["headers"]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{http.base_url}/openapi.yaml"]
    options = ["-H", f"Authorization: {headers['Authorization']}", "--max-examples", "3", "--seed", "1"]
    ended = subprocess.run(
        [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert 0 == ended.returncode, ended.stdout[-3000:]


def test_the_commands_are_its_own(tmp_path: Path) -> None:
    """`routes` and the others speak of the library."""
    ended = subprocess.run(
        [sys.executable, "-m", "examples.library", "routes", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(OPERATIONS) == len(json.loads(ended.stdout))
