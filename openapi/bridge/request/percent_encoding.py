"""Percent-encoding as URIs have it (RFC 3986, section 2.1)."""

import re
from urllib.parse import unquote_to_bytes

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def decoded(raw: bytes) -> str | None:
    """The text that percent-encoded UTF-8 stands for; None for a broken escape and for bytes that are not UTF-8."""
    if _BROKEN_ESCAPE.search(raw):
        return None
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        return None
