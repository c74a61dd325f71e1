"""Addresses in answers, made from the paths of the contract."""

from collections.abc import Mapping
from functools import cache

from openapi.bridge.addresses import address_of
from openapi.bridge.document.operations import Operation
from openapi.contract import contract


def task_address(user_id: str, id: int) -> str:
    """The path of a task (RFC 9110, `Location`): where the contract has it read, or changed, or deleted."""
    operation = _operation_of_task()
    return address_of(operation, {}, **{str(operation.owner): user_id}, id=id)


@cache
def _operation_of_task() -> Operation:
    known = contract().operations
    return next(
        known[name] for name in ("get_task", "update_task", "delete_task", "create_task") if name in known
    )


def next_page(user_id: str, query: Mapping[str, object]) -> str:
    """A `Link` to the list with these query parameters, those that are None left out (RFC 8288)."""
    operation = contract().operations["list_tasks"]
    return f'<{address_of(operation, query, **{str(operation.owner): user_id})}>; rel="next"'
