"""What concerns a user's data as a whole; each function has the name of its operationId in the contract."""

from db import statements
from db.driver.database import Tenant
from handlers.entity_tags import require_untagged
from openapi.bridge.answers import Answer


async def delete_user(tenant: Tenant, if_match: str | None, if_none_match: str | None) -> Answer[None]:
    """Nothing, once nothing of the user is left."""
    require_untagged(if_match, if_none_match)
    await tenant.fetch(statements.delete_user())
    tenant.forget()
    return Answer(None)
