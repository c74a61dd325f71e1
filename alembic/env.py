"""Where Alembic begins: with the product's tables and, when the command `alembic` is run, the service's settings."""

from alembic import context

from db.admin.environment import run_migrations
from db.models import metadata

if "url" in context.config.attributes or context.is_offline_mode():
    run_migrations(metadata)
else:
    from server.process.serve import database
    from server.settings import Settings

    with database(Settings.load()) as url:
        context.config.attributes["url"] = url
        run_migrations(metadata)
