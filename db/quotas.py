"""Whether a user may keep one more, in the numbers of the contract."""

from sqlalchemy import ColumnElement, Integer, Text, and_, cast, func, literal_column, select, text
from sqlalchemy.sql.elements import TableValuedColumn
from sqlalchemy.sql.functions import Function

from db.columns import EXPIRED_KEY, EXPIRED_TASK, LIVE, NOT_AFTER, OWN, QUOTAS, TENANT, own_function
from db.models import idempotency_keys

_MOST_TASKS, _MOST_KEYS = QUOTAS["x-max-tasks"], QUOTAS["x-max-idempotency-keys"]


def next_ordinal(keyed: bool) -> TableValuedColumn[int]:
    """The number of the user's next task, or one that is a little larger, far from the quota; NULL without room for it.
    After the time `not_after` PostgreSQL refuses to say it.

    Args:
        keyed: whether there must be room for an Idempotency-Key, too.
    """
    most = [_MOST_TASKS, *([_MOST_KEYS] if keyed else ())]
    arguments = cast(TENANT, Text), NOT_AFTER, *map(_number, most)
    # The migration that makes it says how it counts.
    function: Function[int] = own_function("todo_next_ordinal")(*arguments, type_=Integer)
    return function.column_valued("ordinal")


def room_for_tasks() -> ColumnElement[bool]:
    """Whether the user may have one more task; as many deleted ones may be kept that can be brought back."""
    live, deleted = _count(_MOST_TASKS, LIVE), _count(_MOST_TASKS, OWN, ~EXPIRED_TASK)
    return and_(live < text(str(_MOST_TASKS)), deleted < text(str(_MOST_TASKS)))


def room_for_keys() -> ColumnElement[bool]:
    """Whether the user may have one more live Idempotency-Key."""
    own = idempotency_keys.c.user_id == TENANT
    return _count(_MOST_KEYS, own, ~EXPIRED_KEY) < text(str(_MOST_KEYS))


def _count(most: int, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
    some = select(text("1")).where(*conditions).limit(_number(most)).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), Integer)
