"""What is asked of contracts, this one or any other: `contract diff`."""

import sys
from pathlib import Path

import click


@click.group(no_args_is_help=False)
def contract() -> None:
    """Compare versions of the contract."""


class _UnreadableContract(click.ClickException):
    exit_code = 2


_CONTRACT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@contract.command()
@click.argument("old", type=_CONTRACT_FILE)
@click.argument("new", type=_CONTRACT_FILE)
def diff(old: Path, new: Path) -> None:
    """Tell how the contract NEW differs from OLD.

    The status is 0 where every client of OLD can go on with NEW, 1 where one may break, and 2 where a file is no
    contract.
    """
    from openapi.bridge.contract import Contract
    from openapi.bridge.diff.compatibility import differences
    from openapi.bridge.document.places import ContractError

    contracts = []
    for file in (old, new):
        try:
            contracts.append(Contract.load(file))
        except ContractError as error:
            raise _UnreadableContract(f"{file}: {error}") from error
    # Many operations share a schema, so the same difference is told once, with all the places where it shows.
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
