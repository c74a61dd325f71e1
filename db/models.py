"""The tables. What the contract limits is limited here too, by constraints that `db.contract_columns` reads from it."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)

from db.contract_columns import checks, column, created_at, member
from db.driver.names import Names
from db.driver.ownership import owned
from openapi.bridge.document.places import Json
from openapi.contract import contract

metadata = MetaData()
# What the service calls its roles and functions in the database.
NAMES = Names("todo")

# The members of a task that a client gives.
_GIVEN = ("title", "description", "status", "priority", "due_date", "tags")
_MEMBERS = {name: member(contract(), "Task", name) for name in _GIVEN}
# `TaskCreate` says so in words, since openapi-generator makes Java that does not compile of an array's default beside a
# `$ref`.
_MEMBERS["tags"]["default"] = []


def _key_schema() -> Json:
    parameters = contract().operations["create_task"].parameters
    return next(place.node["schema"] for place in parameters if place.node["name"] == "Idempotency-Key")


users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text),
    created_at(),
    *checks("users", "id", member(contract(), "Task", "user_id")),
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
    *(column(name, schema) for name, schema in _MEMBERS.items()),
    created_at(),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # Since when nobody sees it but who asks for changes; it can be brought back until it is purged.
    Column("deleted_at", DateTime(timezone=True)),
    # How many the user had when it was made, itself included, or had deleted if that was more, so that few creations
    # have to count (see migration 0007).
    Column("ordinal", Integer),
    PrimaryKeyConstraint("user_id", "id", name="tasks_pkey"),
    *(check for name, schema in _MEMBERS.items() for check in checks("tasks", name, schema)),
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
    Column("ordinal", Integer),
    created_at(),
    PrimaryKeyConstraint("user_id", "key", name="idempotency_keys_pkey"),
    *checks("idempotency_keys", "key", _key_schema()),
    info=owned("user_id"),
)
