"""What a setting consists of: what it is for, how its text is read, and which values are refused."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import field
from importlib.util import find_spec
from typing import Any

from db.driver.url import libpq_parameters
from server.identity.issuer import discovery_addresses, is_loopback, trusted_address
from server.identity.keys import SharedSecret

# From 1 to 65535, as browsers write it.
PORT = "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
# One `*`, in the first label of a host that has two more at least: it stands for characters other than the dot.
_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|[a-z0-9_-]*\*[a-z0-9_-]*(\.[a-z0-9_-]+){2,}|\[[0-9a-f:.]+\])" + PORT
)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

# The values of the settings before one, by name. What is missing was set, and was wrong.
Earlier = Mapping[str, Any]


class Reason(ValueError):  # noqa: N818 - it is raised for what others set, and says why that is refused
    """What is said of a wrong value instead of the setting's rule. Other errors' texts might repeat the value."""


def setting(
    default: object,
    title: str,
    rule: str,
    read: Callable[[str], object] = str,
    check: Callable[[Any, Earlier], None] = lambda _value, _earlier: None,
    *,
    is_secret: bool = False,
) -> Any:
    """A field of the settings.

    Args:
        default: its value where it is not set, or a function that has it.
        title: what it is for.
        rule: what its value must be, which is said of any value that is not.
        read: makes the value from its text; raises ValueError for a text that is none.
        check: raises ValueError for a value that is wrong in itself or beside the settings before it; the default is
            checked too.
    """
    metadata = {"title": title, "rule": rule, "read": read, "check": check}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, repr=not is_secret, metadata=metadata)


def matching(pattern: str) -> Callable[[str], str]:
    """Reads a text that the whole pattern matches."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text, re.DOTALL):
            raise ValueError
        return text

    return read


def number(kind: Callable[[str], float], most: int) -> Callable[[str], float]:
    """Reads a number above 0, of the kind `int` or `float`."""

    # Python would take 80_00 too, and the digits of any script.
    plain = matching("[0-9.eE+-]+")

    def read(text: str) -> float:
        value = kind(plain(text))
        if not 0 < value <= most:
            raise ValueError
        return value

    return read


def one_of(*words: str) -> Callable[[str], str]:
    """Reads one of the words, however its letters are written."""
    in_small_letters = [word.lower() for word in words]
    return lambda text: words[in_small_letters.index(text.lower())]


def origins(text: str) -> tuple[str, ...]:
    """Comma-separated origins in the form in which browsers send them (RFC 6454, section 6.2)."""
    found = [origin.strip().lower() for origin in text.split(",")]
    if found != ["*"] and not all(map(_ORIGIN.fullmatch, found)):
        raise ValueError
    return tuple(origin.removesuffix(_DEFAULT_PORTS.get(origin.partition(":")[0], ",")) for origin in found)


def host_name(text: str) -> str:
    """An IP address or a host name."""
    if not re.fullmatch("[0-9A-Za-z._-]{1,253}", text):
        ipaddress.ip_address(text)
    return text


def is_postgresql(url: str | None, _earlier: Earlier) -> None:
    """Refuses what is no URL of a PostgreSQL, in the words of the fault."""
    if url:
        try:
            libpq_parameters(url)
        except ValueError as error:
            raise Reason(str(error)) from None


def is_strong(secret: bytes | None, _earlier: Earlier) -> None:
    """Refuses a secret that is none, or too short."""
    if secret:
        SharedSecret(secret)


def is_trustworthy(url: str | None, earlier: Earlier) -> None:
    """Refuses an address of keys that others could answer, and one beside a secret."""
    if url:
        if _is_set(earlier, "auth_jwt_secret"):
            raise Reason("must not be set beside AUTH_JWT_SECRET; keep the one that verifies your tokens")
        trusted_address(url)


def can_be_asked(issuer: str | None, earlier: Earlier) -> None:
    """Refuses an issuer that has to say where its keys are, and is no address."""
    if issuer and not _is_set(earlier, "auth_jwks_url") and not _is_set(earlier, "auth_jwt_secret"):
        discovery_addresses(issuer)


def is_given_with_an_issuer(audience: str | None, earlier: Earlier) -> None:
    """Refuses to take the tokens that an issuer makes for others."""
    if audience is None and (source := source_of_keys(earlier)):
        raise Reason(f"must be set beside {source}, to what the tokens for this service name as aud")


def is_safe(host: str, earlier: Earlier) -> None:
    """Refuses to let other machines in where anybody can have a token."""
    verified = _is_set(earlier, "auth_jwt_secret") or source_of_keys(earlier)
    if not verified and not is_loopback(host):
        raise Reason(
            "must be 127.0.0.1, ::1 or localhost in development mode; to listen elsewhere, set AUTH_JWT_SECRET, "
            "AUTH_JWKS_URL or AUTH_ISSUER"
        )


def is_installed(endpoint: str | None, _earlier: Earlier) -> None:
    """Refuses a collector where OpenTelemetry is missing."""
    with suppress(ModuleNotFoundError):
        if endpoint is None or find_spec("opentelemetry.exporter.otlp.proto.http"):
            return
    raise Reason("needs OpenTelemetry, which is an extra: pip install 'todo-api[otel]'")


def _is_set(earlier: Earlier, name: str) -> bool:
    return name not in earlier or earlier[name] is not None


def source_of_keys(earlier: Earlier) -> str | None:
    """The setting that says where an issuer's keys are."""
    if _is_set(earlier, "auth_jwks_url"):
        return "AUTH_JWKS_URL"
    alone = not _is_set(earlier, "auth_jwt_secret") and _is_set(earlier, "auth_issuer")
    return "AUTH_ISSUER" if alone else None
