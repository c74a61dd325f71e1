"""What is done to the database from outside of a request: `migrate`, `purge`, `backup`, `restore`, `db shell`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from server.product import LoadProduct

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--sql",
    "printed",
    flag_value="sql",
    help="Print what would be run, for an administrator, and run nothing.",
)
@click.option(
    "--status", "printed", flag_value="status", help="List the migrations; status 1 if one is missing."
)
@click.pass_obj
def migrate(load: "LoadProduct", printed: str | None) -> None:
    """Bring the database to the schema of this version."""
    from server.process.serve import database
    from server.settings import Settings

    migrations = load().tables.migrations
    with database(Settings.load()) as url:
        if printed == "sql":
            click.echo(written := migrations.sql(url), nl=False)
            if not written:
                click.echo("The database has the schema of this version: there is nothing to run.", err=True)
        elif printed == "status":
            steps = migrations.status(url)
            for step in steps:
                click.echo(f"{'applied' if step.applied else 'missing'}  {step.revision}  {step.sentence}")
            if not all(step.applied for step in steps):
                sys.exit(1)
        else:
            migrations.upgrade(url)
            click.echo("The database has the schema of this version.")


@click.command("purge")
@click.pass_obj
def purge_command(load: "LoadProduct") -> None:
    """Drop what has run out; to be run once a day."""
    from db.admin.purge import purge
    from openapi.bridge.failures import Failure
    from server.process.serve import ready_database
    from server.settings import Settings

    product = load()
    with ready_database(product, Settings.load()) as url:
        try:
            keys, tasks = purge(url)
        except Failure as failure:
            role = product.tables.names.purger
            raise click.ClickException(
                f"what has expired cannot be dropped ({failure.reason}): see that the database runs, and that "
                f"the login of DATABASE_URL may enter the role {role} (GRANT {role} TO the login)"
            ) from failure
    click.echo(f"Dropped {keys} expired Idempotency-Keys and {tasks} deleted tasks.")


@click.command()
@click.argument("file", type=_FILE)
def backup(file: Path) -> None:
    """Write the whole database to FILE.

    It has pg_dump's custom format, and only its owner may read it.
    """
    from db.admin.backup import back_up
    from server.process.serve import database
    from server.settings import Settings

    with database(Settings.load()) as url:
        back_up(url, file)
    click.echo(f"The database is in {file}.")


@click.command("restore")
@click.argument("file", type=_FILE)
@click.option("--force", is_flag=True, help="Drop all that is in the database's schema first.")
@click.pass_obj
def restore_command(load: "LoadProduct", file: Path, force: bool) -> None:
    """Bring an empty database to what FILE holds.

    Stop the service first. All is restored, or nothing has changed.
    """
    from db.admin.backup import restore
    from server.process.serve import database
    from server.settings import Settings

    migrations = load().tables.migrations
    with database(Settings.load()) as url:
        restore(url, file, migrations, force)
        click.echo(migrations.pending(url) or "The database holds what was in the backup.")


@click.group("db", no_args_is_help=False)
def db_group() -> None:
    """Look into the database."""


@db_group.command()
def shell() -> None:
    """Open psql on the database in use."""
    import signal
    import subprocess

    from db.admin.backup import client_command
    from server.process.serve import database
    from server.settings import Settings

    with database(Settings.load()) as url:
        command, environment = client_command("psql", url=url)
        # Ctrl-C is for psql, which ends a query by it and goes on.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(subprocess.run(command, env=environment).returncode)  # noqa: S603 - no shell
