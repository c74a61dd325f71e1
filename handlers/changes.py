"""What a client needs that keeps a copy of the tasks (docs/decisions/0015-changes-by-horizon.md)."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from db import lists
from db.columns import RESTORABLE_DAYS
from db.driver.database import Tenant
from db.times import from_microseconds, to_microseconds
from handlers.cursors import with_complements
from handlers.pages import MOST_BYTES, fitting
from handlers.tasks import tagged
from openapi.bridge.answers import Answer
from openapi.failures import ChangesGone
from openapi.types import Changes, Task

# No statement runs so long that its change is committed later than this after the time that it says.
_LONGEST = timedelta(hours=1)
# Within so short a time changes are reported again, where a horizon is not one of the same server: after a backup was
# restored or a shard was moved.
_OVERLAP = timedelta(seconds=5)
_KEPT = timedelta(days=RESTORABLE_DAYS)
# What is answered beside a task's own columns.
_BESIDE = {"now", "horizon", "born", "deleted_at", "changed_at", "before"}
_WIDTHS = (14, 8, 14, 8, 14, 14, 16)


class _Since(NamedTuple):
    """How far a copy reaches, as numbers of microseconds and of transactions, which are 0 where they are not known.

    Args:
        time, xid: when the copy was whole, and the oldest transaction that may have been under way then.
        next_time, next_xid: the same of the beginning of a pass that has more to come.
        at, id: in such a pass, the place of the last task.
        born: when the user's row was made.
    """

    time: int = 0
    xid: int = 0
    next_time: int = 0
    next_xid: int = 0
    at: int = 0
    born: int = 0
    id: int = 0

    @classmethod
    def decode(cls, since: str) -> "_Since":
        """The numbers of a text that has the form of the contract."""
        digits = iter(since[::2])
        return cls(*(int("".join(next(digits) for _ in range(width)), 16) for width in _WIDTHS))

    def encode(self) -> str:
        """The text of the numbers, in the form of the contract."""
        return with_complements("".join(f"{n:0{width}x}" for n, width in zip(self, _WIDTHS, strict=True)))


async def list_changes(tenant: Tenant, since: str | None, limit: int) -> Answer[Changes]:
    """What has changed and gone since `since`, else all that is there; raises ChangesGone where that is not known."""
    start = _Since() if since is None else _Since.decode(since)
    time = from_microseconds(start.time)
    values: dict[str, Any] = {
        "oldest": max(time - _LONGEST, from_microseconds(0)),
        "recent": max(time - _OVERLAP, from_microseconds(0)),
        "xid": str(start.xid),
        "at": from_microseconds(start.at),
        "id": start.id,
    }
    statement = lists.list_changes(start.time > 0)
    rows = await tenant.fetch(statement, **values, limit=limit + 1, most_bytes=MOST_BYTES)
    now: datetime = rows[0]["now"]
    horizon, born = int(rows[0]["horizon"]) % 2**32, _number(rows[0]["born"])
    if start.born not in (0, born) or 0 < start.time < to_microseconds(now - _KEPT + _LONGEST):
        raise ChangesGone
    rows = [row for row in rows if row["id"] is not None]
    page = fitting(rows, limit)
    if start.next_time == 0:
        start = start._replace(next_time=to_microseconds(now), next_xid=horizon)
    following = _Since(start.next_time, start.next_xid, born=born)
    if more := len(page) < len(rows):
        following = start._replace(at=_number(page[-1]["changed_at"]), id=page[-1]["id"], born=born)
    return Answer(
        {
            "tasks": [_task(row) for row in page if not row["deleted_at"]],
            "deleted": [
                {"id": row["id"], "deleted_at": row["deleted_at"]} for row in page if row["deleted_at"]
            ],
            "next": following.encode(),
            "more": more,
        }
    )


def _task(row: Any) -> Task:
    return tagged(cast(Task, {name: row[name] for name in row if name not in _BESIDE}))


def _number(time: datetime | None) -> int:
    return 0 if time is None else to_microseconds(time)
