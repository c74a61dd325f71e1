"""What is done to one user's data from outside: `seed`, `user export`, `user erase`.

What is changed is changed by the service's own operations, as that user's requests would, so that every rule of the
contract holds; what is exported is read as that user.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click
import orjson

if TYPE_CHECKING:
    from db.driver.database import Database
    from server.product import LoadProduct

# Sends a request of one user to an operation, in this process: its operationId, body, headers, query and the parameters
# of its path. It returns the answer's content; a refusal is its sentence for a person.
Send = Callable[..., Awaitable[Any]]

_TIMES_IN_UTC = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z

# Of every status and priority, so that each filter and order has something to show.
_TASKS: tuple[dict[str, Any], ...] = (
    {"title": "Buy milk", "description": "Two litres, from the corner shop"},
    {"title": "Pay the rent", "priority": "high", "due_date": "2027-01-01"},
    {"title": "Water the plants", "priority": "low"},
    {"title": "Call grandmother", "due_date": "2027-01-03"},
    {"title": "Read the contract", "description": "openapi/openapi.yaml decides", "status": "complete"},
)


@click.command()
@click.argument("user", default="demo")
@click.pass_obj
def seed(load: "LoadProduct", user: str) -> None:
    """Give USER (demo) the tasks of an example."""

    async def plant(send: Send) -> int:
        async def is_there(title: str) -> bool:
            return title in [task["title"] for task in await send("list_tasks", query={"q": title})]

        # The newest is the first of a list.
        missing = [task for task in reversed(_TASKS) if not await is_there(task["title"])]
        for task in missing:
            fields = {name: value for name, value in task.items() if name != "status"}
            # Two who seed at once make each task once.
            created = await send("create_task", fields, {"Idempotency-Key": f"seed: {task['title']}"})
            if "status" in task:
                await send("complete_task", {"status": task["status"]}, id=created["id"])
        return len(missing)

    planted = _as_user(load, user, plant)
    click.echo(
        f"{user} has {planted} new tasks." if planted else f"{user} has them all; nothing has changed."
    )


@click.group("user", no_args_is_help=False)
def user_group() -> None:
    """Export or erase what one user has stored."""


@user_group.command()
@click.argument("user")
@click.pass_obj
def export(load: "LoadProduct", user: str) -> None:
    """Print all that USER has stored, one JSON object a line."""
    from db.admin.export import stored_by
    from openapi.bridge.failures import Failure

    async def write(database: "Database", identity: dict[str, Any]) -> None:
        tenant: Any = database.caller(identity)
        try:
            async for table, values in stored_by(tenant, load().tables.metadata):
                click.echo(orjson.dumps({"table": table, **values}, str, _TIMES_IN_UTC))
        except Failure as failure:
            raise click.ClickException(f"not all could be read ({failure.reason}); run it again") from failure

    _run(load, user, write)


@user_group.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def erase(load: "LoadProduct", user: str, yes: bool) -> None:
    """Erase everything that USER has stored, for ever."""
    if not yes:
        click.confirm(f"Erase everything that {user} has stored?", abort=True)
    _as_user(load, user, lambda send: send("delete_user"))
    click.echo(f"Nothing of {user} is left.")


def _as_user(load: "LoadProduct", user: str, work: Callable[[Send], Awaitable[Any]]) -> Any:
    """What `work` gives, which sends the user's requests; no token has to prove who the user is."""

    async def run(database: "Database", identity: dict[str, Any]) -> Any:
        import httpx
        from starlette.routing import Router

        from openapi.bridge.addresses import address_of
        from server.app import serve_contract

        product = load()
        app = serve_contract(product, database.caller, lambda _request, _token: identity, Router())
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://localhost",
            headers={"Authorization": "Bearer of-this-command"},
        ) as client:

            async def send(
                name: str, body: Any = None, headers: Any = None, query: Any = None, **path: Any
            ) -> Any:
                operation = product.contract.operations[name]
                address = address_of(operation, query or {}, **{str(operation.owner): user}, **path)
                answer = await client.request(operation.method, address, json=body, headers=headers)
                if answer.is_error:
                    raise click.ClickException(answer.json()["error"])
                return answer.json() if answer.content else None

            return await work(send)

    return _run(load, user, run)


def _run(load: "LoadProduct", user: str, work: Callable[["Database", dict[str, Any]], Awaitable[Any]]) -> Any:
    """What `work` gives, with the database in use and the identity of the user."""
    from server.app import open_database
    from server.identity.claims import subject_fault
    from server.process.serve import isolated_database
    from server.settings import Settings

    async def run(url: str) -> Any:
        with closing(open_database(product, url)) as database:
            return await work(database, {"sub": user, "email": None, "scope": ()})

    product = load()
    if fault := subject_fault(user, product.contract.owner_rules):
        raise click.BadParameter(f"the user {fault}", param_hint="USER")
    with isolated_database(product, Settings.load()) as url:
        return asyncio.run(run(url))
