"""Every query of the service, as SQLAlchemy statements; each is bound to its owner by the parameter `tenant`.

A statement is made once for each set of columns that it touches and is then reused, since `db.driver.messages` keeps
its compiled text. Times are answered without a zone, in UTC, whatever zone the session has.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Date,
    DateTime,
    DefaultClause,
    Delete,
    Insert,
    Select,
    Text,
    Update,
    and_,
    any_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    text,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.sql.selectable import CompoundSelect

from db.models import idempotency_keys, tasks, users
from db.orders import ORDERS
from openapi.contract import contract
from openapi.types import Sort

# For so long a repeat under an Idempotency-Key answers the first result, by the contract.
expired_key = idempotency_keys.c.created_at <= func.now() - text("interval '24 hours'")
_tenant = bindparam("tenant", type_=Text)
_own = tasks.c.user_id == _tenant
_this = and_(_own, tasks.c.id == bindparam("id"))
# `now()` is the transaction's start, so two changes within one tick, or a clock set back, must still grow.
_grown = func.greatest(func.now(), tasks.c.updated_at + text("interval '1 microsecond'"))


def _answered(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.timezone(text("'UTC'"), column) if isinstance(column.type, DateTime) else column


# The members of a task that are columns: all but the tag, which is made of the others.
_members = [tasks.c[name] for name in contract().schema("Task")["properties"] if name in tasks.c]
_columns = [_answered(column).label(column.name) for column in _members]


@cache
def register() -> tuple[Insert, ...]:
    """Makes the user's row: with the email unless another user has it, and then without; nothing where it is there."""
    return (
        insert(users).values(id=_tenant, email=bindparam("email")).on_conflict_do_nothing(),
        insert(users).values(id=_tenant).on_conflict_do_nothing(),
    )


@cache
def list_tasks(
    sort: Sort, filtered: bool, searched: bool, continued: bool, counted: bool, weighed: bool
) -> Select[Any]:
    """The user's tasks in an order of `db.orders`, at most `limit` of them.

    Args:
        filtered: only those that `status`, `priority`, `due_from` and `due_to` let through, each of them unless it is
            NULL. They are one choice, not one for each, so that PostgreSQL has few statements to prepare.
        searched: only those whose title or description has the regular expression `pattern`.
        continued: only those after the place of the key `key` and the number `id`.
        counted: with the column `total`, how many all pages hold; if this one holds none, the other columns are NULL.
        weighed: only those before which the page holds less than `most_bytes` of text; always so if `counted`.
    """
    key, falls = ORDERS[sort].column, not ORDERS[sort].rises
    conditions = [_own, *(_FILTERS if filtered else ()), *(_SEARCH if searched else ())]
    order = [key.desc() if falls else key.asc(), tasks.c.id.desc()]
    page = select(*_columns).where(*conditions).order_by(*order).limit(bindparam("limit"))
    if continued:
        page = page.where(_after(key, falls))
    if not (weighed or counted):
        return page
    place = func.row_number().over(order_by=order).label("place")
    listed = page.add_columns(place, _before(order)).subquery("listed")
    fits = listed.c.before < bindparam("most_bytes", type_=BigInteger)
    columns = [listed.c[column.name] for column in _columns]
    if not counted:
        return select(*columns).where(fits).order_by(listed.c.place)
    total = select(func.count().label("total")).select_from(tasks).where(*conditions).subquery("total")
    answer = select(*columns, total.c.total).select_from(total.outerjoin(listed, fits))
    return answer.order_by(listed.c.place)


def _before(order: Sequence[ColumnElement[Any]]) -> ColumnElement[int]:
    """How many bytes the texts of the tasks before one hold; neither one is read for it, only its length."""
    size = func.octet_length(tasks.c.title) + func.coalesce(func.octet_length(tasks.c.description), text("0"))
    return (func.sum(size).over(order_by=order, rows=(None, 0)) - size).label("before")


def _unless_null(name: str, kind: Any, condition: Callable[[ColumnElement[Any]], ColumnElement[bool]]) -> Any:
    # With its type, since a prepared statement cannot tell that of a value which is only asked to be NULL.
    value = cast(bindparam(name), kind)
    return or_(value.is_(None), condition(value))


