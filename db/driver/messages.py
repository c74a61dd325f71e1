"""What goes over the wire: SQLAlchemy's statements as text, compiled once for each statement."""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement, Dialect, Insert
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.sql.visitors import iterate

from db.driver.names import Names

DIALECT: Dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]


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
        inserts: whether it can make a row.
    """

    plain: str
    prepare: str
    execute: str
    name: str
    columns: tuple[str, ...] = ()
    constants: Mapping[str, Any] = {}
    only_reads: bool = True
    inserts: bool = False

    @classmethod
    def of(cls, text: str) -> "Message":
        """A message of statements that only read, of which none is prepared."""
        return cls(text, text, text, name="")


@lru_cache(maxsize=1024)
def as_tenant(statement: ReturnsRows, names: Names, before: tuple[Insert, ...] = ()) -> Message:
    """The message that enters the tenant and runs `before` and `statement`, of which each sees what is committed when
    it begins.

    It is kept, since compiling a statement takes longer than PostgreSQL needs to run it.
    """
    enter = f"SELECT {names.enter}(%(tenant)s); "
    earlier = [_compiled(each) for each in before]
    enter += "".join(f"{text}; " for text, _ in earlier)
    text, own = _compiled(statement)
    values = list(own)
    prepared = text % {value: f"${number}" for number, value in enumerate(values, start=1)}
    name = f"{names.service}_{sha256(prepared.encode()).hexdigest()[:32]}"
    arguments = f"({', '.join(f'%({value})s' for value in values)})" if values else ""
    execute = f"EXECUTE {name}{arguments}"
    # What is prepared goes through the driver's formatting too, beside the values that it is executed with.
    escaped = prepared.replace("%", "%%")
    parts = [part for each in (*before, statement) for part in iterate(each)]
    constants = {name: value for _, values in (*earlier, (text, own)) for name, value in values.items()}
    return Message(
        plain=enter + text,
        prepare=f"{enter}PREPARE {name} AS {escaped}; {execute}",
        execute=enter + execute,
        name=name,
        columns=tuple(str(column.key) for column in statement.exported_columns),
        constants={name: value for name, value in constants.items() if value is not None},
        only_reads=not any(isinstance(part, UpdateBase) for part in parts),
        inserts=any(isinstance(part, Insert) for part in parts),
    )


def as_purger(statement: ReturnsRows, names: Names) -> Message:
    """The message that enters the role which reaches only what has expired, and runs `statement`."""
    text, _ = _compiled(statement)
    return Message.of(f"SELECT {names.enter_purger}(); {text}")._replace(only_reads=False)


def _compiled(statement: ClauseElement) -> tuple[str, Mapping[str, Any]]:
    compiled = statement.compile(dialect=DIALECT)
    return str(compiled), compiled.params
