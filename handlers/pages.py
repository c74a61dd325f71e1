"""How much one answer holds: a page ends by its bytes as well as by the number of its tasks."""

from itertools import accumulate
from typing import TypeVar

from openapi.bridge.answers import as_json
from openapi.bridge.document.places import Json
from openapi.contract import contract

Row = TypeVar("Row")

MOST_BYTES: int = contract().document["x-max-page-bytes"]
# JSON has a control character as six bytes, and no other one as more.
_BYTES_OF_CHARACTER = 6


def _largest(schema: Json) -> int:
    """The most bytes that a value of `schema` takes as JSON; for a number, true, false or null a few are enough."""
    schema = {**(contract().schema(schema["$ref"].rsplit("/", 1)[1]) if "$ref" in schema else {}), **schema}
    size: int = (
        32
        + _BYTES_OF_CHARACTER * schema.get("maxLength", 0)
        + schema.get("maxItems", 0) * (_largest(schema["items"]) if "items" in schema else 0)
        + sum(len(name) + _largest(member) for name, member in schema.get("properties", {}).items())
    )
    return size


_SURELY_FIT = MOST_BYTES // _largest(contract().schema("Task"))


def is_weighed(limit: int) -> bool:
    """Whether so many tasks can be more than one answer holds; most lists ask for fewer."""
    return limit > _SURELY_FIT


def fitting(tasks: list[Row], limit: int) -> list[Row]:
    """The first tasks, at most `limit`, that fit into one answer."""
    if not is_weighed(min(limit, len(tasks))) or len(as_json(tasks[:limit])) <= MOST_BYTES:
        return tasks[:limit]
    # The line break of each is as long as the comma that stands in a list instead.
    ends = accumulate(len(as_json(task)) for task in tasks)
    return [task for task, end in zip(tasks, ends, strict=True) if end + len("[]") <= MOST_BYTES]
