"""Addresses in answers, made from the paths of a contract."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote, quote_plus

from openapi.bridge.document.operations import Operation

# What stands for itself (RFC 3986, section 2.3), as most values do; to look takes a fifth of quoting them.
_PLAIN = re.compile(r"(?!\.)[\w.~-]+", re.ASCII)


def address_of(
    operation: Operation, query: Mapping[str, object] = MappingProxyType({}), **parameters: object
) -> str:
    """The path of an operation with its path parameters filled in, percent-encoded (RFC 3986, section 2.1).

    Args:
        query: query parameters by name; those that are None are left out, lists and tuples are repeated.
        parameters: the path parameters by name.
    """
    path = operation.path.format_map({name: segment(str(value)) for name, value in parameters.items()})
    given = [
        f"{_field(name)}={_field(str(each))}"
        for name, value in query.items()
        if value is not None
        for each in (value if isinstance(value, list | tuple) else (value,))
    ]
    return f"{path}?{'&'.join(given)}" if given else path


def segment(value: str) -> str:
    """A value as one segment of a path."""
    if _PLAIN.fullmatch(value):
        return value
    # As they are, these two would lead up and away (RFC 3986, section 5.2.4), and `quote` leaves them.
    return value.replace(".", "%2E") if value in (".", "..") else quote(value, safe="")


def _field(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote_plus(text)
