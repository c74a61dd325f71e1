"""Percent-encoding as URIs have it (RFC 3986, section 2.1)."""

import re
from urllib.parse import unquote_to_bytes

MAX_PAIRS = 1000
"""How many parameters a query may have, and how many fields a form: each costs more than its bytes."""

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def decoded(raw: bytes) -> str | None:
    """The text that percent-encoded UTF-8 stands for; None for a broken escape and for bytes that are not UTF-8."""
    if _BROKEN_ESCAPE.search(raw):
        return None
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        return None


def pairs_of(raw: bytes) -> list[str] | None:
    """What stands between the `&` of a query or a form (URL Standard, section 5.1); None for what is not
    percent-encoded UTF-8.

    Where there are more than MAX_PAIRS, the last holds all that follow.
    """
    if not raw.isascii() or (b"%" in raw and decoded(raw) is None):
        return None
    return raw.decode("ascii").split("&", MAX_PAIRS)
