"""What runs the service, and what one needs beside it: `serve`, `settings`, `token`."""

import re
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from server.product import LoadProduct


class _WithSettings(click.Command):
    """A command whose help ends with every setting."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the settings' own titles and defaults; they are imported for that alone."""
        from server.advice import shown_defaults

        rows = [
            (name, f"{title}{f' [{default}]' if default else ''}")
            for name, title, default in shown_defaults()
        ]
        with formatter.section("Settings, from the environment or the file; an option wins"):
            formatter.write_dl(rows)


@click.command(cls=_WithSettings)
@click.option("--host", help="The address to listen on.")
@click.option("-p", "--port", help="The port to listen on.")
@click.option("--workers", "web_concurrency", help="How many worker processes serve.")
@click.option("--reload", is_flag=True, help="Begin anew when the contract or the code changes.")
@click.option("--log-level", help="The least serious lines that are logged.")
@click.option("--data-dir", help="Where its own PostgreSQL and the development secret live.")
@click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="Where settings are read that the environment does not have.  [.env]",
)
@click.pass_obj
def serve(load: "LoadProduct", /, reload: bool, env_file: Path | None, **options: str | None) -> None:
    """Serve the API; without DATABASE_URL on its own PostgreSQL."""
    if missing := [name for name in ("fcntl", "uvloop") if find_spec(name) is None]:
        raise click.ClickException(
            f"this system cannot serve, since it has no {' and no '.join(missing)}: serve on Linux or macOS, with what "
            "`pip install todo-api` brings there"
        )
    from server.advice import warnings
    from server.process.serve import run_server
    from server.settings import ENV_FILE, Settings

    file = env_file or ENV_FILE
    settings = Settings.load({name: value for name, value in options.items() if value is not None}, file)
    for line in warnings(settings, file):
        click.echo(f"{click.style('warning:', fg='yellow')} {line}", err=True)
    run_server(load, settings, reload=reload)


@click.command()
def settings() -> None:
    """Print the settings in force, without secrets."""
    from server.advice import in_force, warnings
    from server.settings import Settings

    loaded = Settings.load()
    for name, shown in in_force(loaded):
        click.echo(f"{name}={shown}")
    for line in warnings(loaded):
        click.echo(f"{click.style('warning:', fg='yellow')} {line}", err=True)


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _read_duration(_context: click.Context, _parameter: click.Parameter, value: str) -> timedelta:
    written = re.fullmatch(r"([0-9]{1,5})([smhd])", value)
    if written is None or int(written[1]) == 0:
        raise click.BadParameter("must be a number from 1 to 99999 and s, m, h or d, such as 8h")
    return timedelta(**{_UNITS[written[2]]: int(written[1])})


@click.command()
@click.argument("user")
@click.option(
    "--ttl",
    metavar="TIME",
    default="1d",
    callback=_read_duration,
    help="How long it is good: 90s, 15m, 8h, 30d.  [1d]",
)
@click.option("--scope", help="What else the user may do: names of scopes, with spaces between.")
@click.pass_obj
def token(load: "LoadProduct", user: str, ttl: timedelta, scope: str | None) -> None:
    """Print a token for USER."""
    from server.identity.verifier import mint
    from server.settings import Settings

    settings = Settings.load()
    try:
        click.echo(mint(settings, load().contract, user, ttl, scope))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="USER") from error
