"""The scoped query as a rule that `make lint` checks: PostgreSQL's own plan of every statement reaches each owned table
by its owner alone.

The planner follows conditions through joins, subqueries and CTEs, so a statement is judged by what it does and not by
how it is written. A plan for any values, without row level security and without sequential scans, has to find the
rows in an index by `owner = :tenant`.
"""

import asyncio
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import product
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

from sqlalchemy import ClauseElement, MetaData

from db.driver.database import Database
from db.driver.messages import DIALECT, Message
from db.driver.names import Names
from db.driver.ownership import owners
from db.driver.pool import Pool

_PLAN = """
SET LOCAL enable_seqscan TO off;
SET LOCAL enable_bitmapscan TO off;
EXPLAIN (GENERIC_PLAN, VERBOSE, FORMAT JSON) """
# For each owned table: the place of its owner among the columns, and the indexes that hold it.
_CATALOGUE = """
SELECT name, attnum - 1 AS place,
       ARRAY(SELECT indexrelid::regclass::text FROM pg_index
              WHERE indrelid = attrelid AND attnum = ANY (indkey)) AS indexes
  FROM unnest(%(tables)s, %(columns)s) AS owned (name, owner)
  JOIN pg_attribute ON attrelid = to_regclass(name) AND attname = owner
"""

_FUNCTIONS = "SELECT DISTINCT proname AS name FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"
_CALL = re.compile(r"(?<![\w.])(\w+)\(")


def statements(
    module: ModuleType, choices: Mapping[str, Sequence[Any]] = {}
) -> Iterator[tuple[str, ClauseElement]]:
    """Every statement that the public functions of a module can make, each with the call that makes it.

    Args:
        choices: by a parameter's name, the values that it can have; a flag and a literal say it by their types.

    Raises:
        TypeError: for a parameter that does not say it.
    """
    for name, function in vars(module).items():
        if name.startswith("_") or getattr(function, "__module__", "") != module.__name__:
            continue
        hints = inspect.get_annotations(inspect.unwrap(function))
        hints.pop("return", None)
        for values in product(*(_values(name, *item, choices) for item in hints.items())):
            made = function(*values)
            for statement in made if isinstance(made, tuple) else (made,):
                yield f"{module.__name__}.{name}({', '.join(map(repr, values))})", statement


def _values(name: str, parameter: str, hint: Any, choices: Mapping[str, Sequence[Any]]) -> Sequence[Any]:
    if parameter in choices:
        return choices[parameter]
    if hint is bool:
        return (False, True)
    if get_origin(hint) is Literal:
        return get_args(hint)
    raise TypeError(
        f"{name}: which values its parameter {parameter} can have cannot be read from its type {hint}"
    )


def scoping_faults(url: str, metadata: MetaData, made: Iterable[tuple[str, ClauseElement]]) -> Iterator[str]:
    """A sentence for each use of an owned table that is not bound to the parameter `tenant`, and for each function of
    PostgreSQL that is called without its schema.

    Args:
        url: a superuser's, of a PostgreSQL 16 or newer with the tables of `metadata`.
        made: statements, each with what it is called in the sentence.
    """
    columns = {table.name: owner.name for table, owner in owners(metadata).items()}
    catalogue = {"tables": list(columns), "columns": list(columns.values())}
    known = {row["name"]: row for row in ask(url, [_CATALOGUE], catalogue)[0]}
    made = list(made)
    texts = []
    for _, statement in made:
        compiled = statement.compile(dialect=DIALECT)
        marks = {name: f"${number}" for number, name in enumerate(compiled.params, start=1)}
        texts.append((str(compiled) % marks, marks.get("tenant", "nobody")))
    builtin = {row["name"] for row in ask(url, [_FUNCTIONS], {})[0]}
    for (origin, _), (text, _) in zip(made, texts, strict=True):
        for name in sorted(builtin.intersection(_CALL.findall(text))):
            yield f"{origin} calls {name} without pg_catalog, so another function could stand in its place"
    plans = ask(url, [_PLAN + text.replace("%", "%%") for text, _ in texts], {})
    for (origin, _), (text, tenant), plan in zip(made, texts, plans, strict=True):
        (root,) = plan[0]["QUERY PLAN"]
        for node in _nodes(root["Plan"]):
            table = node.get("Relation Name")
            if table in columns and (fault := _fault(node, columns[table], known[table], tenant)):
                yield f"{origin} {fault} {table} without {columns[table]} = :tenant"
        for table, owner in columns.items():
            if re.search(rf"UPDATE ({table} )?SET ([^;]*, )?{owner} ?=", text):
                yield f"{origin} gives rows of {table} away"


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _fault(node: Mapping[str, Any], owner: str, known: Mapping[str, Any], tenant: str) -> str | None:
    if node["Node Type"] != "ModifyTable":
        return None if f"({node['Alias']}.{owner} = {tenant})" in node.get("Index Cond", "") else "reads"
    if node["Operation"] != "Insert":
        return None  # The rows come from a scan below.
    (rows,) = (below for below in node["Plans"] if below["Parent Relationship"] == "Outer")
    if _given(rows, known["place"]) != tenant:
        return "inserts into"
    # An existing row that takes the new one's place is the tenant's own if the owner is part of what collides.
    replaces = node.get("Conflict Resolution") == "UPDATE"
    return (
        "replaces in"
        if replaces and not set(node["Conflict Arbiter Indexes"]) <= set(known["indexes"])
        else None
    )


def _given(rows: Mapping[str, Any], place: int) -> str:
    """What an insertion puts into a column; below a volatile function it stands one level deeper, in the same order."""
    if rows.get("Alias") != "*SELECT*" or not rows["Output"][place].startswith('"*SELECT*".'):
        return str(rows["Output"][place])
    (inner,) = (below for below in rows["Plans"] if below["Parent Relationship"] == "Subquery")
    return str(inner["Output"][place])


def ask(url: str, texts: Sequence[str], parameters: Mapping[str, Any]) -> list[list[Any]]:
    """The rows that each of some messages answers, as dictionaries by column."""

    async def run() -> list[list[Any]]:
        with closing(Database(Pool(url, size=1, queue=0), Names("lint"), deadline=60)) as database:
            return [await database.run(Message(text), parameters) for text in texts]

    return asyncio.run(run())
