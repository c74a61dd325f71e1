"""What concerns a user's data as a whole; each function has the name of its operationId in the contract."""

from db import statements
from db.driver.database import Tenant
from openapi.bridge.answers import Answer


async def delete_user(tenant: Tenant) -> Answer[None]:
    """Nothing, once nothing of the user is left."""
    await tenant.fetch(statements.delete_user())
    tenant.forget()
    return Answer(None)
