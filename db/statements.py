"""Every change of what is stored, and the reading of one task, as SQLAlchemy statements.

Each is bound to its owner by the parameter `tenant`, made once for each set of columns that it touches and then reused,
since `db.driver.messages` keeps its compiled text.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    ColumnElement,
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
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert
from sqlalchemy.sql.selectable import ReturnsRows

from db import quotas
from db.columns import (
    COLUMNS,
    EXPIRED_KEY,
    LIVE,
    MEMBERS,
    NOT_AFTER,
    OWN,
    REPEATABLE,
    RESTORABLE,
    TENANT,
    THIS,
    answered,
    own_function,
    utc,
)
from db.contract_columns import sql_text
from db.models import idempotency_keys, tasks, users

# The statement's time, but later than the task's last change: two may fall into one tick, and a clock may be set back.
# Citus takes no function beside a column that depends on the session, which a sum of a timestamptz does.
_later = func.greatest(utc(func.now()) - utc(tasks.c.updated_at), text("interval '1 microsecond'"))
_grown = utc(utc(tasks.c.updated_at) + _later)
# Always true; after the time `not_after` PostgreSQL refuses the statement.
_in_time = own_function("todo_in_time")(NOT_AFTER, type_=Boolean)


def _grown_if(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    """The time of a change that is made if the condition holds, and else that of the last one; without a CASE, in which
    Citus takes no `now()`."""
    return utc(utc(tasks.c.updated_at) + _later.op("*")(cast(condition, Integer)))


@cache
def register() -> tuple[Insert, ...]:
    """Makes the user's row: with the email unless another user has it, and then without; nothing where it is there."""
    return (
        insert(users).values(id=TENANT, email=bindparam("email")).on_conflict_do_nothing(),
        insert(users).values(id=TENANT).on_conflict_do_nothing(),
    )


@cache
def get_task() -> Select[Any]:
    """The user's task `id`."""
    return select(*COLUMNS).where(LIVE, THIS)


_keys = idempotency_keys
_same_key = and_(_keys.c.user_id == TENANT, _keys.c.key == bindparam("key"), ~EXPIRED_KEY)


@cache
def has_room() -> Select[bool, bool]:
    """Whether the user may have one more of the `tasks` and of the `keys`."""
    return select(quotas.room_for_tasks().label("tasks"), quotas.room_for_keys().label("keys"))


def _given(fields: Sequence[str]) -> dict[str, ColumnElement[Any]]:
    """The values of columns that are parameters of their names."""
    return {name: cast(bindparam(name), tasks.c[name].type) for name in fields}


def _once(fields: Sequence[str]) -> dict[str, ColumnElement[Any]]:
    """What the task of an Idempotency-Key holds when it is created, from the key and the body."""
    return {
        "user_id": _keys.c.user_id,
        "id": _keys.c.task_id,
        **_given(fields),
        "created_at": _keys.c.created_at,
        "updated_at": _keys.c.created_at,
    }


@cache
def create_task(fields: Sequence[str]) -> ReturningInsert[Any]:
    """Inserts a task with the given columns; none if the user has no room for it."""
    given = {"user_id": TENANT, **_given(fields)}
    ordinal = quotas.next_ordinal(keyed=False)
    row = select(*given.values(), ordinal).where(ordinal.is_not(None))
    created = insert(tasks).from_select([*given, "ordinal"], row).returning(*COLUMNS)
    return created.execution_options(refuses_late=True)


@cache
def create_task_once(fields: Sequence[str]) -> tuple[Insert, Insert, Select[Any]]:
    """Inserts a task unless the user has used the Idempotency-Key `key` within `REPEATABLE`.

    The last of them answers the task as it was created then or now, and the `fingerprint` of the body that created it;
    no row if the user has no room for it. Each is about one shard of Citus, and sees what a request with the same key
    has committed while the first waited.
    """
    ordinal = quotas.next_ordinal(keyed=True)
    claimed = {
        "user_id": TENANT,
        "key": cast(bindparam("key"), Text),
        "fingerprint": cast(bindparam("fingerprint"), Text),
        "task_id": func.nextval(text("'tasks_id_seq'")),
        "ordinal": ordinal,
    }
    fresh = insert(_keys).from_select(list(claimed), select(*claimed.values()).where(ordinal.is_not(None)))
    claim = fresh.on_conflict_do_update(
        index_elements=[_keys.c.user_id, _keys.c.key],
        set_={name: fresh.excluded[name] for name in ("fingerprint", "task_id", "ordinal", "created_at")},
        where=fresh.excluded.created_at - _keys.c.created_at >= REPEATABLE,
    ).execution_options(refuses_late=True)
    known = _once(fields)
    given = {**known, "user_id": TENANT, "ordinal": _keys.c.ordinal}
    # A task of this number is there already if this is a repeat.
    row = select(*given.values()).where(_same_key, _keys.c.fingerprint == bindparam("fingerprint"))
    create = insert(tasks).from_select(list(given), row).on_conflict_do_nothing()
    members = [answered(known.get(each.name, _default(each))).label(each.name) for each in MEMBERS]
    return claim, create, select(*members, _keys.c.fingerprint).where(_same_key)


