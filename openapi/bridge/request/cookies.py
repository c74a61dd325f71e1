"""Cookies as a request brings them (RFC 6265, section 4.2.1)."""

import re

# How Python's servers write what a cookie may not hold.
_ESCAPE = re.compile(r"\\([0-3][0-7]{2}|.)", re.DOTALL)


def read_cookies(text: str) -> dict[str, str]:
    """The values of a Cookie header by name, without the quotation marks around them; of two of a name the last.

    In linear time, which Python's own parser takes from 3.11.10 and 3.12.6 on only (CVE-2024-7592).
    """
    pairs = (pair.partition("=") for pair in text.split(";") if "=" in pair)
    return {name.strip(): _unquoted(value.strip()) for name, _, value in pairs}


def _unquoted(value: str) -> str:
    if len(value) < 2 or not (value[0] == value[-1] == '"'):
        return value
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)) if len(found[1]) == 3 else found[1], value[1:-1])
