"""Columns and CHECK constraints that are read from a contract's schemas, so that a limit is written once.

A constraint's name holds its rule's values, so that a change of the contract is seen as a change of names and
`alembic check` asks for a migration.
"""

import json
import re
from binascii import crc32
from collections.abc import Iterator
from datetime import date
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Numeric,
    Text,
    Uuid,
    func,
    literal_column,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import ContractError, Json, pointer_to
from openapi.bridge.document.schemas import ALWAYS, Schema

_KINDS: dict[str, Any] = {
    "string": Text(),
    "integer": BigInteger(),
    "number": Numeric(),
    "boolean": Boolean(),
    "object": JSONB(),
    "array": JSONB(),
}
_FORMATS: dict[str, Any] = {"date": Date(), "date-time": DateTime(timezone=True), "uuid": Uuid()}
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
# What the formats allow and PostgreSQL, or Python, does not: U+0000, the year 0, years beyond 9999 once they are in
# UTC, and offsets from 16 hours on.
_BEYOND: dict[type, tuple[Any, ...]] = {
    Text: ("\0", "a\0"),
    BigInteger: (2**63, -(2**63) - 1),
    Date: ("0000-01-01",),
    DateTime: ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "2000-01-01T00:00:00+16:00"),
}
# PostgreSQL cuts off what is longer.
_LONGEST_NAME = 63


def member(contract: Contract, schema: str, name: str) -> Json:
    """The contract's rules for one member of an object schema, those of its and its items' named types included.

    Raises:
        ContractError: if there is no such schema or member, or it allows what no column holds.
    """
    pointer = pointer_to("/components/schemas", schema)
    found = contract.schemas.at(pointer).members().get(name)
    if found is None:
        raise ContractError(
            f"#{pointer}: a table has a column for its member {name!r}, which it does not have"
        )
    rules = _rules(found)
    if "items" in rules:
        rules["items"] = _rules(found.find("items"))
    allowed, stored = contract.requests.at(pointer).members()[name], rules
    if _holds_texts(rules):
        allowed, stored = allowed.find("items"), rules["items"]
    for value in () if rules.get("readOnly") else _beyond(stored):
        if allowed.is_valid(value):
            raise ContractError(
                f"#{pointer}: {name} may be {json.dumps(value)}, which no column holds: exclude it by a rule such as "
                "`pattern`, or write the column out"
            )
    return rules


def _beyond(schema: Json) -> Iterator[Any]:
    """Values of a schema's type that a column of it does not hold."""
    for each in _types(schema):
        kind = type(
            _FORMATS.get(schema.get("format", ""), _KINDS["string"]) if each == "string" else _KINDS.get(each)
        )
        for value in _BEYOND.get(kind, ()):
            # As long as the schema asks for.
            yield value if kind is not Text else value.rjust(schema.get("minLength", 0), "a")


def _rules(schema: Schema) -> Json:
    """The rules that always hold for a value; where it is one thing or null, those of the one thing."""
    rules: Json = {}
    for layer in schema.layers(ALWAYS):
        branches = [each for each in layer.applied({"anyOf", "oneOf"}) if each.types() != {"null"}]
        rules = {**(_rules(branches[0]) if len(branches) == 1 else {}), **layer.node, **rules}
    return {**rules, "type": sorted(schema.types())}


def column(name: str, schema: Json) -> Column[Any]:
    """A column for the values of a schema, nullable and with a default where the contract says so.

    An array of texts is one in PostgreSQL too; objects and other arrays are JSON.

    Raises:
        ContractError: if the schema does not say one type.
    """
    kind, default = _kind(name, schema), schema.get("default")
    if isinstance(kind, ARRAY) and default is not None:
        default = _array(default)
    elif isinstance(default, (list, dict)):
        default = json.dumps(default)
    elif default is not None and not isinstance(default, str):
        default = literal_column(json.dumps(default))
    return Column(name, kind, nullable="null" in _types(schema), server_default=default)


def _array(texts: list[str]) -> ColumnElement[Any]:
    """A text of PostgreSQL's for an array."""
    escaped = (each.replace("\\", "\\\\").replace('"', '\\"') for each in texts)
    return literal_column(sql_text("{" + ",".join(f'"{each}"' for each in escaped) + "}"))


def _types(schema: Json) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def _kind(column: str, schema: Json) -> Any:
    types = [each for each in _types(schema) if each != "null"]
    if len(types) != 1:
        raise ContractError(
            f"the column {column} is made from a schema of {len(types)} types beside null: write it as a Column instead"
        )
    if types == ["string"]:
        return _FORMATS.get(schema.get("format", ""), _KINDS["string"])
    return ARRAY(Text) if types == ["array"] and _holds_texts(schema) else _KINDS[types[0]]


