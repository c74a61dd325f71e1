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
    Insert,
    Integer,
    Select,
    Text,
    Update,
    all_,
    and_,
    any_,
    bindparam,
    cast,
    delete,
    func,
    null,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert

from db.models import idempotency_keys, quoted, tasks, users
from db.orders import ORDERS
from openapi.contract import contract
from openapi.types import Sort

# For so long a repeat under an Idempotency-Key answers the first result, and a deleted task can be brought back, by
# the contract.
_REPEATABLE = text("interval '24 hours'")
_RESTORABLE = text("interval '30 days'")
expired_key = idempotency_keys.c.created_at <= func.now() - _REPEATABLE
expired_task = tasks.c.deleted_at <= func.now() - _RESTORABLE
_tenant = bindparam("tenant", type_=Text)
_own = tasks.c.user_id == _tenant
_live = and_(_own, tasks.c.deleted_at.is_(None))
_id = tasks.c.id == bindparam("id")


def _utc(time: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.timezone(text("'UTC'"), time)


# The statement's time, but later than the task's last change: two may fall into one tick, and a clock may be set back.
# Citus takes no function beside a column that depends on the session, which a sum of a timestamptz does.
_later = func.greatest(_utc(func.now()) - _utc(tasks.c.updated_at), text("interval '1 microsecond'"))
_grown = _utc(_utc(tasks.c.updated_at) + _later)


def _grown_if(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    """The time of a change that is made if the condition holds, and else that of the last one; without a CASE, in which
    Citus takes no `now()`."""
    return _utc(_utc(tasks.c.updated_at) + _later.op("*")(cast(condition, Integer)))


def _answered(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return _utc(column) if isinstance(column.type, DateTime) else column


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
        filtered: only those that `status`, `priority`, `tag`, `due_from` and `due_to` let through, each of them unless
            it is NULL. They are one choice, not one for each, so that PostgreSQL has few statements to prepare.
        searched: only those whose title or description has the regular expression `pattern`.
        continued: only those after the place of the key `key` and the number `id`.
        counted: with the column `total`, how many all pages hold; if this one holds none, the other columns are NULL.
        weighed: only those before which the page holds less than `most_bytes` of text; always so if `counted`.
    """
    key, falls = ORDERS[sort].column, not ORDERS[sort].rises
    conditions = [_live, *(_FILTERS if filtered else ()), *(_SEARCH if searched else ())]
    order = [key.desc() if falls else key.asc(), tasks.c.id.desc()]
    page = select(*_columns).where(*conditions).order_by(*order).limit(bindparam("limit"))
    if continued:
        page = page.where(_after(key, falls))
    if searched:
        page = page.execution_options(slow=True)
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
def get_task() -> Select[Any]:
    """The user's task `id`."""
    return select(*_columns).where(_live, _id)


@cache
def create_task(fields: Sequence[str]) -> ReturningInsert[Any]:
    """Inserts a task with the given columns."""
    values: dict[str, Any] = {name: bindparam(name) for name in fields}
    return insert(tasks).values(user_id=_tenant, **values).returning(*_columns)


@cache
def create_task_once(fields: Sequence[str]) -> tuple[Insert, Insert, Select[Any]]:
    """Inserts a task unless the user has used the Idempotency-Key `key` within 24 hours.

    The last of them answers the task as it was created then or now, and the `fingerprint` of the body that created it.
    Each is about one shard of Citus, and sees what a request with the same key has committed while the first waited.
    """
    keys = idempotency_keys
    fresh = insert(keys).values(
        user_id=_tenant,
        key=bindparam("key"),
        fingerprint=bindparam("fingerprint"),
        task_id=func.nextval(text("'tasks_id_seq'")),
    )
    claim = fresh.on_conflict_do_update(
        index_elements=[keys.c.user_id, keys.c.key],
        set_={name: fresh.excluded[name] for name in ("fingerprint", "task_id", "created_at")},
        where=fresh.excluded.created_at - keys.c.created_at >= _REPEATABLE,
    )
    this = (keys.c.user_id == _tenant, keys.c.key == bindparam("key"))
    given = {
        "user_id": _tenant,
        "id": keys.c.task_id,
        **{name: cast(bindparam(name), tasks.c[name].type) for name in fields},
        "created_at": keys.c.created_at,
        "updated_at": keys.c.created_at,
    }
    # A task of this number is there already if this is a repeat.
    create = insert(tasks).from_select(
        list(given), select(*given.values()).where(*this, keys.c.fingerprint == bindparam("fingerprint"))
    )
    answer = select(*(_as_created(column, fields) for column in _members), keys.c.fingerprint).where(*this)
    return claim, create.on_conflict_do_nothing(), answer


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
    if not isinstance(default, DefaultClause):
        return null()
    value = default.arg
    return cast(text(quoted(value)) if isinstance(value, str) else value, column.type)


@cache
def update_task(fields: Sequence[str]) -> Select[Any]:
    """Sets the given columns of the user's task `id`; see `_conditional` for what it answers."""
    values: dict[str, Any] = {name: bindparam(name) for name in fields}
    return _conditional(update(tasks).values(updated_at=_grown, **values))


@cache
def set_status() -> Select[Any]:
    """Gives the user's task `id` the status `status`; one that has it already stays as it is."""
    changed_at = _grown_if(tasks.c.status != bindparam("status"))
    return _conditional(update(tasks).values(status=bindparam("status"), updated_at=changed_at))


@cache
def delete_task() -> Select[Any]:
    """Hides the user's task `id`; see `_conditional` for what it answers."""
    return _conditional(update(tasks).values(deleted_at=_grown))


@cache
def restore_task() -> Select[Any]:
    """Brings the user's task `id` back, unless it was deleted too long ago; one that is not deleted stays as it is.

    See `_conditional` for what it answers.
    """
    restored_at = _grown_if(tasks.c.deleted_at.is_not(None))
    since = _utc(func.now()) - _utc(tasks.c.deleted_at)
    there = and_(_own, or_(tasks.c.deleted_at.is_(None), since < _RESTORABLE))
    return _conditional(update(tasks).values(deleted_at=null(), updated_at=restored_at), there)


def _conditional(change: Update, there: ColumnElement[bool] = _live) -> Select[Any]:
    """The change of the user's task `id`, made only if the task's `updated_at` is one of `versions`, or those are NULL,
    and none of `unwanted`, or those are NULL.

    Answers no row where there is no such task, a row of NULLs where the task is in another state, else the task.
    """
    times = ARRAY(DateTime(timezone=True))
    versions, unwanted = bindparam("versions", type_=times), bindparam("unwanted", type_=times)
    changed = (
        change.where(
            *(there, _id),
            or_(versions.is_(None), tasks.c.updated_at == any_(versions)),
            or_(unwanted.is_(None), tasks.c.updated_at != all_(unwanted)),
        )
        .returning(*_columns)
        .cte("changed")
    )
    return select(changed).select_from(tasks.outerjoin(changed, changed.c.id == tasks.c.id)).where(there, _id)


@cache
def delete_tasks() -> Select[Any]:
    """Hides the user's tasks that are in one of the statuses `status`, and answers their number as `deleted`."""
    chosen = tasks.c.status == any_(cast(bindparam("status"), ARRAY(Text)))
    hidden = update(tasks).values(deleted_at=_grown).where(_live, chosen).returning(tasks.c.id).cte("hidden")
    return select(func.count().label("deleted")).select_from(hidden)


@cache
def delete_user() -> ReturningDelete[Any]:
    """Erases the user's row, and with it every row that belongs to the user."""
    return delete(users).where(users.c.id == _tenant).returning(users.c.id)
