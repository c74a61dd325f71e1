"""What goes over the wire: SQLAlchemy's statements as text, compiled once for each statement."""

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import JSON, ClauseElement, Dialect, Executable, Insert
from sqlalchemy.dialects.postgresql.base import PGCompiler
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.functions import Function
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.sql.visitors import iterate

from db.driver.connection import SESSION
from db.driver.names import Names

# Options of statements, as in `statement.execution_options(slow=True)`: that it may take long, and that it refuses to
# run after the time that its parameter `not_after` names.
SLOW, REFUSES_LATE = "slow", "refuses_late"
# How long a statement may run at most that enters its user without the function which sets what is left of the time.
STATEMENT_SECONDS = 3.5
# What that function would set in each message.
_OWNING = (
    f"SET search_path TO pg_catalog, %(_schema)s, pg_temp; SET statement_timeout TO '{STATEMENT_SECONDS}s'"
)
# What the grammar has instead of a function can have no schema.
_GRAMMAR = re.compile(
    "all|any|array|coalesce|exists|greatest|grouping|json_(array|arrayagg|exists|objectagg|query|scalar|serialize|value)"
    "|least|merge_action|nullif|row|some|trim|xml(concat|forest)"
)


class _Compiler(PGCompiler):
    """Names PostgreSQL's own functions with their schema, so that no other one can be called in their place."""

    def visit_function(self, func: Function[Any], *args: Any, **options: Any) -> str:
        text: str = super().visit_function(func, *args, **options)
        is_function = re.match(r"[a-z_][a-z0-9_]*\(", text) and not _GRAMMAR.fullmatch(func.name.lower())
        return f"pg_catalog.{text}" if is_function else text


DIALECT: Dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]
DIALECT.statement_compiler = _Compiler


class Message(NamedTuple):
    """One or more statements that are sent as one, with `%(name)s` marks for their parameters.

    Args:
        plain: the statements as they are.
        execute: the same, where what is in `prepared` has been prepared; empty where nothing is.
        direct: the same for a session of our own, which enters by a setting alone; empty for what changes a row, unless
            it refuses to when it is late, since the setting lets in whatever comes.
        owning: what makes a session our own, before anything is prepared there.
        prepared: by a name that is a digest of its text, so that no name can ever mean two: what prepares a statement.
            In the database the number of the session follows the name.
        columns: the names of what it answers; none where they are not known before.
        constants: the values of the parameters that are its own.
        only_reads: whether it can be sent again without harm.
        inserts: whether it can make a row.
        slow: whether it may take long.
        json: the names of the parameters that are sent as JSON.
    """

    plain: str
    execute: str = ""
    direct: str = ""
    owning: str = ""
    prepared: Mapping[str, str] = {}
    columns: tuple[str, ...] = ()
    constants: Mapping[str, Any] = {}
    only_reads: bool = True
    inserts: bool = False
    slow: bool = False
    json: frozenset[str] = frozenset()

    def preparing(self, known: set[str]) -> str:
        """What prepares the statements that are not `known` yet.

        These are known then: what prepares comes before all that could fail, but for what makes a session our own, and
        where that fails the session is given up.
        """
        missing = [text for name, text in self.prepared.items() if name not in known]
        known.update(self.prepared)
        return "; ".join(missing)


@lru_cache(maxsize=1024)
def as_tenant(statement: ReturnsRows, names: Names, before: tuple[Insert, ...] = ()) -> Message:
    """The message that enters the tenant and runs `before` and `statement`, of which each sees what is committed when
    it begins.

    It is kept, since compiling a statement takes longer than PostgreSQL needs to run it.
    """
    # With their types, without which PostgreSQL could take another function of the same name.
    enter = f"SELECT {names.enter}(%(tenant)s::text, %(not_after)s::timestamptz)"
    statements = (*before, statement)
    compiled = [_compiled(each) for each in statements]
    constants = {name: value for each in compiled for name, value in each.values.items()}
    parts = [part for each in statements for part in iterate(each)]
    only_reads = not any(isinstance(part, UpdateBase) for part in parts)
    options = [part.get_execution_options() for part in parts if isinstance(part, Executable)]
    may_be_direct = only_reads or any(REFUSES_LATE in each for each in options)
    entered = f"SET LOCAL {names.setting} TO %(tenant)s"
    prepared = [
        _as_prepared(enter, ["tenant", "not_after"], names),
        *(_as_prepared(each.text, list(each.values), names) for each in compiled),
    ]
    return Message(
        plain="; ".join([enter, *(each.text for each in compiled)]),
        execute="; ".join(each.execute for each in prepared),
        direct="; ".join([entered, *(each.execute for each in prepared[1:])]) if may_be_direct else "",
        owning=f"{_OWNING}; SET ROLE {names.tenant}",
        prepared={each.name: each.prepare for each in prepared},
        columns=tuple(str(column.key) for column in statement.exported_columns),
        constants={name: value for name, value in constants.items() if value is not None},
        only_reads=only_reads,
        inserts=any(isinstance(part, Insert) for part in parts),
        slow=any(SLOW in each for each in options),
        json=frozenset().union(*(each.json for each in compiled)),
    )


def as_purger(statement: ReturnsRows, names: Names) -> Message:
    """The message that enters the role which reaches only what has expired, and runs `statement`."""
    return Message(f"SELECT {names.enter_purger}(); {_compiled(statement).text}", only_reads=False)


class _Compiled(NamedTuple):
    text: str
    values: Mapping[str, Any]
    json: frozenset[str]


def _compiled(statement: ClauseElement) -> _Compiled:
    compiled: Any = statement.compile(dialect=DIALECT)
    json = frozenset(name for bound, name in compiled.bind_names.items() if isinstance(bound.type, JSON))
    return _Compiled(str(compiled), compiled.params, json)


class _Prepared(NamedTuple):
    execute: str
    name: str
    prepare: str


def _as_prepared(text: str, values: list[str], names: Names) -> _Prepared:
    numbered = text % {value: f"${number}" for number, value in enumerate(values, start=1)}
    # PostgreSQL keeps 63 bytes of a name, in which the number of a session has to have its 19.
    name = f"{names.service[:8]}_{sha256(numbered.encode()).hexdigest()[:32]}"
    arguments = f"({', '.join(f'%({value})s' for value in values)})" if values else ""
    # What is prepared goes through the driver's formatting too, beside the values that it is executed with.
    escaped = numbered.replace("%", "%%")
    in_session = f"{name}_{SESSION}"
    return _Prepared(f"EXECUTE {in_session}{arguments}", name, f"PREPARE {in_session} AS {escaped}")