def _holds_texts(schema: Json) -> bool:
    items = schema.get("items", {})
    return _types(items) == ["string"] and items.get("format") not in _FORMATS


def created_at(name: str = "created_at") -> Column[Any]:
    """A column with the time at which its row was made."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def checks(table: str, column: str, schema: Json) -> Iterator[CheckConstraint]:
    """The constraints for a schema's lengths, bounds, `pattern` of one character, `enum`, dates and items."""
    quoted = postgresql.dialect().identifier_preparer.quote(column)  # type: ignore[no-untyped-call]
    for name, rule in _checks(quoted, schema, _kind(column, schema)):
        full = f"{table}_{column}_{name}"
        if len(full.encode()) > _LONGEST_NAME:
            full = f"{table}_{column}_{_digest(name)}"
        yield CheckConstraint(rule, name=full)


def _checks(column: str, schema: Json, kind: Any) -> Iterator[tuple[str, str]]:
    """What each constraint's name ends in, and its rule."""
    if isinstance(kind, ARRAY):
        yield from _item_checks(column, schema)
    elif isinstance(kind, (Date, DateTime)):
        # The years of RFC 3339, of which Python lacks the year 0; PostgreSQL has more, and infinity.
        first, last = ("", "") if isinstance(kind, Date) else ("T00:00Z", "T23:59:59.999999Z")
        years = f"BETWEEN '{date.min}{first}' AND '{date.max}{last}'"
        yield f"years_{date.min.year}_{date.max.year}", f"{column} {years}"
    elif isinstance(kind, Text):
        if "maxLength" in schema:
            least, most = schema.get("minLength", 0), schema["maxLength"]
            yield f"length_{least}_{most}", f"char_length({column}) BETWEEN {least} AND {most}"
        if (pattern := refused_by_class(schema)) is not None:
            yield f"not_{_digest(pattern)}", f"{column} !~ {sql_text(pattern)}"
    elif isinstance(kind, (Numeric, BigInteger)):
        for keyword, operator in _BOUNDS.items():
            if keyword in schema:
                yield f"{keyword.lower()}_{schema[keyword]}", f"{column} {operator} {schema[keyword]}"
    if "enum" in schema:
        values = [each for each in schema["enum"] if each is not None]
        shown = ", ".join(sql_text(each) if isinstance(each, str) else json.dumps(each) for each in values)
        yield "_".join(map(str, values)), f"{column} IN ({shown})"


def _item_checks(column: str, schema: Json) -> Iterator[tuple[str, str]]:
    """The constraints of an array of texts.

    An object that is made of the items has each of them once, as key and as value. Functions on it are immutable, and
    need no subquery, which a constraint must not have.
    """
    items, each = schema["items"], f"jsonb_object({column}, {column})"
    if "maxItems" in schema:
        least, most = schema.get("minItems", 0), schema["maxItems"]
        yield f"items_{least}_{most}", f"cardinality({column}) BETWEEN {least} AND {most}"
    if schema.get("uniqueItems"):
        different = f"jsonb_array_length(jsonb_path_query_array({each}, '$.*'))"
        yield "unique", f"{different} = cardinality({column})"
    paths = {}
    if "maxLength" in items:
        least, most = items.get("minLength", 0), items["maxLength"]
        paths[f"length_{least}_{most}"] = f'$.* ? (!(@ like_regex "^.{{{least},{most}}}$" flag "s"))'
    if (blank := refused_by_class(items)) is not None:
        paths[f"not_{_digest(blank)}"] = f"$.* ? (@ like_regex {json.dumps(blank)})"
    for rule, path in paths.items():
        yield f"item_{rule}", f"NOT jsonb_path_exists({each}, {sql_text(path)})"


def refused_by_class(schema: Json) -> str | None:
    """What a `pattern` such as `[^ \\t]`, a character that is none of these, does not find: texts of these alone.

    A space that stands first is there for readers of the contract that overlook it in a range.
    """
    found = re.fullmatch(r"\[\^ (.+)\]", schema.get("pattern", ""))
    return f"^[{found[1]}]*$" if found else None


def sql_text(value: str) -> str:
    """A text as SQL has it, in single quotes."""
    return "'" + value.replace("'", "''") + "'"


def _digest(value: str) -> str:
    return f"{crc32(value.encode()):08x}"
