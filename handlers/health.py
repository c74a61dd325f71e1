"""Whether the service lives and can serve; each function has the name of its operationId in the contract."""

from db.driver.database import Database
from openapi.bridge.answers import Answer
from openapi.types import Health


async def get_liveness(_database: Database) -> Answer[Health]:
    """Says that the event loop runs, and touches nothing else."""
    return Answer({"status": "ok"})


async def get_readiness(database: Database) -> Answer[Health]:
    """Says that the database answers; raises Unavailable if it does not."""
    await database.ping()
    return Answer({"status": "ok"})
