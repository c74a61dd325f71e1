"""What entity tags are compared for (RFC 9110, sections 8.8.3 and 13.1); `handlers.tasks` makes them."""

import re
from binascii import crc32
from datetime import datetime

import orjson

from db.times import from_microseconds
from openapi.bridge.contract import Contract
from openapi.bridge.failures import Failure
from openapi.contract import contract
from openapi.failures import PreconditionFailed, TaskNotFound

_TAG = re.compile(r'(W/)?"([!#-~]*)"')


def shape_in(contract: Contract) -> str:
    """Changes when the contract changes what a task looks like: the same row then has other bytes, thus another tag."""
    return f"{crc32(orjson.dumps(contract.schema('Task'))):08x}"


SHAPE = shape_in(contract())
"""The beginning of every task's tag."""


def matches(if_none_match: str, tag: str) -> bool:
    """Whether `If-None-Match` names the tag, by weak comparison."""
    return if_none_match == "*" or tag.strip('"') in (opaque for _, opaque in _TAG.findall(if_none_match))


def require_match(if_match: str | None, tag: str) -> None:
    """Raises PreconditionFailed if `If-Match` does not name the tag, by strong comparison."""
    if if_match not in (None, "*") and tag.strip('"') not in (_strong(if_match) or ()):
        raise PreconditionFailed(_case(if_match))


def require_untagged(if_match: str | None, if_none_match: str | None) -> None:
    """Raises PreconditionFailed unless the conditions hold for what is there and has no tag: many tasks at once."""
    if if_match not in (None, "*") or if_none_match == "*":
        raise PreconditionFailed("many")


def conditions(if_match: str | None, if_none_match: str | None) -> dict[str, list[datetime] | None]:
    """What a change asks of the task's `updated_at`: one of `versions`, none of `unwanted`; None asks nothing.

    A tag that this service cannot have made stands for no version at all, so a list of such tags allows none.
    """
    if if_none_match == "*":  # Whatever state the task is in, it is one too many.
        return {"versions": [], "unwanted": None}
    unwanted = None if if_none_match is None else [opaque for _, opaque in _TAG.findall(if_none_match)]
    return {"versions": _times(_strong(if_match)), "unwanted": _times(unwanted)}


def unmet(if_match: str | None, if_none_match: str | None) -> Failure:
    """Why a change was not made although the task was there; `If-Match` comes first (RFC 9110, section 13.2.2)."""
    if if_match not in (None, "*"):
        return PreconditionFailed(_case(if_match))
    # Where any state will do, only a deletion at the same moment can have come before the change.
    return TaskNotFound() if if_none_match is None else PreconditionFailed("unchanged")


def _case(if_match: str | None) -> str:
    return "weak" if any(weak for weak, _ in _TAG.findall(if_match or "")) else "changed"


def _strong(if_match: str | None) -> list[str] | None:
    if if_match is None or if_match == "*":
        return None
    return [opaque for weak, opaque in _TAG.findall(if_match) if not weak]


def _times(tags: list[str] | None) -> list[datetime] | None:
    return None if tags is None else [time for time in map(_updated_at, tags) if time is not None]


def _updated_at(opaque: str) -> datetime | None:
    form, _, microseconds = opaque.partition("-")
    if form != SHAPE or not re.fullmatch(r"[1-9a-f][0-9a-f]{0,14}", microseconds):
        return None
    try:
        return from_microseconds(int(microseconds, 16))
    except OverflowError:
        return None
