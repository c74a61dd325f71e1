"""The contract's schemas and operations as Python types. Generated from it."""

from datetime import date, datetime
from typing import Literal, NotRequired, Protocol, TypedDict, TypeVar

from openapi.bridge.answers import Answer

Caller = TypeVar("Caller", contravariant=True)

UserId = str
Number = int
Title = str
Author = str
Genre = Literal["fiction", "history", "science", "children"]
Published = date | None
DueDate = date
Timestamp = datetime


class Book(TypedDict):
    id: Number
    title: Title
    author: Author
    genre: Genre
    published: Published


class BookCreate(TypedDict):
    title: Title
    author: Author
    genre: Genre
    published: NotRequired[Published]


class Loan(TypedDict):
    id: Number
    user_id: UserId
    book_id: Number
    due_date: DueDate
    lent_at: Timestamp


class LoanCreate(TypedDict):
    book_id: Number
    due_date: DueDate


class Renewal(TypedDict):
    id: Number
    loan_id: Number
    due_date: DueDate
    renewed_at: Timestamp


class RenewalCreate(TypedDict):
    due_date: DueDate


class Health(TypedDict):
    status: Literal["ok"]


class Refusal(TypedDict):
    error: str


class BooksHandlers(Protocol[Caller]):
    async def list_books(
        self, caller: Caller, /, *, genre: Genre | None, limit: int, after: Number | None
    ) -> Answer[list[Book]]: ...

    async def create_book(self, caller: Caller, /, *, body: BookCreate) -> Answer[Book]: ...

    async def get_book(self, caller: Caller, /, *, id: Number) -> Answer[Book]: ...


class LoansHandlers(Protocol[Caller]):
    async def list_loans(self, caller: Caller, /, *, limit: int) -> Answer[list[Loan]]: ...

    async def borrow_book(self, caller: Caller, /, *, body: LoanCreate) -> Answer[Loan]: ...

    async def get_loan(self, caller: Caller, /, *, id: Number) -> Answer[Loan]: ...

    async def return_book(self, caller: Caller, /, *, id: Number) -> Answer[None]: ...

    async def list_renewals(self, caller: Caller, /, *, id: Number, limit: int) -> Answer[list[Renewal]]: ...

    async def renew_loan(self, caller: Caller, /, *, id: Number, body: RenewalCreate) -> Answer[Renewal]: ...


class HealthHandlers(Protocol[Caller]):
    async def get_liveness(self, caller: Caller, /) -> Answer[Health]: ...

    async def get_readiness(self, caller: Caller, /) -> Answer[Health]: ...
