"""Whose the rows of a table are. Each table says it in its `info`: `Table(..., info=owned("user_id"))`."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Integer, MetaData, Select, Table, bindparam, literal_column, select

_KEY = "rows"
_ONE = literal_column("1", Integer)


class OwnershipError(Exception):
    """A table does not say whose its rows are, or cannot keep what it says; the message is one line for a person."""


def owned(column: str) -> dict[str, Any]:
    """Each row belongs to the user whom `column` names; row level security shows it to nobody else."""
    return {_KEY: (column, None)}


def owned_through(parent: str, column: str) -> dict[str, Any]:
    """Each row belongs to the owner of its row in the table `parent`.

    Args:
        column: the owner's; it is part of the foreign key to `parent`, so that no row has a parent of another user.
    """
    return {_KEY: (column, parent)}


def shared() -> dict[str, Any]:
    """Every user sees every row; who may change them is decided by scopes, and by what the role is granted."""
    return {_KEY: None}


def owners(metadata: MetaData) -> Mapping[Table, Column[Any]]:
    """The column of each owned table that names whose a row is; a shared table is not there.

    Raises:
        OwnershipError: for a table that does not say whose its rows are, or whose rows could have another's parent.
    """
    found = {}
    for table in metadata.sorted_tables:
        if _KEY not in table.info:
            raise OwnershipError(
                f"the table {table.name} does not say whose its rows are: give it "
                "info=owned(COLUMN), info=owned_through(PARENT, COLUMN) or info=shared()"
            )
        if (declared := table.info[_KEY]) is None:
            continue
        name, parent = declared
        if name not in table.c:
            raise OwnershipError(f"the table {table.name} has no column {name}, which should name its owner")
        found[table] = table.c[name]
        if parent is not None and not _includes_owner(table, metadata.tables.get(parent), name, found):
            raise OwnershipError(
                f"the table {table.name} is owned through {parent}, so a foreign key to {parent} must include {name} "
                f"and the owner of {parent}"
            )
    return found


def own_row(metadata: MetaData) -> Select[Any] | None:
    """A reading of what the user `tenant` has in the first owned table; None where no table is owned."""
    for owner in owners(metadata).values():
        return select(_ONE).where(owner == bindparam("tenant")).limit(_ONE)
    return None


def _includes_owner(
    table: Table, parent: Table | None, name: str, found: Mapping[Table, Column[Any]]
) -> bool:
    return parent in found and any(
        key.referred_table is parent
        and any(element.parent.name == name and element.column is found[parent] for element in key.elements)
        for key in table.foreign_key_constraints
    )
