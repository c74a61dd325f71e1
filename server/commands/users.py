"""What is done to one user's data from outside: `seed`, `user export`, `user erase`.

Each goes through the service's own operations, as that user's requests would, so that every rule of the contract holds.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

if TYPE_CHECKING:
    from server.product import LoadProduct

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

    async def plant(send: "Send") -> int:
        there = {task["title"] for task in await send("GET", "?limit=1000")}
        # The newest is the first of a list.
        missing = [task for task in reversed(_TASKS) if task["title"] not in there]
        for task in missing:
            fields = {name: value for name, value in task.items() if name != "status"}
            # Two who seed at once make each task once.
            created = await send("POST", "", fields, {"Idempotency-Key": f"seed: {task['title']}"})
            if "status" in task:
                await send("PATCH", f"/{created['id']}/complete", {"status": task["status"]})
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
    """Print the tasks of USER, one JSON object a line."""

    async def read(send: "Send") -> None:
        page: str | None = "?limit=1000"
        while page is not None:
            tasks, page = await send.page(page)
            for task in tasks:
                click.echo(json.dumps(task, ensure_ascii=False))

    _as_user(load, user, read)


@user_group.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def erase(load: "LoadProduct", user: str, yes: bool) -> None:
    """Erase everything that USER has stored, for ever."""
    if not yes:
        click.confirm(f"Erase everything that {user} has stored?", abort=True)
    _as_user(load, user, lambda send: send.user("DELETE"))
    click.echo(f"Nothing of {user} is left.")


class Send:
    """Sends requests of one user to the operations, in this process."""

    def __init__(self, client: Any, user: str) -> None:
        self._client = client
        self._user = f"/api/{quote(user, safe='')}"

    async def __call__(self, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
        """What is answered to a request below the user's tasks; a refusal is its sentence for a person."""
        return (await self._send(method, f"{self._user}/tasks{path}", body, headers)).json()

    async def page(self, path: str) -> tuple[list[Any], str | None]:
        """A page of the user's tasks, and the query of the next one, if there is one."""
        answer = await self._send("GET", f"{self._user}/tasks{path}")
        following = answer.links.get("next")
        return answer.json(), following and f"?{following['url'].partition('?')[2]}"

    async def user(self, method: str) -> None:
        """Has something done to the user as a whole."""
        await self._send(method, self._user)

    async def _send(self, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
        answer = await self._client.request(method, path, json=body, headers=headers)
        if answer.is_error:
            raise click.ClickException(answer.json()["error"])
        return answer


def _as_user(load: "LoadProduct", user: str, work: Callable[[Send], Awaitable[Any]]) -> Any:
    with _operations(load, user) as (app, close):
        return asyncio.run(_run(app, user, work, close))


async def _run(app: Any, user: str, work: Callable[[Send], Awaitable[Any]], close: Callable[[], None]) -> Any:
    import httpx

    transport = httpx.ASGITransport(app)
    headers = {"Authorization": "Bearer of-this-command"}
    try:
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers
        ) as client:
            return await work(Send(client, user))
    finally:
        close()


@contextmanager
def _operations(load: "LoadProduct", user: str) -> Iterator[tuple[Any, Callable[[], None]]]:
    """The service's operations for one user, whom no token has to prove."""
    from starlette.routing import Router

    from server.app import Service, serve_contract
    from server.identity.claims import subject_fault
    from server.process.serve import isolated_database
    from server.settings import Settings

    product = load()
    if fault := subject_fault(user, product.contract.owner_rules):
        raise click.BadParameter(f"the user {fault}", param_hint="USER")
    with isolated_database(product, Settings.load()) as url:
        service = Service(product, url)
        identity = {"sub": user, "email": None, "scope": ()}
        yield (
            serve_contract(product, service.caller, lambda _request, _token: identity, Router()),
            service.close,
        )
