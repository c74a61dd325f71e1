"""Addresses in answers, made from the paths of the contract."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from openapi.contract import contract


def task_address(user_id: str, id: int) -> str:
    """The path of a task (RFC 9110, `Location`): where the contract has it read, or changed, or deleted."""
    known = contract().operations
    operation_id = next(
        name for name in ("get_task", "update_task", "delete_task", "create_task") if name in known
    )
    return _path(operation_id, user_id=user_id, id=str(id))


def next_page(user_id: str, query: Mapping[str, object]) -> str:
    """A `Link` to the list with these query parameters, those that are None left out (RFC 8288)."""
    given = {name: value for name, value in query.items() if value is not None}
    return f'<{_path("list_tasks", user_id=user_id)}?{urlencode(given, doseq=True)}>; rel="next"'


def _path(operation_id: str, **parameters: str) -> str:
    path = contract().operations[operation_id].path
    return path.format_map({name: _segment(value) for name, value in parameters.items()})


def _segment(value: str) -> str:
    # As they are, these two would lead up and away (RFC 3986, section 5.2.4), and `quote` leaves them.
    return value.replace(".", "%2E") if value in (".", "..") else quote(value, safe="")
