"""What a request's head may say beyond what the parser looks at: its version, its host, and how long its body is."""

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import unquote

import httptools

from openapi.bridge.failures import Failure

# RFC 9112, section 3.2: `uri-host [ ":" port ]`, and RFC 3986, section 3.2.2, for what a host is.
_HOST = re.compile(
    rb"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|\[v[0-9a-f]+\.[\w.~!$&'()*+,;=:-]+\]"
    rb"|(?:[\w.~!$&'()*+,;=-]|%[0-9a-f]{2})*)(?::[0-9]*)?",
    re.IGNORECASE,
)
VERSIONS = ("1.1", "1.0")


class HeadTooLarge(Failure):
    """The headers are larger than the service reads (RFC 6585, section 5)."""

    status_code = 431
    sentence = "The headers of the request are too large. Send fewer or shorter ones"


class HeadError(Exception):
    """The head is no valid HTTP/1.1, or can be read in two ways; the message is a sentence for the client."""


def check_head(version: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Lets a head pass that has one meaning only.

    Args:
        version: as the parser has read it.
        headers: names in lower case, with their values.

    Raises:
        HeadError: for another version than 1.0 and 1.1; for no Host (RFC 9112, section 3.2), two, or one that
            is none; for a Transfer-Encoding other than `chunked` alone, or beside a Content-Length
            (RFC 9112, section 6.3).
    """
    if version not in VERSIONS:
        raise HeadError("The request must be HTTP/1.1 or HTTP/1.0")
    hosts = lengths = codings = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not _is_host(value):
                raise HeadError("The Host header must be a host name or address, with a port or without")
        elif name == b"content-length":
            lengths += 1
        elif name == b"transfer-encoding":
            codings += 1
            if value.lower() != b"chunked":
                raise HeadError("Transfer-Encoding must be chunked, and nothing else")
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise HeadError("The request must have one Host header")
    if codings > 1 or (codings and (lengths or version == "1.0")):
        raise HeadError("The request must say in one way how long its body is")


def _is_host(value: bytes) -> bool:
    match = _HOST.fullmatch(value)
    if match is None or match["ipv6"] is None:
        return match is not None
    try:
        IPv6Address(match["ipv6"].decode())
    except AddressValueError:
        return False
    return True


def read_target(target: bytes, root_path: str = "") -> tuple[str, bytes, bytes]:
    """The path, decoded and as it was sent, and the query of a request's target, be it in origin or absolute form.

    Args:
        root_path: is left out where the path begins with it, since not every proxy takes it away.

    Raises:
        HeadError: for a target that has no path (RFC 9112, section 3.2).
    """
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise HeadError("The request's target must be a path, or an http URL") from None
    raw_path = url.path or b"/"
    if root_path and raw_path.startswith(root_path.encode() + b"/"):
        raw_path = raw_path[len(root_path) :]
    path = raw_path.decode("ascii")
    return unquote(path) if "%" in path else path, raw_path, url.query or b""


def below(root_path: str, fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with the addresses in them as clients see them, who find the service below `root_path`.

    Absolute paths stand in Location (RFC 9110, section 10.2.2) and in the targets of Link (RFC 8288, section 3).
    """
    root = root_path.encode()
    return [
        (name, root + value)
        if name == b"location" and value.startswith(b"/")
        else (name, value.replace(b"</", b"<" + root + b"/"))
        if name == b"link"
        else (name, value)
        for name, value in fields
    ]
