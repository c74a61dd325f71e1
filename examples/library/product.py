"""The library as a service: its contract, its handlers and its tables."""

from functools import cache
from pathlib import Path

from db.admin.migrate import Migrations
from db.driver.database import Database, Tenant
from db.tables import Tables
from examples.library import handlers
from examples.library.contract import contract
from examples.library.models import NAMES, metadata
from examples.library.types import BooksHandlers, HealthHandlers, LoansHandlers
from handlers import health
from server.product import Product

# The types say that there is a handler for every operation, with the contract's own types.
_books: BooksHandlers[Tenant] = handlers
_loans: LoansHandlers[Tenant] = handlers
_health: HealthHandlers[Database] = health
MIGRATIONS = Migrations(Path(__file__).with_name("migrations"), "python -m examples.library", NAMES)


@cache
def library() -> Product:
    """The library; raises ContractError if its contract is not one."""
    return Product(contract(), (_books, _health), Tables(NAMES, metadata, MIGRATIONS))
