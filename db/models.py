"""The tables. What the contract limits is limited here too, by constraints that are read from its schemas.

A constraint's name holds its rule's values, so that a change of the contract is seen as a change of names and
`alembic check` asks for a migration.
"""

import json
from binascii import crc32
from collections.abc import Iterator
from datetime import date
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)

from db.driver.names import Names
from db.driver.ownership import owned
from openapi.bridge.document.places import Json
from openapi.contract import contract

metadata = MetaData()
# What the service calls its roles and functions in the database.
NAMES = Names("todo")

# The members of a task that a client gives.
_GIVEN = ("title", "description", "status", "priority", "due_date", "tags")


def _schema_of(name: str) -> Json:
    """The contract's rules for one member of a task, those of its named type included."""
    return _followed(contract().schema("Task")["properties"][name])


def _followed(declared: Json) -> Json:
    named = contract().schema(declared["$ref"].rsplit("/", 1)[1]) if "$ref" in declared else {}
    return {**named, **declared}


def _key_schema() -> Json:
    parameters = contract().operations["create_task"].parameters
    return next(place.node["schema"] for place in parameters if place.node["name"] == "Idempotency-Key")


def _checks(table: str, column: str, schema: Json) -> Iterator[CheckConstraint]:
    """The CHECK constraints that a schema's `minLength`, `maxLength`, `not.pattern`, `enum`, dates, items amount to."""
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
    if "pattern" in schema.get("not", {}):
        pattern = schema["not"]["pattern"]
        yield CheckConstraint(
            f"{column} !~ {quoted(pattern)}", name=f"{table}_{column}_not_{_digest(pattern)}"
        )
    if "enum" in schema:
        values = ", ".join(map(quoted, schema["enum"]))
        yield CheckConstraint(f"{column} IN ({values})", name=f"{table}_{column}_{'_'.join(schema['enum'])}")


def _item_checks(table: str, column: str, schema: Json) -> Iterator[CheckConstraint]:
    """The CHECK constraints of an array of texts that are all different.

    An object that is made of the items has each of them once, as key and as value. Functions on it are immutable, and
    need no subquery, which a constraint must not have.
    """
    items, most = _followed(schema["items"]), schema["maxItems"]
    each = f"jsonb_object({column}, {column})"
    yield CheckConstraint(
        f"cardinality({column}) BETWEEN 0 AND {most}", name=f"{table}_{column}_items_0_{most}"
    )
    yield CheckConstraint(
        f"jsonb_array_length(jsonb_path_query_array({each}, '$.*')) = cardinality({column})",
        name=f"{table}_{column}_unique",
    )
    least, longest, blank = items["minLength"], items["maxLength"], items["not"]["pattern"]
    for rule, path in {
        f"length_{least}_{longest}": f'$.* ? (!(@ like_regex "^.{{{least},{longest}}}$" flag "s"))',
        f"not_{_digest(blank)}": f"$.* ? (@ like_regex {json.dumps(blank)})",
    }.items():
        yield CheckConstraint(
            f"NOT jsonb_path_exists({each}, {quoted(path)})", name=f"{table}_{column}_item_{rule}"
        )


def quoted(value: str) -> str:
    """A text as SQL has it, in single quotes."""
    return "'" + value.replace("'", "''") + "'"


def _digest(value: str) -> str:
    return f"{crc32(value.encode()):08x}"


def _column(name: str) -> Column[Any]:
    """A column of text, dates or texts, that is nullable and has a default where the contract says so."""
    schema = _schema_of(name)
    if schema["type"] == "array":
        return Column(name, ARRAY(Text), nullable=False, server_default=text("'{}'"))
    kind = Date if schema.get("format") == "date" else Text
    return Column(name, kind, nullable="null" in schema["type"], server_default=schema.get("default"))


def _created_at() -> Column[Any]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text),
    _created_at(),
    *_checks("users", "id", _schema_of("user_id")),
    CheckConstraint("char_length(email) BETWEEN 1 AND 320", name="users_email_length_1_320"),
    Index("users_email_key", "email", unique=True),
    info=owned("id"),
)

tasks = Table(
    "tasks",
    metadata,
    Column(
        "user_id", Text, ForeignKey("users.id", ondelete="CASCADE", name="tasks_user_id_fkey"), nullable=False
    ),
    Column("id", BigInteger, Identity(), nullable=False),
    *map(_column, _GIVEN),
    _created_at(),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # Since when nobody sees it but who asks for changes; it can be brought back until it is purged.
    Column("deleted_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("user_id", "id", name="tasks_pkey"),
    *(check for name in _GIVEN for check in _checks("tasks", name, _schema_of(name))),
    Index(
        "tasks_newest_first",
        *("user_id", text("created_at DESC"), text("id DESC")),
        postgresql_where=text("deleted_at IS NULL"),
    ),
    Index("tasks_deleted", "user_id", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
    info=owned("user_id"),
)

# What a repeated creation answers again: the task's number and time; the rest of it is in the repeated request.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column(
        "user_id",
        Text,
        ForeignKey("users.id", ondelete="CASCADE", name="idempotency_keys_user_id_fkey"),
        nullable=False,
    ),
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("task_id", BigInteger, nullable=False),
    _created_at(),
    PrimaryKeyConstraint("user_id", "key", name="idempotency_keys_pkey"),
    *_checks("idempotency_keys", "key", _key_schema()),
    info=owned("user_id"),
)
