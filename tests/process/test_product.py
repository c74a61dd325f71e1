"""What a service of one's own can have that the todo service has no use for: other credentials, and operations that
read for everybody."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import func, literal_column, select

from db.driver.database import Database, Tenant
from db.models import tasks
from openapi.bridge.answers import Answer
from openapi.bridge.failures import Unauthorized
from openapi.bridge.security import Claims
from server.cli import group
from server.product import Product
from server.todo import todo
from tests.support.contracts import contract_of, document, operation
from tests.support.running import Service, service_in_thread

RESPONSES = {"default": {"description": "Any", "content": {"application/json": {}}}}
PATHS = {
    "/mine": {"get": operation("read_mine", security=[{"key": []}], responses=RESPONSES)},
    "/everybodys": {"get": operation("read_everybodys", responses=RESPONSES)},
    "/nothing": {"get": operation("read_nothing", responses=RESPONSES)},
}
SCHEMES = {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}
COUNT = select(func.count().label("count"), literal_column("current_user::text").label("role")).select_from(
    tasks
)


async def read_mine(tenant: Tenant) -> Answer[Any]:
    """The tasks of whom the key stands for."""
    return Answer({"user": tenant.user_id, **await tenant.fetch_one(COUNT)})


async def read_everybodys(database: Database) -> Answer[Any]:
    """The tasks that somebody sees who is not signed in."""
    return Answer(await database.fetch_one(COUNT))


async def read_nothing(database: Database) -> Answer[Any]:
    """No row."""
    return Answer({"row": await database.fetch_one(select(tasks.c.id))})


def verify(_request: object, key: str) -> Claims:
    """Takes one key."""
    if key != "a key":
        raise Unauthorized("this key is not known")
    return {"sub": "device"}


def other_product() -> Product:
    """A service with a key instead of tokens, on the tables of tasks."""
    contract = contract_of(document(PATHS, components={"securitySchemes": SCHEMES}))
    handlers = SimpleNamespace(
        read_mine=read_mine, read_everybodys=read_everybodys, read_nothing=read_nothing
    )
    return Product(contract, [handlers], todo().tables, {"key": verify})


@pytest.fixture
def http(service: Service, client: httpx.Client, tasks: str, database_url: str) -> Iterator[httpx.Client]:
    """A client of that service, in whose database a user has a task."""
    client.post(tasks, json={"title": "A task"})
    with service_in_thread(database_url, load=other_product) as other, other.client() as made:
        yield made


def test_a_key_stands_for_a_user(http: httpx.Client) -> None:
    """A verifier of the service's own is asked for what is no bearer token, and says whose the request is."""
    assert [401, 401] == [http.get("/mine", headers=each).status_code for each in ({}, {"X-Key": "other"})]
    mine = http.get("/mine", headers={"X-Key": "a key"})
    assert {"user": "device", "count": 0, "role": "todo_tenant"} == mine.json()


def test_an_operation_without_security_reads(http: httpx.Client) -> None:
    """Who is not signed in is nobody to row level security, and sees no row that has an owner."""
    assert {"count": 0, "role": "todo_tenant"} == http.get("/everybodys").json()
    assert {"row": None} == http.get("/nothing").json()


def test_routes_say_that_a_key_is_asked_for() -> None:
    """Where no token is asked for, `routes` does not speak of one."""
    listed = CliRunner().invoke(group(), ["routes"], obj=other_product).stdout.splitlines()
    assert ["any credentials", "public", "public"] == [line.split(maxsplit=3)[3] for line in listed]


@pytest.mark.parametrize("numbered", ["read_it_2", "read-it-2"])
def test_operations_of_one_name_in_python_have_two_handlers(numbered: str) -> None:
    """Where operationIds differ in what no name of Python holds, the later operation's handler has a number that
    gives it no other's name."""
    names = ("read-it", "read_it", numbered)
    paths = {f"/{name}": {"get": operation(name, responses=RESPONSES)} for name in names}
    handlers = SimpleNamespace(read_it=read_mine, read_it_3=read_nothing, read_it_2=read_everybodys)
    product = Product(contract_of(document(paths)), [handlers], todo().tables)
    assert [read_mine, read_nothing, read_everybodys] == list(map(product.find_handler, names))
