"""Whether the service lives and can serve; each function has the name of its operationId in the contract."""

from typing import Any

from db.driver.database import Database
from openapi.bridge.answers import Answer


async def get_liveness(_database: Database) -> Answer[Any]:
    """Says that the event loop runs, and touches nothing else."""
    return Answer({"status": "ok"})


async def get_readiness(database: Database) -> Answer[Any]:
    """Says that the database answers; raises Unavailable if it does not."""
    await database.ping()
    return Answer({"status": "ok"})
