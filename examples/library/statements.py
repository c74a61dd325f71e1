"""Every query of the library; those on loans and renewals are bound to their reader by the parameter `tenant`."""

from functools import cache
from typing import Any

from sqlalchemy import Select, Text, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert

from examples.library.models import books, loans, renewals

_tenant = bindparam("tenant", type_=Text)
_this_loan = and_(loans.c.user_id == _tenant, loans.c.id == bindparam("id"))
_loan = [
    *loans.c["id", "user_id", "book_id", "due_date"],
    func.timezone("UTC", loans.c.lent_at).label("lent_at"),
]
_renewal = [
    *renewals.c["id", "loan_id", "due_date"],
    func.timezone("UTC", renewals.c.renewed_at).label("renewed_at"),
]


@cache
def list_books(filtered: bool, continued: bool) -> Select[Any]:
    """At most `limit` books by their numbers.

    Args:
        filtered: only those of the genre `genre`.
        continued: only those that follow the number `after`.
    """
    statement = select(books).order_by(books.c.id).limit(bindparam("limit"))
    if filtered:
        statement = statement.where(books.c.genre == bindparam("genre"))
    if continued:
        statement = statement.where(books.c.id > bindparam("after"))
    return statement


@cache
def create_book() -> ReturningInsert[Any]:
    """Inserts a book."""
    given: dict[str, Any] = {name: bindparam(name) for name in ("title", "author", "genre", "published")}
    return insert(books).values(**given).returning(books)


@cache
def get_book() -> Select[Any]:
    """The book `id`."""
    return select(books).where(books.c.id == bindparam("id"))


@cache
def list_loans() -> Select[Any]:
    """At most `limit` of the reader's loans, those first that are due first."""
    own = loans.c.user_id == _tenant
    return select(*_loan).where(own).order_by(loans.c.due_date, loans.c.id).limit(bindparam("limit"))


@cache
def borrow_book() -> ReturningInsert[Any]:
    """Inserts a loan of the book `book_id`; answers no row where there is no such book."""
    book = select(_tenant, books.c.id, bindparam("due_date", type_=loans.c.due_date.type))
    source = book.where(books.c.id == bindparam("book_id"))
    return insert(loans).from_select(["user_id", "book_id", "due_date"], source).returning(*_loan)


@cache
def get_loan() -> Select[Any]:
    """The reader's loan `id`."""
    return select(*_loan).where(_this_loan)


@cache
def return_book() -> ReturningDelete[Any]:
    """Deletes the reader's loan `id`, its renewals with it."""
    return delete(loans).where(_this_loan).returning(loans.c.id)


@cache
def list_renewals() -> Select[Any]:
    """At most `limit` renewals of the reader's loan `id`, the first one first; NULLs for a loan without any."""
    found = select(*_renewal).select_from(loans.outerjoin(renewals)).where(_this_loan)
    return found.order_by(renewals.c.id).limit(bindparam("limit"))


@cache
def renew_loan() -> ReturningInsert[Any]:
    """Moves the due date of the reader's loan `id` and notes it; answers no row where there is no such loan."""
    due_date = bindparam("due_date", type_=loans.c.due_date.type)
    moved = update(loans).where(_this_loan).values(due_date=due_date).returning(loans.c.id).cte("moved")
    source = select(_tenant, moved.c.id, due_date)
    return insert(renewals).from_select(["user_id", "loan_id", "due_date"], source).returning(*_renewal)
