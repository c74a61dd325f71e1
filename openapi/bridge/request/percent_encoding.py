"""Percent-encoding as URIs have it (RFC 3986, section 2.1)."""

import re
from collections.abc import Callable
from urllib.parse import unquote_plus, unquote_to_bytes

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


def pairs_of(
    raw: bytes, subject: str, parts: str, refusal: Callable[[str], Exception]
) -> dict[str, list[str]]:
    """The values, still encoded, of a query or a form by their names (URL Standard, section 5.1), strictly UTF-8.

    Args:
        subject: what the whole is called in a sentence, and its `parts`.
        refusal: makes what is raised of a sentence.
    """
    if not raw.isascii() or (b"%" in raw and decoded(raw) is None):
        raise refusal(f"{subject} must be percent-encoded UTF-8")
    pairs = raw.decode("ascii").split("&", MAX_PAIRS)
    if len(pairs) > MAX_PAIRS:
        raise refusal(f"{subject} must have {MAX_PAIRS} {parts} or less")
    by_name: dict[str, list[str]] = {}
    for pair in filter(None, pairs):
        name, _, value = pair.partition("=")
        by_name.setdefault(unquote_plus(name), []).append(value)
    return by_name
