"""What `todo-api user export` reads of a user, of the tables of any service."""

import httpx
import pytest

from db.admin.export import stored_by
from db.driver.database import Database, Tenant
from db.models import NAMES, metadata
from tests.support.played import played
from tests.support.pools import pool_of
from tests.support.running import Service


@pytest.mark.parametrize("page", [1, 2, 5, 1000])
@played
async def test_every_page_is_read(
    service: Service, client: httpx.Client, tasks: str, user: str, database_url: str, page: int
) -> None:
    """However few rows are read at once, each comes once, what belongs to another after it, and nobody else's."""
    ids = [
        client.post(tasks, json={"title": str(n)}, headers={"Idempotency-Key": f"key {n}"}).json()["id"]
        for n in range(5)
    ]
    with service.client(f"{user} 2") as other:
        other.post(f"/api/{user} 2/tasks", json={"title": "Another's"})

    async with pool_of(database_url) as pool:
        tenant = Tenant(Database(pool, NAMES), user, {})
        rows = [row async for row in stored_by(tenant, metadata, page)]

    assert ["users", *["idempotency_keys"] * 5, *["tasks"] * 5] == [row.table for row in rows]
    assert [f"key {n}" for n in range(5)] == [row.values["key"] for row in rows[1:6]]
    assert [user, *ids] == [row.values["id"] for row in (rows[0], *rows[6:])]
