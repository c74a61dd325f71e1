"""All that one user has stored, of any service: the rows of each owned table, read as that user."""

from collections.abc import AsyncIterator
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Column, DateTime, MetaData, Select, Table, bindparam, func, select, tuple_

from db.driver.database import Tenant
from db.driver.ownership import owners

PAGE = 500


class Row(NamedTuple):
    """One row of a user: its table, and what its columns hold, times in UTC without their zone."""

    table: str
    values: dict[str, Any]


async def stored_by(tenant: Tenant, metadata: MetaData, page: int = PAGE) -> AsyncIterator[Row]:
    """Every row of the tenant, by table and primary key, also of what no operation shows any more.

    Each page is a transaction of its own, so a row that changes meanwhile is as it was before or after.

    Args:
        metadata: the tables; what a row belongs to comes before it.

    Raises:
        OwnershipError: for a table that does not say whose its rows are.
        Unavailable: for trouble that passes.
    """
    for table, owner in owners(metadata).items():
        key = list(table.primary_key.columns)
        values: dict[str, Any] = {}
        while rows := await tenant.fetch(_rows(table, owner, continued=bool(values)), limit=page, **values):
            for row in rows:
                yield Row(table.name, row)
            values = {f"last_{column.name}": rows[-1][column.name] for column in key}


@cache
def _rows(table: Table, owner: Column[Any], *, continued: bool) -> Select[Any]:
    key = list(table.primary_key.columns)
    page = select(*map(_whole, table.columns)).where(owner == bindparam("tenant")).order_by(*key)
    if continued:
        last = [bindparam(f"last_{column.name}", type_=column.type) for column in key]
        page = page.where(tuple_(*key) > tuple_(*last))
    return page.limit(bindparam("limit"))


def _whole(column: Column[Any]) -> Any:
    is_zoned = isinstance(column.type, DateTime) and column.type.timezone
    return (func.timezone("UTC", column) if is_zoned else column).label(column.name)