def _default(column: Column[Any]) -> ColumnElement[Any]:
    default = column.server_default
    if not isinstance(default, DefaultClause):
        return null()
    value = default.arg
    return cast(text(sql_text(value)) if isinstance(value, str) else value, column.type)


@cache
def update_task(fields: Sequence[str], is_conditional: bool) -> ReturnsRows:
    """Sets the given columns of the user's task `id`; see `_changed` for what it answers."""
    values: dict[str, Any] = {name: bindparam(name) for name in fields}
    return _changed(update(tasks).values(updated_at=_grown, **values), is_conditional)


@cache
def set_status(is_conditional: bool) -> ReturnsRows:
    """Gives the user's task `id` the status `status`; one that has it already stays as it is.

    See `_changed` for what it answers.
    """
    changed_at = _grown_if(tasks.c.status != bindparam("status"))
    return _changed(update(tasks).values(status=bindparam("status"), updated_at=changed_at), is_conditional)


@cache
def delete_task(is_conditional: bool) -> ReturnsRows:
    """Hides the user's task `id`; see `_changed` for what it answers."""
    return _changed(update(tasks).values(deleted_at=_grown), is_conditional)


@cache
def restore_task(is_conditional: bool) -> ReturnsRows:
    """Brings the user's task `id` back, unless it was deleted too long ago; one that is not deleted stays as it is.

    See `_changed` for what it answers.
    """
    restored_at = _grown_if(tasks.c.deleted_at.is_not(None))
    since = utc(func.now()) - utc(tasks.c.deleted_at)
    there = and_(OWN, or_(tasks.c.deleted_at.is_(None), since < RESTORABLE))
    return _changed(update(tasks).values(deleted_at=null(), updated_at=restored_at), is_conditional, there)


def _changed(change: Update, is_conditional: bool, there: ColumnElement[bool] = LIVE) -> ReturnsRows:
    """The user's task `id` after the change; no row where there is no such task.

    A conditional change is made only if the task's `updated_at` is one of `versions`, or those are NULL, and none of
    `unwanted`, or those are NULL; where the task is in another state it answers a row of NULLs.
    """
    change = change.where(there, THIS, _in_time).execution_options(refuses_late=True)
    if not is_conditional:
        return change.returning(*COLUMNS)
    times = ARRAY(DateTime(timezone=True))
    versions, unwanted = bindparam("versions", type_=times), bindparam("unwanted", type_=times)
    changed = (
        change.where(
            or_(versions.is_(None), tasks.c.updated_at == any_(versions)),
            or_(unwanted.is_(None), tasks.c.updated_at != all_(unwanted)),
        )
        .returning(*COLUMNS)
        .cte("changed")
    )
    return (
        select(changed).select_from(tasks.outerjoin(changed, changed.c.id == tasks.c.id)).where(there, THIS)
    )


@cache
def delete_tasks() -> Select[Any]:
    """Hides the user's tasks that are in one of the statuses `status`, and answers their number as `deleted`."""
    chosen = tasks.c.status == any_(cast(bindparam("status"), ARRAY(Text)))
    hidden = update(tasks).values(deleted_at=_grown).where(LIVE, chosen).returning(tasks.c.id).cte("hidden")
    return select(func.count().label("deleted")).select_from(hidden)


@cache
def delete_user() -> ReturningDelete[Any]:
    """Erases the user's row, and with it every row that belongs to the user."""
    return delete(users).where(users.c.id == TENANT).returning(users.c.id)
