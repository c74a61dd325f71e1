"""The forms of a statement that Citus 13.2 was seen to refuse, looked for in what PostgreSQL has understood of it.

Each statement is made the body of a function, and the tree of that is read (`pg_proc.prosqlbody`): it names every
function by its number, also those behind operators and casts. Citus itself is not needed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.visitors import iterate

from db.driver.messages import DIALECT
from lint.scoping import ask

_BODY = """
PREPARE statement_{number} AS {text};
DO $do$ BEGIN EXECUTE format($format$
CREATE FUNCTION pg_temp.statement_{number}(%%s) RETURNS void LANGUAGE sql BEGIN ATOMIC {formatted}; END
$format$, (SELECT array_to_string(parameter_types, ', ') FROM pg_prepared_statements
            WHERE name = 'statement_{number}'));
END $do$;
SELECT prosqlbody::text AS body FROM pg_proc WHERE proname = 'statement_{number}'
"""
_FUNCTIONS = "SELECT oid::text, proname AS name, provolatile::text AS volatility FROM pg_proc"
_NUMBERED = (
    "SELECT attrelid::text AS relation, attnum::text AS place FROM pg_attribute WHERE attidentity <> ''"
)
_TOKEN = re.compile(r"[(){}]|(?:\\.|[^\s(){}\\])+", re.DOTALL)
_UPDATE, _INSERT, _DELETE = "2", "3", "4"
_CALLS = {"FUNCEXPR": "funcid"} | dict.fromkeys(
    ("OPEXPR", "SCALARARRAYOPEXPR", "DISTINCTEXPR", "NULLIFEXPR"), "opfuncid"
)
_CLOSED = {"CASEEXPR": "CASE", "COALESCEEXPR": "COALESCE", "ARRAYEXPR": "an array"}


class _Node(NamedTuple):
    kind: str
    fields: Mapping[str, list[Any]]

    def text(self, field: str) -> str:
        return str(self.fields[field][0])


class _Function(NamedTuple):
    name: str
    volatility: str


def form_faults(url: str, made: Iterable[tuple[str, ClauseElement]]) -> Iterator[str]:
    """A sentence for each refused form in a statement.

    Args:
        url: a superuser's, of a PostgreSQL with the tables.
        made: statements, each with what it is called in the sentence.
    """
    made = list(made)
    texts = [_body(number, each) for number, (_, each) in enumerate(made)]
    functions, numbered, *bodies = ask(url, [_FUNCTIONS, _NUMBERED, *texts], {})
    known = {row["oid"]: _Function(row["name"], row["volatility"]) for row in functions}
    given = {(row["relation"], row["place"]) for row in numbered}
    for (origin, _), body in zip(made, bodies, strict=True):
        tree = _read(iter(_TOKEN.findall(body[0]["body"])))
        for query in _nodes(tree, {"QUERY"}):
            yield from (f"Citus: {origin} {fault}" for fault in _faults(query, known, given))


def changes_rows(statement: ClauseElement) -> bool:
    """Whether a statement inserts, updates or deletes; in others Citus was seen to refuse nothing of ours."""
    return any(isinstance(part, UpdateBase) for part in iterate(statement))


def _body(number: int, statement: ClauseElement) -> str:
    compiled = statement.compile(dialect=DIALECT)
    text = str(compiled) % {name: f"${place}" for place, name in enumerate(compiled.params, start=1)}
    # The driver formats the message, and PostgreSQL formats a part of it again.
    once = text.replace("%", "%%")
    return _BODY.format(number=number, text=once, formatted=once.replace("%", "%%"))


def _faults(query: _Node, known: Mapping[str, _Function], given: set[tuple[str, str]]) -> Iterator[str]:
    command = query.text("commandType")
    if command == _INSERT:
        yield from _number_elsewhere(query, known, given)
        changes, asks = query.fields["onConflict"], "where ON CONFLICT changes rows"
    elif command in (_UPDATE, _DELETE):
        changes, asks = [query.fields["targetList"], query.fields["jointree"]], "where it changes rows"
    else:
        return
    for node in _nodes(changes, {*_CALLS, *_CLOSED}):
        inside = [name for name, volatility in _called(node.fields, known) if volatility != "i"]
        if (form := _CLOSED.get(node.kind)) is not None:
            yield from (f"calls {name} within {form} {asks}" for name in inside)
            continue
        name, volatility = known[node.text(_CALLS[node.kind])]
        if volatility == "v":
            yield f"calls the volatile function {name} {asks}"
        elif volatility == "s" and any(_nodes([*node.fields.values()], {"VAR"})):
            yield f"calls {name}, which depends on the session, with a column {asks}"
        elif volatility == "s" and command == _INSERT:
            yield f"calls {name}, which depends on the session, {asks}"


def _number_elsewhere(
    query: _Node, known: Mapping[str, _Function], given: set[tuple[str, str]]
) -> Iterator[str]:
    """An insertion of what is read is read where the rows are, and so takes its number from a sequence there."""
    tables = list(_nodes(query.fields["rtable"], {"RANGETBLENTRY"}))
    # What is `excluded` by ON CONFLICT is of another kind.
    if sum(table.text("rtekind") == "0" and table.text("relkind") == "r" for table in tables) < 2:
        return
    relation = tables[int(query.text("resultRelation")) - 1].text("relid")
    columns = {
        (relation, entry.text("resno")) for entry in _nodes(query.fields["targetList"], {"TARGETENTRY"})
    }
    missing = {place for place in given if place[0] == relation} - columns
    if missing or any(name == "nextval" for name, _ in _called(query.fields, known)):
        yield "takes a number from a sequence and reads a table, so it would take it on another machine"


def _called(fields: Mapping[str, Any], known: Mapping[str, _Function]) -> Iterator[_Function]:
    for node in _nodes([*fields.values()], set(_CALLS)):
        yield known[node.text(_CALLS[node.kind])]


def _nodes(part: Any, kinds: set[str]) -> Iterator[_Node]:
    if isinstance(part, _Node):
        if part.kind in kinds:
            yield part
        part = list(part.fields.values())
    if isinstance(part, list):
        for each in part:
            yield from _nodes(each, kinds)


def _read(tokens: Iterator[str], closing: str = "") -> list[Any]:
    """The items up to the end: atoms, lists and nodes, as `pg_node_tree` writes them."""
    items: list[Any] = []
    for atom in tokens:
        if atom == closing:
            break
        if atom == "{":
            items.append(_node(_read(tokens, "}")))
        else:
            items.append(_read(tokens, ")") if atom == "(" else atom)
    return items


def _node(items: Sequence[Any]) -> _Node:
    fields: dict[str, list[Any]] = {}
    for item in items[1:]:
        if isinstance(item, str) and item.startswith(":"):
            values = fields[item[1:]] = []
        else:
            values.append(item)
    return _Node(items[0], fields)