_FILTERS = (
    _unless_null("status", ARRAY(Text), lambda value: tasks.c.status == any_(value)),
    _unless_null("priority", ARRAY(Text), lambda value: tasks.c.priority == any_(value)),
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
def get_task() -> Select[Any]:
    """The user's task `id`."""
    return select(*_columns).where(_this)


@cache
def create_task(fields: Sequence[str]) -> ReturningInsert[Any]:
    """Inserts a task with the given columns."""
    values: dict[str, Any] = {name: bindparam(name) for name in fields}
    return insert(tasks).values(user_id=_tenant, **values).returning(*_columns)


@cache
def create_task_once(fields: Sequence[str]) -> CompoundSelect[Any]:
    """Inserts a task unless the user has used the Idempotency-Key `key` within 24 hours.

    Answers the task as it was created then or now, and the `fingerprint` of the body that created it. It answers
    no row when another request with the same key was committed while this one waited for it: then that request's
    row is not in this statement's snapshot yet (an expired one may be), and the statement is to be run again.
    """
    keys = idempotency_keys
    fresh = insert(keys).values(
        user_id=_tenant,
        key=bindparam("key"),
        fingerprint=bindparam("fingerprint"),
        task_id=func.nextval("tasks_id_seq"),
    )
    claimed = (
        fresh.on_conflict_do_update(
            index_elements=[keys.c.user_id, keys.c.key],
            set_={name: fresh.excluded[name] for name in ("fingerprint", "task_id", "created_at")},
            where=expired_key,
        )
        .returning(keys.c.task_id, keys.c.created_at)
        .cte("claimed")
    )
    given = {
        "user_id": _tenant,
        "id": claimed.c.task_id,
        **{name: bindparam(name) for name in fields},
        "created_at": claimed.c.created_at,
        "updated_at": claimed.c.created_at,
    }
    created = (
        insert(tasks)
        .from_select(list(given), select(*given.values()))
        .returning(*_columns, bindparam("fingerprint", type_=Text).label("fingerprint"))
        .cte("created")
    )
    repeated = (
        select(*(_as_created(column, fields) for column in _members), keys.c.fingerprint)
        .where(keys.c.user_id == _tenant, keys.c.key == bindparam("key"), ~expired_key)
        .where(~exists(select(claimed.c.task_id)))
    )
    return union_all(select(created), repeated)


def _as_created(column: Column[Any], fields: Sequence[str]) -> ColumnElement[Any]:
    """What `column` held when the task of an Idempotency-Key was created, from the key and the repeated body."""
    keys = idempotency_keys
    known: dict[str, ColumnElement[Any]] = {
        "user_id": keys.c.user_id,
        "id": keys.c.task_id,
        "created_at": keys.c.created_at,
        "updated_at": keys.c.created_at,
        **{name: cast(bindparam(name), tasks.c[name].type) for name in fields},
    }
    value = known[column.name] if column.name in known else _default(column)
    return _answered(value).label(column.name)


def _default(column: Column[Any]) -> ColumnElement[Any]:
    default = column.server_default
    return literal(default.arg, column.type) if isinstance(default, DefaultClause) else null()


@cache
def update_task(fields: Sequence[str]) -> Select[Any]:
    """Sets the given columns of the user's task `id`; see `_conditional` for what it answers."""
    values: dict[str, Any] = {name: bindparam(name) for name in fields}
    return _conditional(update(tasks).values(updated_at=_grown, **values))


@cache
def set_status() -> Select[Any]:
    """Gives the user's task `id` the status `status`; one that has it already stays as it is."""
    same = tasks.c.status == bindparam("status")
    changed_at = case((same, tasks.c.updated_at), else_=_grown)
    return _conditional(update(tasks).values(status=bindparam("status"), updated_at=changed_at))


@cache
def delete_task() -> Select[Any]:
    """Deletes the user's task `id`; see `_conditional` for what it answers."""
    return _conditional(delete(tasks))


def _conditional(change: Update | Delete) -> Select[Any]:
    """The change of the user's task `id`, made only if the task's `updated_at` is one of `versions`, or those are NULL.

    Answers no row where there is no such task, a row of NULLs where the task is in another state, else the task.
    """
    versions = bindparam("versions", type_=ARRAY(DateTime(timezone=True)))
    changed = (
        change.where(_this, or_(versions.is_(None), tasks.c.updated_at == any_(versions)))
        .returning(*_columns)
        .cte("changed")
    )
    return select(changed).select_from(tasks.outerjoin(changed, changed.c.id == tasks.c.id)).where(_this)
