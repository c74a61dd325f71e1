"""The product that this project is: tasks."""

from functools import cache

from db import statements
from db.driver.database import Database, Tenant
from db.migrations import migrations
from db.models import NAMES, metadata
from db.tables import Tables
from handlers import changes, health, tasks, users
from openapi.contract import contract
from openapi.types import ChangesHandlers, HealthHandlers, TasksHandlers, UsersHandlers
from server.product import Product

# The types say that each module has a handler for every operation of its tag, with the contract's own types.
_tasks: TasksHandlers[Tenant] = tasks
_changes: ChangesHandlers[Tenant] = changes
_users: UsersHandlers[Tenant] = users
_health: HealthHandlers[Database] = health


@cache
def todo() -> Product:
    """The todo service; raises ContractError if its contract is not one."""
    return Product(
        contract(),
        (_tasks, _changes, _users, _health),
        Tables(NAMES, metadata, migrations, statements.register()),
    )
