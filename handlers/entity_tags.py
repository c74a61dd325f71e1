"""Strong entity tags and the comparisons of RFC 9110, sections 8.8.3 and 13.1."""

import re
from binascii import crc32
from datetime import datetime
from functools import cache

import orjson

from db.times import from_microseconds, to_microseconds
from openapi.contract import contract
from openapi.types import Task

_TAG = re.compile(r'(W/)?"([!#-~]*)"')


@cache
def _shape() -> str:
    """Changes when the contract changes what a task looks like: the same row then has other bytes, thus another tag."""
    return f"{crc32(orjson.dumps(contract().schema('Task'))):08x}"


def entity_tag(task: Task) -> str:
    """The strong tag of a task: its shape and its `updated_at`, which grows with every change."""
    return f'"{_shape()}-{to_microseconds(task["updated_at"]):x}"'


def tagged(task: Task) -> Task:
    """The task with its `etag`."""
    task["etag"] = entity_tag(task)
    return task


def matches(if_none_match: str, tag: str) -> bool:
    """Whether `If-None-Match` names the tag, by weak comparison."""
    return if_none_match == "*" or tag.strip('"') in (opaque for _, opaque in _TAG.findall(if_none_match))


def versions(if_match: str | None) -> list[datetime] | None:
    """The `updated_at` that `If-Match` allows, by strong comparison; None where it allows any.

    A tag that this service cannot have made stands for no version at all, so a list of such tags allows none.
    """
    if if_match is None or if_match == "*":
        return None
    tags = [opaque for weak, opaque in _TAG.findall(if_match) if not weak]
    return [time for time in map(_updated_at, tags) if time is not None]


def _updated_at(opaque: str) -> datetime | None:
    shape, _, microseconds = opaque.partition("-")
    if shape != _shape() or not re.fullmatch(r"[1-9a-f][0-9a-f]{0,14}", microseconds):
        return None
    try:
        return from_microseconds(int(microseconds, 16))
    except OverflowError:
        return None
