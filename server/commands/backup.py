"""The whole database as one file: `backup`, `restore`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from server.product import LoadProduct

_FILE = click.Path(dir_okay=False, path_type=Path)


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
