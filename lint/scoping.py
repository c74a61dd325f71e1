"""The scoped query as a rule that `make lint` checks: every use of a user's table names its owner, and nothing but
`db/driver/connection.py` talks to the database."""

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

from sqlalchemy import BinaryExpression, BindParameter, Delete, Dialect, Insert, Select, Table, Update
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.dml import OnConflictDoUpdate
from sqlalchemy.sql import ClauseElement, operators
from sqlalchemy.sql.elements import BooleanClauseList
from sqlalchemy.sql.selectable import Alias, FromClause, Join
from sqlalchemy.sql.visitors import iterate

from db.models import OWNERS
from openapi.contract import contract

_ROOT = Path(__file__).parent.parent
DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_RELATION = re.compile(rf"(?<![\w.])({'|'.join(table.name for table in OWNERS)})(?![\w.])")
# What drivers and SQLAlchemy call the ways to a connection and to a result, and where they may be called.
_ACCESS = {
    *("raw_connection", "connect", "cursor", "begin", "scalar", "scalars", "exec_driver_sql"),
    *("execute", "executemany", "executescript", "copy_expert", "mogrify"),
}
_ALLOWED = {
    "db/driver/connection.py": {"connect", "cursor", "execute"},
    "db/admin/environment.py": {"connect", "execute"},
    "db/admin/migrate.py": {"connect", "scalar"},
    "db/tenant.py": {"execute"},  # One form of a Message has the name too.
}


def statements(module: ModuleType) -> Iterator[tuple[str, ClauseElement]]:
    """Every statement that the public functions of a module can make, each with the call that makes it.

    A function's parameters say what it can be called with: a flag, one of some literals, or some of the members that
    a client may set.

    Raises:
        TypeError: for a parameter of any other type.
    """
    for name, function in vars(module).items():
        if name.startswith("_") or getattr(function, "__module__", "") != module.__name__:
            continue
        hints = inspect.get_annotations(inspect.unwrap(function))
        hints.pop("return", None)
        for values in product(*(_values(name, hint) for hint in hints.values())):
            yield f"{name}({', '.join(map(repr, values))})", function(*values)


def _values(name: str, hint: Any) -> Sequence[Any]:
    if hint is bool:
        return (False, True)
    if get_origin(hint) is Literal:
        return get_args(hint)
    if hint == Sequence[str]:
        columns = contract().schema("TaskUpdate")["properties"]
        return [some for size in range(1, len(columns) + 1) for some in combinations(sorted(columns), size)]
    raise TypeError(f"{name}: which statements it makes cannot be told from a parameter of the type {hint}")


def unscoped(statement: ClauseElement) -> Iterator[str]:
    """A sentence for each use of a user's table in a statement that is not bound to the parameter `tenant`."""
    parts = {id(part): part for part in iterate(statement)}.values()
    uses = [use for part in parts for use in _uses(part)]
    for table, verb, is_bound in uses:
        if not is_bound:
            yield f"{verb} {table.name} without {OWNERS[table].name} = :tenant"
    text = str(statement.compile(dialect=DIALECT))
    if len(uses) != len(_RELATION.findall(text)):
        yield "names a table in a way that this check cannot follow"


def _uses(part: Any) -> Iterator[tuple[Table, str, bool]]:
    """The tables that this node itself reads or changes, how, and whether only the tenant's own rows."""
    if isinstance(part, Select):
        for source in _sources(part.get_final_froms()):
            table = source.element if isinstance(source, Alias) else source
            if table in OWNERS:
                yield table, "reads", _is_bound(part._where_criteria, source.c[OWNERS[table].key])
    elif isinstance(part, Update | Delete) and part.table in OWNERS:
        owner = OWNERS[part.table]
        gives_away = isinstance(part, Update) and owner.name in map(_name, part._values or ())
        yield part.table, "changes", _is_bound(part._where_criteria, owner) and not gives_away
    elif isinstance(part, Insert) and part.table in OWNERS:
        yield part.table, "inserts into", _inserts_own(part, OWNERS[part.table].name)


def _sources(froms: Sequence[FromClause]) -> Iterator[Any]:
    for source in froms:
        if isinstance(source, Join):
            yield from _sources([source.left, source.right])
        else:
            yield source


def _is_bound(criteria: Sequence[Any], owner: Any) -> bool:
    """Whether one of the conditions that must all hold is `owner = :tenant`."""
    for condition in criteria:
        if isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
            if _is_bound(list(condition.clauses), owner):
                return True
        elif (
            isinstance(condition, BinaryExpression)
            and condition.operator is operators.eq
            and condition.left is owner
            and _is_tenant(condition.right)
        ):
            return True
    return False


def _inserts_own(insert: Insert, owner: str) -> bool:
    if insert.select is not None:
        given = dict(zip(map(_name, insert._select_names or ()), insert.select.selected_columns, strict=True))
    else:
        given = {_name(column): value for column, value in (insert._values or {}).items()}
    conflict = insert._post_values_clause
    # An existing row that takes the new one's place is the tenant's own if the owner is part of what collides.
    is_own_conflict = not isinstance(conflict, OnConflictDoUpdate) or owner in map(
        _name, conflict.inferred_target_elements or ()
    )
    return _is_tenant(given.get(owner)) and is_own_conflict


def _name(column: Any) -> str:
    return str(getattr(column, "name", column))


def _is_tenant(value: Any) -> bool:
    value = getattr(value, "element", value)
    return isinstance(value, BindParameter) and value.key == "tenant"


def foreign_access(path: str, source: str) -> Iterator[str]:
    """A sentence for each place of a module that opens a connection or runs SQL although it is not one that may.

    Args:
        path: where the module stands, from the project's root.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            name = node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
        else:
            continue
        if name in _ACCESS - _ALLOWED.get(path, set()):
            yield f"{path}:{node.lineno}: {name} is for db/driver/connection.py alone"


def faults(module: ModuleType) -> Iterator[str]:
    """Every sentence of `unscoped` and `foreign_access` about the statements of a module and our own folders."""
    for call, statement in statements(module):
        yield from (f"{module.__name__}.{call} {fault}" for fault in unscoped(statement))
    for folder in ("openapi", "handlers", "db", "server"):
        for path in sorted((_ROOT / folder).rglob("*.py")):
            yield from foreign_access(str(path.relative_to(_ROOT)), path.read_text(encoding="utf-8"))
