"""What is done to the database from outside of a request: `migrate`, `purge`."""

import click


@click.command()
def migrate() -> None:
    """Bring the database to the schema of this version."""
    from db.admin.migrate import upgrade
    from server.process.serve import database
    from server.settings import Settings

    with database(Settings.load()) as url:
        upgrade(url)
    click.echo("The database has the schema of this version.")


@click.command()
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
