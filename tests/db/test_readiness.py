"""The question whether the database answers, where it is spread over machines of which one is away."""

import pytest

from db.driver.messages import Message
from db.driver.readiness import Readiness
from db.driver.url import libpq_parameters
from tests.support.played import played

# Citus makes 32 shards by the hash of the user, and gives them to its machines in turn.
SHARD = "((hashtext(%(tenant)s)::bigint + 2147483648) / 134217728)"


@pytest.mark.parametrize(
    ("machines", "away"), [(count, one) for count in range(2, 9) for one in range(count)]
)
@played
async def test_one_machine_that_is_away_takes_no_server_out(
    database_url: str, machines: int, away: int
) -> None:
    """Whichever machine of Citus is away, at least one of the four users is another's, so the service is ready."""
    asked = Message(f"SELECT 1 / ({SHARD} %% {machines} - {away})")
    readiness = Readiness(libpq_parameters(database_url), asked)
    try:
        await readiness.check()
    finally:
        readiness.close()
