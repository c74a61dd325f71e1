"""Addresses in answers, made from the paths of a contract."""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote, urlencode

from openapi.bridge.document.operations import Operation


def address_of(
    operation: Operation, query: Mapping[str, object] = MappingProxyType({}), **parameters: object
) -> str:
    """The path of an operation with its path parameters filled in, percent-encoded (RFC 3986, section 2.1).

    Args:
        query: query parameters by name; those that are None are left out, lists and tuples are repeated.
        parameters: the path parameters by name.
    """
    path = operation.path.format_map({name: segment(str(value)) for name, value in parameters.items()})
    given = {
        name: value if isinstance(value, list | tuple) else str(value)
        for name, value in query.items()
        if value is not None
    }
    # Numbers are texts by now: `urlencode` would find by an exception that each is no list.
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def segment(value: str) -> str:
    """A value as one segment of a path."""
    # As they are, these two would lead up and away (RFC 3986, section 5.2.4), and `quote` leaves them.
    return value.replace(".", "%2E") if value in (".", "..") else quote(value, safe="")
