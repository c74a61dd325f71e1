"""The origins of the front ends that may call from a browser, as the setting CORS_ORIGINS names them."""

import re
from typing import Any

# One `*`, in the first label of a host that has two more at least: it stands for characters other than the dot.
_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|[a-z0-9_-]*\*[a-z0-9_-]*(\.[a-z0-9_-]+){2,}|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def read_origins(text: Any) -> Any:
    """Comma-separated origins in the form in which browsers send them (RFC 6454, section 6.2).

    Raises:
        ValueError: for what is no list of origins.
    """
    if not isinstance(text, str):
        return text
    origins = [origin.strip().lower() for origin in text.split(",")]
    if origins != ["*"] and not all(map(_ORIGIN.fullmatch, origins)):
        raise ValueError
    return tuple(origin.removesuffix(_DEFAULT_PORTS.get(origin.partition(":")[0], ",")) for origin in origins)
