"""Every query that answers many rows; as in `db.statements` each is bound to its owner by the parameter `tenant`."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.types import UserDefinedType

from db.columns import COLUMNS, LIVE, OWN, TENANT, utc
from db.models import tasks, users
from db.orders import ORDERS
from openapi.types import Sort


@cache
def list_tasks(
    sort: Sort, filtered: bool, searched: bool, continued: bool, counted: bool, weighed: bool
) -> Select[Any]:
    """The user's tasks in an order of `db.orders`, at most `limit` of them.

    Args:
        filtered: only those that `status`, `priority`, `tag`, `due_from` and `due_to` let through, each of them unless
            it is NULL. They are one choice, not one for each, so that PostgreSQL has few statements to prepare.
        searched: only those whose title or description has the regular expression `pattern`.
        continued: only those after the place of the key `key` and the number `id`.
        counted: with the column `total`, how many all pages hold; if this one holds none, the other columns are NULL.
        weighed: only those before which the page holds less than `most_bytes` of text; always so if `counted`.
    """
    key, falls = ORDERS[sort].column, not ORDERS[sort].rises
    conditions = [LIVE, *(_FILTERS if filtered else ()), *(_SEARCH if searched else ())]
    order = [key.desc() if falls else key.asc(), tasks.c.id.desc()]
    page = select(*COLUMNS).where(*conditions).order_by(*order).limit(bindparam("limit"))
    if continued:
        page = page.where(_after(key, falls))
    if weighed or counted:
        page = _weighed(page, order, conditions if counted else None)
    return page.execution_options(slow=True) if searched else page


def _weighed(
    page: Select[Any],
    order: Sequence[ColumnElement[Any]],
    counted: Sequence[ColumnElement[bool]] | None,
) -> Select[Any]:
    """What of a page fits into one answer, and beside it the number of the tasks that `counted` is true of."""
    place = func.row_number().over(order_by=order).label("place")
    listed = page.add_columns(place, _before(order)).subquery("listed")
    fits = _fits(listed)
    columns = [listed.c[column.name] for column in COLUMNS]
    if counted is None:
        return select(*columns).where(fits).order_by(listed.c.place)
    total = select(func.count().label("total")).select_from(tasks).where(*counted).subquery("total")
    answer = select(*columns, total.c.total).select_from(total.outerjoin(listed, fits))
    return answer.order_by(listed.c.place)


def _before(order: Sequence[ColumnElement[Any]]) -> ColumnElement[int]:
    """How many bytes the texts of the tasks before one hold; neither one is read for it, only its length."""
    size = func.octet_length(tasks.c.title) + func.coalesce(func.octet_length(tasks.c.description), text("0"))
    return (func.sum(size).over(order_by=order, rows=(None, 0)) - size).label("before")


def _fits(listed: FromClause) -> ColumnElement[bool]:
    return listed.c.before < bindparam("most_bytes", type_=BigInteger)


def _unless_null(name: str, kind: Any, condition: Callable[[ColumnElement[Any]], ColumnElement[bool]]) -> Any:
    # With its type, since a prepared statement cannot tell that of a value which is only asked to be NULL.
    value = cast(bindparam(name), kind)
    return or_(value.is_(None), condition(value))


_FILTERS = (
    _unless_null("status", ARRAY(Text), lambda value: tasks.c.status == any_(value)),
    _unless_null("priority", ARRAY(Text), lambda value: tasks.c.priority == any_(value)),
    _unless_null("tag", ARRAY(Text), tasks.c.tags.bool_op("@>")),
    _unless_null("due_from", Date, lambda value: tasks.c.due_date >= value),
    _unless_null("due_to", Date, lambda value: tasks.c.due_date <= value),
)
# An index could serve neither: under row level security only leakproof functions come before the policy.
_SEARCH = (
    or_(
        tasks.c.title.regexp_match(bindparam("pattern", type_=Text)),
        tasks.c.description.regexp_match(bindparam("pattern", type_=Text)),
    ),
)


def _after(key: ColumnElement[Any], falls: bool) -> ColumnElement[bool]:
    last = bindparam("key", type_=key.type)
    if falls:
        return tuple_(key, tasks.c.id) < tuple_(last, bindparam("id"))
    return or_(key > last, and_(key == last, tasks.c.id < bindparam("id")))


@cache
def list_changes(resumed: bool) -> Select[Any]:
    """The user's tasks in the order of their last change or deletion, after the place `at` and `id`, at most `limit`.

    Beside each stand the time `now`, the number `horizon` of the oldest transaction that may still be under way, and
    `born`, when the user's row was made; if there is no task, the other columns are NULL.

    Args:
        resumed: those that have changed or gone since `recent`, and those that were committed later than a statement
            with the horizon `xid` could see them; else those that are there.
    """
    changed_at = func.coalesce(tasks.c.deleted_at, tasks.c.updated_at)
    order: list[ColumnElement[Any]] = [changed_at, tasks.c.id]
    place = tuple_(bindparam("at", type_=DateTime(timezone=True)), bindparam("id", type_=BigInteger))
    seen_late = func.age(literal_column("tasks.xmin")) <= func.age(
        cast(cast(bindparam("xid"), Text), _TransactionId)
    )
    since = [
        changed_at >= bindparam("oldest", type_=DateTime(timezone=True)),
        or_(changed_at >= bindparam("recent", type_=DateTime(timezone=True)), seen_late),
    ]
    listed = (
        select(*COLUMNS, utc(tasks.c.deleted_at).label("deleted_at"), utc(changed_at).label("changed_at"))
        .add_columns(_before(order))
        .where(OWN, tuple_(*order) > place, *(since if resumed else [tasks.c.deleted_at.is_(None)]))
        .order_by(*order)
        .limit(bindparam("limit"))
        .subquery("listed")
    )
    oldest = cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text)
    moment = select(utc(func.now()).label("now"), oldest.label("horizon")).subquery("moment")
    return (
        select(*moment.c, utc(users.c.created_at).label("born"), *listed.c)
        .select_from(moment.outerjoin(users, users.c.id == TENANT).outerjoin(listed, _fits(listed)))
        .order_by(listed.c.changed_at, listed.c.id)
    )


class _TransactionId(UserDefinedType[int]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid"
