"""What is asked of contracts, this one or any other: `contract check`, `mock` and `diff`."""

import sys
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from openapi.bridge.contract import Contract
    from openapi.bridge.mock.service import MockService


@click.group("contract", no_args_is_help=False)
def contract_group() -> None:
    """Look at any OpenAPI 3.1 contract."""


class _UnreadableContract(click.ClickException):
    exit_code = 2


_CONTRACT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Puts the file's name before each thing that is wrong with it."""
    from openapi.bridge.document.places import ContractError

    try:
        yield
    except ContractError as error:
        raise _UnreadableContract("\n".join(f"{file}: {problem}" for problem in error.problems)) from error


def _load(file: Path) -> "Contract":
    from openapi.bridge.contract import Contract

    with _named(file):
        return Contract.load(file)


def _mock(file: Path, added: Set[str] = frozenset()) -> "MockService":
    from openapi.bridge.mock.service import MockService

    loaded = _load(file)
    for note in loaded.notes:
        click.echo(f"{file}: {note}")
    with _named(file):
        return MockService(loaded, added)


@contract_group.command()
@click.argument("file", type=_CONTRACT_FILE)
def check(file: Path) -> None:
    """Tell whether FILE, with the files to which it refers, can be served.

    There is a line for each thing that is wrong, with its place; the status is 0 where nothing is, else 2.
    """
    count = len(_mock(file).contract.operations)
    click.echo(f"{file}: sound, {count} operation{'' if count == 1 else 's'}")


def _read_host(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    from server.setting_rules import host_name
    from server.settings import HOST_RULE

    try:
        return host_name(value)
    except ValueError:
        raise click.BadParameter(HOST_RULE) from None


@contract_group.command()
@click.argument("file", type=_CONTRACT_FILE)
@click.option(
    "--host", default="127.0.0.1", callback=_read_host, show_default=True, help="The address to listen on."
)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
def mock(file: Path, host: str, port: int) -> None:
    """Serve FILE without handlers and without a database.

    Requests are held to the contract, and any well-formed credentials will do. The answers are the contract's
    examples, or else made from its schemas. `Prefer: code=404` and `Prefer: example=NAME` ask for another one.
    """
    from server.process.mock import ADDED, run_mock

    run_mock(_mock(file, ADDED), host, port)


@contract_group.command()
@click.argument("old", type=_CONTRACT_FILE)
@click.argument("new", type=_CONTRACT_FILE)
def diff(old: Path, new: Path) -> None:
    """Tell how the contract NEW differs from OLD.

    The status is 0 where every client of OLD can go on with NEW, 1 where one may break, and 2 where a file is no
    contract. Hosts, servers after the first, links, callbacks and webhooks are not compared.
    """
    from openapi.bridge.diff.compatibility import differences

    contracts = (_load(old), _load(new))
    # Many operations share a schema, so the same difference is reported once, with all the places where it shows.
    places: dict[tuple[bool, str], dict[str, list[str]]] = {}
    for breaking, sentence, part, operation in differences(*contracts):
        places.setdefault((breaking, sentence), {}).setdefault(operation, []).append(part)
    for (breaking, sentence), operations in sorted(places.items(), key=lambda item: not item[0][0]):
        mark = click.style("breaking  ", fg="red") if breaking else click.style("compatible", fg="green")
        click.echo(f"{mark}  {sentence}")
        for operation, parts in operations.items():
            click.echo(f"{'':12}{': '.join(filter(None, (operation, ', '.join(parts))))}")
    broken = sum(breaking for breaking, _ in places)
    click.echo(f"{broken} breaking, {len(places) - broken} compatible.")
    if broken:
        sys.exit(1)
