"""Where Alembic begins: with the library's tables."""

from db.admin.environment import run_migrations
from examples.library.models import metadata

run_migrations(metadata)
