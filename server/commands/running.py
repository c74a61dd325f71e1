"""What runs the service and what one needs beside it: `serve`, `token`."""

from importlib.util import find_spec

import click


@click.command()
def serve() -> None:
    """Serve the API; without DATABASE_URL on its own PostgreSQL."""
    if missing := [name for name in ("fcntl", "uvloop") if find_spec(name) is None]:
        raise click.ClickException(
            f"this system cannot serve, since it has no {' and no '.join(missing)}: serve on Linux or macOS, with what "
            "`pip install todo-api` brings there"
        )
    from server.process.serve import run_server
    from server.settings import Settings

    run_server(Settings.load())


@click.command()
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
