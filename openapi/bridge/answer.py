"""What a handler answers."""

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

Body = TypeVar("Body", covariant=True)


class Answer(NamedTuple, Generic[Body]):
    """A body, headers by name and a status, which is the operation's 2xx of the contract unless it is given.

    A body of None is no body at all (204, 304).
    """

    body: Body
    headers: Mapping[str, str] = {}
    status: int | None = None
