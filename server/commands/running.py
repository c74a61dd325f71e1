"""What runs the service and what one needs beside it: `serve`, `token`."""

import click


@click.command()
def serve() -> None:
    """Serve the API; without DATABASE_URL on its own PostgreSQL."""
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
