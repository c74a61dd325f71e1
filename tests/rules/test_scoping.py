"""The check of `make lint` that no statement forgets its owner, and that each table says whose its rows are."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    MetaData,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql import ClauseElement

from db import statements
from db.admin.isolation import IsolationError, isolation_of
from db.driver.ownership import OwnershipError, owned, owned_through, owners, shared
from db.models import NAMES, idempotency_keys, metadata, tasks, users
from lint import scoping
from lint.__main__ import choices

TENANT = bindparam("tenant", type_=Text)
OWN = tasks.c.user_id == TENANT
THIS = tasks.c.id == bindparam("id")
ALIAS = tasks.alias("other")
KEYS = insert(idempotency_keys).values(user_id=TENANT, key="k", fingerprint="f", task_id=1)


def test_our_own_statements_are_in_order(database_url: str) -> None:
    """Every public function of `db.statements` makes statements, and each of these is bound to its owner."""
    made = list(scoping.statements(statements, choices()))
    assert [] == list(scoping.scoping_faults(database_url, metadata, made))
    public = {name: value for name, value in vars(statements).items() if callable(value) and name[0] != "_"}
    assert {
        f"db.statements.{name}" for name, value in public.items() if value.__module__ == "db.statements"
    } == {call.partition("(")[0] for call, _ in made}


@pytest.mark.parametrize(
    ("fault", "statement"),
    [
        ("reads tasks", select(tasks.c.id)),
        ("reads tasks", select(tasks.c.id).where(or_(OWN, THIS))),
        ("reads tasks", select(tasks.c.id).where(tasks.c.user_id != TENANT)),
        ("reads tasks", select(tasks.c.id).where(tasks.c.user_id == bindparam("other"))),
        ("reads tasks", select(tasks.c.id).where(tasks.c.title == TENANT)),
        ("reads tasks", select(ALIAS.c.id).select_from(tasks, ALIAS).where(OWN)),
        ("reads tasks", select(tasks.c.id).where(OWN).union_all(select(tasks.c.id))),
        ("reads users", select(tasks.c.id).where(OWN, exists(select(users.c.id)))),
        ("reads tasks", select(text("1")).select_from(text("tasks"))),
        ("reads users", select(literal_column("EXISTS (SELECT FROM users)"))),
        ("reads tasks", select(update(tasks).values(title="x").returning(tasks.c.id).cte("changed"))),
        ("gives rows of tasks away", update(tasks).values(user_id=bindparam("other")).where(OWN)),
        ("reads tasks", delete(tasks).where(or_(and_(OWN, THIS), THIS))),
        ("inserts into tasks", insert(tasks).values(user_id=bindparam("other"), title="x")),
        (
            "inserts into tasks",
            insert(tasks).from_select(["user_id", "title"], select(bindparam("other"), bindparam("title"))),
        ),
        (
            "inserts into users",
            insert(tasks).values(user_id=TENANT, title="x").add_cte(insert(users).values(id="x").cte("one")),
        ),
        (
            "replaces in users",
            insert(users)
            .values(id=TENANT, email="e")
            .on_conflict_do_update(index_elements=["email"], set_={"email": "f"}),
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Column 'tasks.user_id' is marked as a member of the primary key")
def test_a_statement_that_forgets_its_owner_is_found(
    database_url: str, fault: str, statement: ClauseElement
) -> None:
    """A read, change or insertion that is not bound to `:tenant`, wherever in the statement it stands, is a fault."""
    assert f"this {fault}" in next(scoping.scoping_faults(database_url, metadata, [("this", statement)]))


@pytest.mark.parametrize(
    "statement",
    [
        select(tasks.c.id).where(and_(THIS, and_(OWN, tasks.c.title == "x"))),
        select(ALIAS.c.id).where(ALIAS.c.user_id == TENANT),
        select(tasks.c.id).join(users, users.c.id == tasks.c.user_id).where(OWN),
        update(tasks).values(title="x").where(OWN),
        delete(tasks).where(OWN),
        KEYS.on_conflict_do_update(index_elements=["user_id", "key"], set_={"fingerprint": "f"}),
    ],
)
def test_a_statement_that_names_its_owner_passes(database_url: str, statement: ClauseElement) -> None:
    """What is bound to `:tenant` by a condition that always holds, or by a join with what is, is in order."""
    assert [] == list(scoping.scoping_faults(database_url, metadata, [("this", statement)]))


def test_a_statement_that_cannot_be_made_is_named() -> None:
    """A parameter that does not say what it can be is refused, so that no statement goes unseen."""
    module = ModuleType("made")

    def find(order: str, fields: Sequence[str]) -> ClauseElement:
        return select(tasks.c.id)

    find.__module__ = "made"
    module.__dict__["find"] = find
    with pytest.raises(TypeError, match=r"^find: .* order .*str"):
        list(scoping.statements(module))


def library(loans: dict[str, Any], renewals: dict[str, Any]) -> MetaData:
    """Loans, and renewals of them, with what each table says of its rows."""
    made = MetaData()
    key = Column("user_id", Text, primary_key=True), Column("id", Text, primary_key=True)
    Table("loans", made, *key, info=loans)
    Table(
        "renewals",
        made,
        Column("user_id", Text),
        Column("loan_id", Text),
        ForeignKeyConstraint(["user_id", "loan_id"], ["loans.user_id", "loans.id"]),
        info=renewals,
    )
    return made


def test_each_table_says_whose_its_rows_are() -> None:
    """The owner's column is found for tables that are owned, also through a parent, and not for what is shared."""
    every = library(loans=owned("user_id"), renewals=owned_through("loans", "user_id"))
    assert ["loans.user_id", "renewals.user_id"] == list(map(str, owners(every).values()))
    assert ["loans"] == [table.name for table in owners(library(loans=owned("user_id"), renewals=shared()))]


@pytest.mark.parametrize(
    ("loans", "renewals", "sentence"),
    [
        (owned("user_id"), {}, "the table renewals does not say whose its rows are: give it info=owned"),
        (owned("reader"), shared(), "the table loans has no column reader, which should name its owner"),
        (owned("user_id"), owned_through("loans", "loan_id"), "a foreign key to loans must include loan_id"),
        (shared(), owned_through("loans", "user_id"), "a foreign key to loans must include user_id"),
        (
            owned("user_id"),
            owned_through("nothing", "user_id"),
            "a foreign key to nothing must include user_id",
        ),
    ],
)
def test_a_table_that_does_not_say_it_is_refused(
    loans: dict[str, Any], renewals: dict[str, Any], sentence: str
) -> None:
    """A table that says nothing, or whose rows could have a parent of another user, is refused, at a start too."""
    tables = library(loans, renewals)
    with pytest.raises(OwnershipError, match=sentence):
        owners(tables)
    with pytest.raises(IsolationError, match=sentence):
        isolation_of("postgresql:///todo", tables, NAMES)
