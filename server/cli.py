"""The command `todo-api`: every failure is one line without a traceback, and a status that is not zero."""

import os
import sys
import warnings
from pathlib import Path
from typing import NoReturn

import click

# What a command needs is imported when it runs, so that `todo-api --help` answers at once.


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from openapi.contract import contract

        click.echo(f"todo-api {contract().document['info']['version']}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """A multi-user todo REST API that does what its OpenAPI contract says.

    Settings come from the environment or a .env file; see the README.
    """


@cli.command()
def serve() -> None:
    """Serve the API; without DATABASE_URL on its own PostgreSQL."""
    from server.process.serve import run_server
    from server.settings import Settings

    run_server(Settings.load())


@cli.command()
def migrate() -> None:
    """Bring the database to the schema of this version."""
    from db.admin.migrate import upgrade
    from server.process.serve import database
    from server.settings import Settings

    with database(Settings.load()) as url:
        upgrade(url)
    click.echo("The database has the schema of this version.")


@cli.command()
def purge() -> None:
    """Drop expired Idempotency-Keys; to be run once a day."""
    from db.admin.purge import purge as drop_expired_keys
    from openapi.bridge.failures import Failure
    from server.process.serve import ready_database
    from server.settings import Settings

    with ready_database(Settings.load()) as url:
        try:
            dropped = drop_expired_keys(url)
        except Failure as failure:
            raise click.ClickException(
                f"the keys cannot be dropped ({failure.reason}): see that the database runs, and that the login of "
                "DATABASE_URL may enter the role todo_purger (GRANT todo_purger TO the login)"
            ) from failure
    click.echo(f"Dropped {dropped} expired Idempotency-Keys.")


@cli.command()
@click.argument("user")
def token(user: str) -> None:
    """Print a token for USER that is good for one day."""
    from server.identity.verifier import mint
    from server.settings import Settings

    settings = Settings.load()
    try:
        click.echo(mint(settings, user))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="USER") from error


@cli.command()
def routes() -> None:
    """List the operations, their handlers and who may call them."""
    from openapi.contract import contract
    from server.app import find_handler

    rows = []
    for operation in contract().operations.values():
        handler = find_handler(operation.id)
        name = f"{handler.__module__}.{handler.__name__}" if handler else "(no handler)"
        token = f"token of {{{operation.owner}}}" if operation.owner else "any token"
        rows.append((operation.method, operation.path, name, token if operation.secured else "public"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())


@cli.command()
def doctor() -> None:
    """Tell what is wrong with the set-up and what to do."""
    from server.doctor import examine

    healthy = True
    for finding in examine():
        mark = click.style("ok  ", fg="green") if finding.healthy else click.style("FAIL", fg="red")
        click.echo(f"{mark} {finding.subject}: {finding.sentence}")
        healthy = healthy and finding.healthy
    if not healthy:
        sys.exit(1)


@cli.command()
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes this command in SHELL.

    \b
    bash: echo 'eval "$(todo-api completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(todo-api completion zsh)"' >> ~/.zshrc
    fish: todo-api completion fish > ~/.config/fish/completions/todo-api.fish
    """
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(cli, {}, "todo-api", "_TODO_API_COMPLETE").source())


@cli.group("contract", no_args_is_help=False)
def contract_group() -> None:
    """Compare versions of the contract."""


class _UnreadableContract(click.ClickException):
    exit_code = 2


_CONTRACT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@contract_group.command()
@click.argument("old", type=_CONTRACT_FILE)
@click.argument("new", type=_CONTRACT_FILE)
def diff(old: Path, new: Path) -> None:
    """Tell how the contract NEW differs from OLD.

    The status is 0 where every client of OLD can go on with NEW, 1 where one may break, and 2 where a file is no
    contract.
    """
    from openapi.bridge.diff.compatibility import differences
    from openapi.bridge.document.places import ContractError
    from openapi.bridge.contract import Contract

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


def main() -> None:
    """The entry point of the command."""
    if not sys.warnoptions:
        # What libraries have to say to programmers is not for those who run the service; `python -W` shows it.
        warnings.simplefilter("ignore")
        os.environ["PYTHONWARNINGS"] = "ignore"  # Also in the workers.
    try:
        sys.exit(cli.main(prog_name="todo-api", standalone_mode=False, color=_color()))
    except click.Abort:
        sys.exit(130)  # As a shell reports Ctrl-C.
    except click.UsageError as error:
        sentence = " ".join(error.format_message().split())  # The choices would stand on a line each.
        _fail(f"{sentence.rstrip('.')} (see todo-api --help)", error.exit_code)
    except Exception as error:
        if (lines := _advice(error)) is None:
            raise
        _fail(lines, getattr(error, "exit_code", 1))


def _advice(error: Exception) -> str | None:
    """What the person who runs the command can do about `error`; None for a fault of ours."""
    from db.admin.migrate import MigrationError
    from db.embedded.cluster import EmbeddedPostgresError
    from openapi.bridge.document.places import ContractError
    from server.settings import SettingsError

    if isinstance(error, ContractError):
        return f"openapi.yaml: {error}"
    known = (click.ClickException, EmbeddedPostgresError, MigrationError, SettingsError)
    return str(error) if isinstance(error, known) else None


def _fail(lines: str, status: int = 1) -> NoReturn:
    for line in lines.splitlines():
        click.echo(f"{click.style('error:', fg='red')} {line}", err=True, color=_color())
    sys.exit(status)


def _color() -> bool | None:
    # See no-color.org; None leaves it to click, which colours only on a terminal.
    return False if os.environ.get("NO_COLOR") else None
