"""Columns and CHECK constraints that are read from a contract's schemas, so that a limit is written once.

A constraint's name holds its rule's values, so that a change of the contract is seen as a change of names and
`alembic check` asks for a migration.
"""

from binascii import crc32
from collections.abc import Iterator
from datetime import date
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, DateTime, Text, func

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import Json


def member(contract: Contract, schema: str, name: str) -> Json:
    """The contract's rules for one member of an object schema, those of its named type included."""
    declared = contract.schema(schema)["properties"][name]
    named = contract.schema(declared["$ref"].rsplit("/", 1)[1]) if "$ref" in declared else {}
    return {**named, **declared}


def column(name: str, schema: Json) -> Column[Any]:
    """A column of text, dates or whole numbers, nullable and with a default where the contract says so."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kind = BigInteger if "integer" in types else Date if schema.get("format") == "date" else Text
    return Column(name, kind, nullable="null" in types, server_default=schema.get("default"))


def created_at(name: str = "created_at") -> Column[Any]:
    """A column with the time at which its row was made."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def checks(table: str, column: str, schema: Json) -> Iterator[CheckConstraint]:
    """The CHECK constraints that a schema's lengths, `not.pattern`, `enum` and dates amount to."""
    if schema.get("format") == "date":
        # The years of RFC 3339, of which Python lacks the year 0; PostgreSQL has more, and infinity.
        rule = f"{column} BETWEEN '{date.min}' AND '{date.max}'"
        yield CheckConstraint(rule, name=f"{table}_{column}_years_{date.min.year}_{date.max.year}")
    elif "maxLength" in schema:
        least, most = schema.get("minLength", 0), schema["maxLength"]
        rule = f"char_length({column}) BETWEEN {least} AND {most}"
        yield CheckConstraint(rule, name=f"{table}_{column}_length_{least}_{most}")
    if "pattern" in schema.get("not", {}):
        pattern = schema["not"]["pattern"]
        rule = f"{column} !~ {quoted(pattern)}"
        yield CheckConstraint(rule, name=f"{table}_{column}_not_{crc32(pattern.encode()):08x}")
    if "enum" in schema:
        values = ", ".join(map(quoted, schema["enum"]))
        yield CheckConstraint(f"{column} IN ({values})", name=f"{table}_{column}_{'_'.join(schema['enum'])}")


def quoted(value: str) -> str:
    """A text as SQL has it, in single quotes."""
    return "'" + value.replace("'", "''") + "'"
