"""The behaviour of the library's operations; each function has the name of its operationId in the contract."""

from typing import Any

from db.driver.database import Tenant
from examples.library import statements
from examples.library.contract import contract
from examples.library.failures import BookNotFound, LoanNotFound
from examples.library.types import Book, BookCreate, Genre, Loan, LoanCreate, Renewal, RenewalCreate
from openapi.bridge.addresses import address_of
from openapi.bridge.answers import Answer


async def list_books(
    tenant: Tenant, genre: Genre | None, limit: int, after: int | None
) -> Answer[list[Book]]:
    """The books by their numbers; `Link` leads on where there are more than `limit`."""
    statement = statements.list_books(genre is not None, after is not None)
    # One book more than asked for shows whether there is a next page.
    rows = await tenant.fetch(statement, genre=genre, after=after, limit=limit + 1)
    if len(rows) <= limit:
        return Answer(rows)
    query = {"genre": genre, "limit": limit, "after": rows[limit - 1]["id"]}
    address = address_of(contract().operations["list_books"], query)
    return Answer(rows[:limit], {"Link": f'<{address}>; rel="next"'})


async def create_book(tenant: Tenant, body: BookCreate) -> Answer[Book]:
    """The new book; the contract asks for the scope of a librarian."""
    book: Book = await tenant.fetch_one(statements.create_book(), **{"published": None, **body})
    location = address_of(contract().operations["get_book"], id=book["id"])
    return Answer(book, {"Location": location})


async def get_book(tenant: Tenant, id: int) -> Answer[Book]:
    """The book of this number."""
    book: Book | None = await tenant.fetch_one(statements.get_book(), id=id)
    if book is None:
        raise BookNotFound
    return Answer(book)


async def list_loans(tenant: Tenant, limit: int) -> Answer[list[Loan]]:
    """The reader's loans."""
    return Answer(await tenant.fetch(statements.list_loans(), limit=limit))


async def borrow_book(tenant: Tenant, body: LoanCreate) -> Answer[Loan]:
    """The new loan of a book that the library has."""
    loan: Loan | None = await tenant.fetch_one(statements.borrow_book(), **body)
    if loan is None:
        raise BookNotFound
    location = address_of(contract().operations["get_loan"], user_id=tenant.user_id, id=loan["id"])
    return Answer(loan, {"Location": location})


async def get_loan(tenant: Tenant, id: int) -> Answer[Loan]:
    """The reader's loan of this number."""
    return Answer(_found(await tenant.fetch_one(statements.get_loan(), id=id)))


async def return_book(tenant: Tenant, id: int) -> Answer[None]:
    """Nothing, once the loan has ended."""
    _found(await tenant.fetch_one(statements.return_book(), id=id))
    return Answer(None)


async def list_renewals(tenant: Tenant, id: int, limit: int) -> Answer[list[Renewal]]:
    """The renewals of one of the reader's loans."""
    rows = _found(await tenant.fetch(statements.list_renewals(), id=id, limit=limit) or None)
    return Answer([row for row in rows if row["id"] is not None])


async def renew_loan(tenant: Tenant, id: int, body: RenewalCreate) -> Answer[Renewal]:
    """The renewal of one of the reader's loans, which has moved its due date."""
    return Answer(_found(await tenant.fetch_one(statements.renew_loan(), id=id, **body)))


def _found(row: Any) -> Any:
    if row is None:
        raise LoanNotFound
    return row
