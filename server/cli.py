"""The command `todo-api`: every failure is one line without a traceback, and a status that is not zero."""

import errno
import os
import signal
import sys
import warnings
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, NoReturn

import click

# What a command needs is imported when it runs, so that `todo-api --help` answers at once.
from server.commands.about import completion, doctor, routes, version
from server.commands.contract import contract_group
from server.commands.database import backup, db_group, migrate, purge_command, restore_command
from server.commands.running import serve, settings, token
from server.commands.users import seed, user_group

if TYPE_CHECKING:
    from server.product import LoadProduct, Product


def load_product(name: str) -> "Product":
    """The service that the function of this name gives, such as `server.todo:todo`."""
    load: LoadProduct = resolve_name(name)
    return load()


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        context.invoke(version)
        context.exit()


def group(*further: click.Command) -> click.Group:
    """The commands that every service has, and `further` ones."""
    shown = click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="Show the version and exit.",
    )
    commands: tuple[click.Command, ...] = (
        backup,
        contract_group,
        db_group,
        doctor,
        migrate,
        restore_command,
        routes,
        serve,
        settings,
        token,
        version,
    )
    return click.Group(
        commands=[*commands, *further],
        params=[shown],
        help="A REST API that does what its OpenAPI contract says.\n\n"
        "Settings come from the environment or a .env file; `serve --help` lists them.",
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=False,
    )


# Three of its commands are about tasks, and one completes this very name.
cli = group(completion, purge_command, seed, user_group)


def main() -> None:
    """The command `todo-api`."""
    run("server.todo:todo", "todo-api", cli)


def run(product: str, name: str, commands: click.Group | None = None) -> NoReturn:
    """Runs the command of a service, and ends the process.

    Args:
        product: the function that gives the service, as `module:function`; the commands that need it import it.
        name: what the command is called.
        commands: those of every service if there are no others.
    """
    # Where one of the three standard files is closed, a connection would get its number, and uvloop aborts on that.
    while (filler := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(filler, True)
    os.close(filler)
    # Python has nothing to read from where it found the first one closed.
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - until the end
    # A command that a signal ends takes back what it has begun: half a file, and the programs that it has started.
    for number in {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    if not sys.warnoptions:
        # What libraries have to say to programmers is not for those who run the service; `python -W` shows it.
        warnings.simplefilter("ignore")
        os.environ["PYTHONWARNINGS"] = "ignore"  # Also in the workers.
    try:
        chosen = commands or group()
        # Worker processes are given it by its name, which they could not find in `__main__`.
        load = partial(load_product, product)
        sys.exit(chosen.main(prog_name=name, obj=load, standalone_mode=False, color=_color()))
    except click.Abort:
        sys.exit(130)  # As a shell reports Ctrl-C.
    except click.UsageError as error:
        sentence = " ".join(error.format_message().split())  # The choices would stand on a line each.
        _fail(f"{sentence.rstrip('.')} (see {name} --help)", error.exit_code)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        # Python would try once more to print what is left, and fail in words of its own.
        sys.stdout = None
        _fail(f"what it writes finds no room ({error.strerror})")
    except Exception as error:
        if (lines := _advice(error)) is None:
            raise
        _fail(lines, getattr(error, "exit_code", 1))


def _advice(error: Exception) -> str | None:
    """What the person who runs the command can do about `error`; None for a fault of ours."""
    from db.admin.backup import BackupError
    from db.admin.isolation import IsolationError
    from db.admin.migrate import MigrationError
    from db.embedded.programs import EmbeddedPostgresError
    from openapi.bridge.document.places import ContractError
    from server.settings import SettingsError

    if isinstance(error, ContractError):
        return "\n".join(f"openapi.yaml: {problem}" for problem in error.problems)
    known = (BackupError, EmbeddedPostgresError, IsolationError, MigrationError, SettingsError)
    return str(error) if isinstance(error, (click.ClickException, *known)) else None


def _fail(lines: str, status: int = 1) -> NoReturn:
    for line in lines.splitlines():
        click.echo(f"{click.style('error:', fg='red')} {line}", err=True, color=_color())
    sys.exit(status)


def _color() -> bool | None:
    # See no-color.org; None leaves it to click, which colours only on a terminal.
    return False if os.environ.get("NO_COLOR") else None
