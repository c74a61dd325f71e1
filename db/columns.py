"""What the statements have in common: whose rows they are about, which of them are there, and what is answered of one.

Times are answered without a zone, in UTC, whatever zone the session has.
"""

from typing import Any

from sqlalchemy import ColumnElement, DateTime, Text, and_, bindparam, cast, func, text
from sqlalchemy.sql.elements import quoted_name

from db.models import idempotency_keys, tasks
from openapi.contract import contract

# What one user may keep, and for how long.
QUOTAS = contract().document["components"]["responses"]["QuotaReached"]
# For so long a repeat under an Idempotency-Key answers the first result, and a deleted task can be brought back.
_REPEATABLE_HOURS: int = QUOTAS["x-repeatable-hours"]
RESTORABLE_DAYS: int = QUOTAS["x-restorable-days"]
REPEATABLE = text(f"interval '{_REPEATABLE_HOURS} hours'")
RESTORABLE = text(f"interval '{RESTORABLE_DAYS} days'")
EXPIRED_KEY = idempotency_keys.c.created_at <= func.now() - REPEATABLE
EXPIRED_TASK = tasks.c.deleted_at <= func.now() - RESTORABLE
TENANT = bindparam("tenant", type_=Text)
NOT_AFTER = cast(bindparam("not_after"), DateTime(timezone=True))
OWN = tasks.c.user_id == TENANT
LIVE = and_(OWN, tasks.c.deleted_at.is_(None))
THIS = tasks.c.id == bindparam("id")


def own_function(name: str) -> Any:
    """What calls a function that our migrations make; its arguments have to have their types, without which PostgreSQL
    could take another function of the same name."""
    # The quotes keep it from being taken for one of PostgreSQL's own.
    return getattr(func, quoted_name(name, quote=True))


def utc(time: ColumnElement[Any]) -> ColumnElement[Any]:
    """A time in UTC, without its zone; or the other way round."""
    # An offset takes PostgreSQL half the time of a name.
    return func.timezone(text("interval '0'"), time)


def answered(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column as it is answered."""
    return utc(column) if isinstance(column.type, DateTime) else column


# The members of a task that are columns: all but the tag, which is made of the others.
MEMBERS = [tasks.c[name] for name in contract().schema("Task")["properties"] if name in tasks.c]
COLUMNS = [answered(column).label(column.name) for column in MEMBERS]
