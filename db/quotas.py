"""Whether a user may keep one more, as conditions of the insertion. They lock nothing, so requests at the same instant
may go beyond by as many as they are.

To count takes longer than to insert, so each task has the number of the one before it, plus one, and only each 256th
creation counts, and all those that are near the end or follow a task whose number is not known. Deletions in between
make the number too large, never too small, and the next count puts it right.
"""

from sqlalchemy import ColumnElement, Integer, Subquery, and_, case, func, literal_column, select, text

from db.columns import EXPIRED_KEY, LIVE, OWN, TENANT
from db.models import idempotency_keys, tasks
from openapi.contract import contract

_QUOTAS = contract().document["components"]["responses"]["QuotaReached"]
_MOST_TASKS, _MOST_KEYS = _QUOTAS["x-max-tasks"], _QUOTAS["x-max-idempotency-keys"]
_EACH = 256


def tasks_before() -> Subquery:
    """The `number` of the user's tasks, or one that is a little larger, far from the quota."""
    newest = select(func.coalesce(tasks.c.ordinal, text("-1"))).where(LIVE)
    newest = newest.order_by(tasks.c.created_at.desc(), tasks.c.id.desc()).limit(_number(1))
    known = func.coalesce(newest.scalar_subquery(), text("0"))
    # OFFSET keeps PostgreSQL from working either out twice.
    last = select(known.label("number")).offset(_number(0)).subquery("last")
    is_sure = and_(
        last.c.number.between(text("0"), text(str(_MOST_TASKS - _EACH))),
        func.mod(last.c.number, text(str(_EACH))) != text("0"),
    )
    number = case((is_sure, last.c.number), else_=_count(_MOST_TASKS, LIVE))
    return select(number.label("number")).offset(_number(0)).subquery("tasks_before")


def room_for_tasks(before: Subquery | None = None) -> ColumnElement[bool]:
    """Whether the user may have one more task; as many deleted ones may be kept.

    Args:
        before: as `tasks_before` gives it; else all are counted.
    """
    number = _count(_MOST_TASKS, LIVE) if before is None else before.c.number
    deleted = _count(_MOST_TASKS, OWN, tasks.c.deleted_at.is_not(None))
    return and_(number < text(str(_MOST_TASKS)), deleted < text(str(_MOST_TASKS)))


def room_for_keys() -> ColumnElement[bool]:
    """Whether the user may have one more live Idempotency-Key."""
    own = idempotency_keys.c.user_id == TENANT
    return _count(_MOST_KEYS, own, ~EXPIRED_KEY) < text(str(_MOST_KEYS))


def _count(most: int, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
    some = select(text("1")).where(*conditions).limit(_number(most)).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), Integer)
