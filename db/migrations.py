"""The history of the product's tables: in the wheel beside them, in a checkout in the folder `alembic`."""

from pathlib import Path

from db.admin.migrate import Migrations
from db.models import NAMES

_HERE = Path(__file__).parent
migrations = Migrations(
    next(filter(Path.is_dir, (_HERE / "alembic", _HERE.parent / "alembic"))), "todo-api", NAMES
)
