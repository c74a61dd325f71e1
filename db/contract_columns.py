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

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, Date, DateTime, Text, func, text

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import Json


def member(contract: Contract, schema: str, name: str) -> Json:
    """The contract's rules for one member of an object schema, those of its and its items' named types included."""
    rules = _followed(contract, contract.schema(schema)["properties"][name])
    return {**rules, "items": _followed(contract, rules["items"])} if "items" in rules else rules


def _followed(contract: Contract, declared: Json) -> Json:
    named = contract.schema(declared["$ref"].rsplit("/", 1)[1]) if "$ref" in declared else {}
    return {**named, **declared}


def column(name: str, schema: Json) -> Column[Any]:
    """A column of text, texts, dates or whole numbers, nullable and with a default where the contract says so."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "array" in types:
        return Column(name, ARRAY(Text), nullable=False, server_default=text("'{}'"))
    kind = BigInteger if "integer" in types else Date if schema.get("format") == "date" else Text
    return Column(name, kind, nullable="null" in types, server_default=schema.get("default"))


def created_at(name: str = "created_at") -> Column[Any]:
    """A column with the time at which its row was made."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def checks(table: str, column: str, schema: Json) -> Iterator[CheckConstraint]:
    """The constraints for which a schema's lengths, `pattern` of one character, `enum`, dates and items stand."""
    if schema["type"] == "array":
        yield from _item_checks(table, column, schema)
    elif schema.get("format") == "date":
        # The years of RFC 3339, of which Python lacks the year 0; PostgreSQL has more, and infinity.
        rule = f"{column} BETWEEN '{date.min}' AND '{date.max}'"
        yield CheckConstraint(rule, name=f"{table}_{column}_years_{date.min.year}_{date.max.year}")
    elif "maxLength" in schema:
        least, most = schema.get("minLength", 0), schema["maxLength"]
        rule = f"char_length({column}) BETWEEN {least} AND {most}"
        yield CheckConstraint(rule, name=f"{table}_{column}_length_{least}_{most}")
    if (pattern := refused_by_class(schema)) is not None:
        rule = f"{column} !~ {sql_text(pattern)}"
        yield CheckConstraint(rule, name=f"{table}_{column}_not_{_digest(pattern)}")
    if "enum" in schema:
        values = ", ".join(map(sql_text, schema["enum"]))
        yield CheckConstraint(f"{column} IN ({values})", name=f"{table}_{column}_{'_'.join(schema['enum'])}")


def _item_checks(table: str, column: str, schema: Json) -> Iterator[CheckConstraint]:
    """The CHECK constraints of an array of texts that are all different.

    An object that is made of the items has each of them once, as key and as value. Functions on it are immutable, and
    need no subquery, which a constraint must not have.
    """
    items, most = schema["items"], schema["maxItems"]
    each = f"jsonb_object({column}, {column})"
    yield CheckConstraint(
        f"cardinality({column}) BETWEEN 0 AND {most}", name=f"{table}_{column}_items_0_{most}"
    )
    yield CheckConstraint(
        f"jsonb_array_length(jsonb_path_query_array({each}, '$.*')) = cardinality({column})",
        name=f"{table}_{column}_unique",
    )
    least, longest, blank = items["minLength"], items["maxLength"], refused_by_class(items)
    assert blank is not None
    for rule, path in {
        f"length_{least}_{longest}": f'$.* ? (!(@ like_regex "^.{{{least},{longest}}}$" flag "s"))',
        f"not_{_digest(blank)}": f"$.* ? (@ like_regex {json.dumps(blank)})",
    }.items():
        yield CheckConstraint(
            f"NOT jsonb_path_exists({each}, {sql_text(path)})", name=f"{table}_{column}_item_{rule}"
        )


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
