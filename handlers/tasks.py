"""The behaviour of the operations on tasks; each function has the name of its operationId in the contract."""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any, NoReturn, cast

import orjson

from db import lists, statements
from db.driver.database import Tenant
from db.search import pattern_of
from db.times import EPOCH
from handlers.addresses import next_page, task_address
from handlers.cursors import decode_cursor, encode_cursor
from handlers.entity_tags import SHAPE, conditions, matches, require_match, require_untagged, unmet
from handlers.pages import MOST_BYTES, fitting, is_weighed
from openapi.bridge.answers import Answer
from openapi.failures import IdempotencyKeyReused, QuotaReached, TaskNotFound
from openapi.types import Deletions, Priority, Sort, Status, Task, TaskCompletion, TaskCreate, TaskUpdate

NOT_MODIFIED = 304
_ENTITY_TAG = f'"{SHAPE}-%x"'


def entity_tag(task: Task) -> str:
    """The strong tag of a task: its shape and its `updated_at`, which grows with every change."""
    time = task["updated_at"] - EPOCH
    # As `db.times` counts them, without a division: a list has a tag for each of its tasks.
    return _ENTITY_TAG % ((time.days * 86_400 + time.seconds) * 1_000_000 + time.microseconds)


def tagged(task: Task) -> Task:
    """The task with its `etag`."""
    task["etag"] = entity_tag(task)
    return task


async def list_tasks(
    tenant: Tenant,
    status: list[Status] | None,
    priority: list[Priority] | None,
    tag: list[str] | None,
    due_from: str | None,
    due_to: str | None,
    q: str | None,
    sort: Sort,
    limit: int,
    cursor: str | None,
    count: bool,
) -> Answer[list[Task]]:
    """The user's tasks in the order of `cursor`, else of `sort`; `Link` leads on where one answer cannot hold them."""
    sort, position = decode_cursor(cursor) if cursor is not None else (sort, {})
    filters = {
        "status": status,
        "priority": priority,
        "tag": tag,
        "due_from": due_from,
        "due_to": due_to,
    }
    is_filtered = any(value is not None for value in filters.values())
    searched = {} if q is None else {"pattern": pattern_of(q)}
    continued = cursor is not None
    statement = lists.list_tasks(sort, is_filtered, q is not None, continued, count, is_weighed(limit))
    # One task more than asked for tells whether there is a next page.
    values = {**filters, **searched, **position, "limit": limit + 1, "most_bytes": MOST_BYTES}
    rows = await tenant.fetch(statement, **values)
    headers = {}
    if count:
        headers["X-Total-Count"] = str(rows[0]["total"])
        rows = [{name: row[name] for name in row if name != "total"} for row in rows if row["id"] is not None]
    page = fitting([tagged(row) for row in rows], limit)
    if len(page) < len(rows):
        following = {"cursor": encode_cursor(sort, page[-1]), "limit": limit, "sort": sort, "q": q, **filters}
        headers["Link"] = next_page(tenant.user_id, {**following, "count": "true" if count else None})
    return Answer(page, headers)


async def create_task(tenant: Tenant, idempotency_key: str | None, body: TaskCreate) -> Answer[Task]:
    """The new task; under an `idempotency_key` that was used before, the first one again."""
    fields = tuple(sorted(body))
    if idempotency_key is None:
        task: Task = await tenant.fetch_one(statements.create_task(fields), **body) or await _refuse(tenant)
    else:
        task = await _create_once(tenant, idempotency_key, fields, body)
    location = task_address(tenant.user_id, task["id"])
    return Answer(tagged(task), {"Location": location, "ETag": task["etag"]})


async def _create_once(tenant: Tenant, key: str, fields: tuple[str, ...], body: TaskCreate) -> Task:
    fingerprint = sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    *before, answer = statements.create_task_once(fields)
    values = {"key": key, "fingerprint": fingerprint, **body}
    task: Any = await tenant.fetch_one(answer, before=tuple(before), **values) or await _refuse(tenant)
    if task.pop("fingerprint") != fingerprint:
        raise IdempotencyKeyReused
    return cast(Task, task)


async def _refuse(tenant: Tenant) -> NoReturn:
    room = await tenant.fetch_one(statements.has_room())
    raise QuotaReached("keys" if room["tasks"] else "tasks")


async def delete_tasks(
    tenant: Tenant, status: list[Status], if_match: str | None, if_none_match: str | None
) -> Answer[Deletions]:
    """How many tasks were in one of the statuses; they are hidden now."""
    require_untagged(if_match, if_none_match)
    return Answer(await tenant.fetch_one(statements.delete_tasks(), status=status))


async def get_task(
    tenant: Tenant, id: int, if_match: str | None, if_none_match: str | None
) -> Answer[Task | None]:
    """The task, or 304 where the client holds it as it is."""
    task: Task | None = await tenant.fetch_one(statements.get_task(), id=id)
    if task is None:
        raise TaskNotFound
    headers = {"ETag": tagged(task)["etag"]}
    if if_match is not None:
        require_match(if_match, task["etag"])
    if if_none_match is not None and matches(if_none_match, task["etag"]):
        return Answer(None, headers, NOT_MODIFIED)
    return Answer(task, headers)


async def update_task(
    tenant: Tenant, id: int, if_match: str | None, if_none_match: str | None, body: TaskUpdate
) -> Answer[Task]:
    """The task with the members of `body` changed."""
    change = partial(statements.update_task, tuple(sorted(body)))
    return await _change(tenant, change, id, if_match, if_none_match, **body)


# A merge patch of an object whose members are no objects is the members that change (RFC 7396, section 2).
patch_task = update_task


async def complete_task(
    tenant: Tenant, id: int, if_match: str | None, if_none_match: str | None, body: TaskCompletion
) -> Answer[Task]:
    """The task in the status that `body` names; without a body the contract's default completes it."""
    return await _change(tenant, statements.set_status, id, if_match, if_none_match, **body)


async def delete_task(
    tenant: Tenant, id: int, if_match: str | None, if_none_match: str | None
) -> Answer[None]:
    """Nothing, once the task is hidden."""
    await _change(tenant, statements.delete_task, id, if_match, if_none_match)
    return Answer(None)


async def restore_task(
    tenant: Tenant, id: int, if_match: str | None, if_none_match: str | None
) -> Answer[Task]:
    """The task, which is not deleted any more."""
    return await _change(tenant, statements.restore_task, id, if_match, if_none_match)


async def _change(
    tenant: Tenant,
    change: Callable[[bool], Any],
    id: int,
    if_match: str | None,
    if_none_match: str | None,
    **values: Any,
) -> Answer[Task]:
    """What a change answers: the task, or the refusal where there was none or it was in another state."""
    is_conditional = if_match is not None or if_none_match is not None
    asked = conditions(if_match, if_none_match) if is_conditional else {}
    task: Task | None = await tenant.fetch_one(change(is_conditional), id=id, **asked, **values)
    if task is None:
        raise TaskNotFound
    if task["id"] is None:
        raise unmet(if_match, if_none_match)
    return Answer(tagged(task), {"ETag": task["etag"]})
