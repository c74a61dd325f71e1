"""What goes over the wire: SQLAlchemy's statements as text, compiled once for each statement."""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.sql.visitors import iterate

_DIALECT: Dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]
_ENTER = "SELECT todo_enter(%(tenant)s); "
_ENTER_PURGER = "SELECT todo_enter_purger(); "


class Message(NamedTuple):
    """One or more statements that are sent as one, with `%(name)s` marks for their parameters, in three forms.

    Args:
        plain: the statements as they are.
        prepare: the same, but the last one is prepared under `name` and executed.
        execute: the same, but the last one is executed as what is prepared under `name`.
        name: a digest of that statement's text, so that one name can never mean two statements.
        columns: the names of what it answers; none where they are not known before.
        constants: the values of the parameters that are its own.
        only_reads: whether it can be sent again without harm.
    """

    plain: str
    prepare: str
    execute: str
    name: str
    columns: tuple[str, ...] = ()
    constants: Mapping[str, Any] = {}
    only_reads: bool = True

    @classmethod
    def of(cls, text: str) -> "Message":
        """A message of statements that only read, of which none is prepared."""
        return cls(text, text, text, name="")


@lru_cache(maxsize=1024)
def as_tenant(statement: ReturnsRows) -> Message:
    """The message that enters the tenant and runs `statement`.

    It is kept, since compiling a statement takes longer than PostgreSQL needs to run it.
    """
    compiled = statement.compile(dialect=_DIALECT)
    names = list(compiled.params)
    text = str(compiled)
    prepared = text % {name: f"${number}" for number, name in enumerate(names, start=1)}
    name = f"todo_{sha256(prepared.encode()).hexdigest()[:32]}"
    arguments = f"({', '.join(f'%({name})s' for name in names)})" if names else ""
    execute = f"EXECUTE {name}{arguments}"
    # What is prepared goes through the driver's formatting too, beside the values that it is executed with.
    escaped = prepared.replace("%", "%%")
    return Message(
        plain=_ENTER + text,
        prepare=f"{_ENTER}PREPARE {name} AS {escaped}; {execute}",
        execute=_ENTER + execute,
        name=name,
        columns=tuple(str(column.key) for column in statement.exported_columns),
        constants={name: value for name, value in compiled.params.items() if value is not None},
        only_reads=not any(isinstance(part, UpdateBase) for part in iterate(statement)),
    )


def as_purger(statement: ReturnsRows) -> Message:
    """The message that enters the role which reaches only what has expired, and runs `statement`."""
    return Message.of(_ENTER_PURGER + str(statement.compile(dialect=_DIALECT)))._replace(only_reads=False)
