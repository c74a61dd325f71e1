"""The library's tables: books for everybody, loans of one reader each, renewals that belong to a loan's reader."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
)

from db.contract_columns import checks, column, created_at, member
from db.driver.names import Names
from db.driver.ownership import owned, owned_through, shared
from examples.library.contract import contract

NAMES = Names("library", "library.user_id")
metadata = MetaData()

_BOOK = {name: member(contract(), "Book", name) for name in ("title", "author", "genre", "published")}
_READER = member(contract(), "Loan", "user_id")
_DUE_DATE = member(contract(), "Loan", "due_date")

books = Table(
    "books",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    *(column(name, schema) for name, schema in _BOOK.items()),
    *(check for name, schema in _BOOK.items() for check in checks("books", name, schema)),
    Index("books_by_genre", "genre", "id"),
    info=shared(),
)

loans = Table(
    "loans",
    metadata,
    column("user_id", _READER),
    Column("id", BigInteger, Identity(), nullable=False),
    Column("book_id", BigInteger, ForeignKey("books.id", name="loans_book_id_fkey"), nullable=False),
    column("due_date", _DUE_DATE),
    created_at("lent_at"),
    PrimaryKeyConstraint("user_id", "id", name="loans_pkey"),
    *checks("loans", "user_id", _READER),
    *checks("loans", "due_date", _DUE_DATE),
    info=owned("user_id"),
)

renewals = Table(
    "renewals",
    metadata,
    column("user_id", _READER),
    Column("loan_id", BigInteger, nullable=False),
    Column("id", BigInteger, Identity(), nullable=False),
    column("due_date", _DUE_DATE),
    created_at("renewed_at"),
    PrimaryKeyConstraint("user_id", "loan_id", "id", name="renewals_pkey"),
    ForeignKeyConstraint(
        ["user_id", "loan_id"], ["loans.user_id", "loans.id"], name="renewals_loan_fkey", ondelete="CASCADE"
    ),
    *checks("renewals", "due_date", _DUE_DATE),
    info=owned_through("loans", "user_id"),
)
