"""What a token says: its claims (RFC 7519, section 4), verified into an identity or written for a user."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import jwt
from jwt.utils import base64url_decode

from openapi.bridge.failures import Unauthorized
from server.identity.keys import SharedSecret

MAX_EMAIL_LENGTH = 320
_NOT_IN_TEXT = re.compile("[\x00\ud800-\udfff]")

# Exactly `sub`, the user, `email`, which is None where no trustworthy one is known, and `scope`, a tuple of names.
Identity = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must say beyond `exp` and `sub`, and how far its issuer's clock may be off.

    Args:
        subject: the contract's rules for a user in a path, which `sub` has to keep.
        max_bytes: the longest token that is read.
    """

    issuer: str | None = None
    audience: str | None = None
    leeway_seconds: int = 30
    subject: Mapping[str, Any] = field(default_factory=dict)
    max_bytes: int = 16 * 1024


def read_claims(token: str, key: jwt.PyJWK, algorithm: str, rules: TokenRules) -> dict[str, Any]:
    """The claims of a token whose signature, times, issuer and audience are right (RFC 7519, RFC 8725).

    Raises:
        Unauthorized: if any of them is not, or `exp` or `sub` is missing.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            issuer=rules.issuer,
            audience=rules.audience,
            leeway=rules.leeway_seconds,
            options={
                "verify_signature": True,
                "enforce_minimum_key_length": True,
                "require": ["exp", "sub"],
                "verify_exp": True,
                "verify_nbf": True,
                "verify_iat": True,
                "verify_iss": True,
                # With no audience set, whoever holds the shared secret decides whom a token is for.
                "verify_aud": rules.audience is not None,
                # The audience may be one of several.
                "strict_aud": False,
                "verify_sub": True,
                "verify_jti": True,
            },
        )
    except jwt.PyJWTError as error:
        raise Unauthorized(f"the token is not valid: {str(error)!a:.200}") from error
    # PyJWT reads UTF-16 and UTF-32 as well, in which JSON has NULs (RFC 7519, section 7.2).
    if any(b"\0" in base64url_decode(part) for part in token.split(".")[:2]):
        raise Unauthorized("the token is not written in UTF-8")
    for name in ("exp", "nbf", "iat"):
        # PyJWT takes whatever int() takes: "99999999999", true.
        if type(claims.get(name, 0)) not in (int, float):
            raise Unauthorized(f"the token's {name} is not a number")
    return claims


def read_identity(claims: Mapping[str, Any], rules: TokenRules) -> Identity:
    """The user that verified claims name.

    Raises:
        Unauthorized: if `sub` cannot be a user of ours.
    """
    if fault := subject_fault(claims["sub"], rules.subject):
        raise Unauthorized(f"the token's sub {fault}")
    return MappingProxyType(
        {"sub": claims["sub"], "email": _trustworthy_email(claims), "scope": _scope(claims)}
    )


def _trustworthy_email(claims: Mapping[str, Any]) -> str | None:
    email = claims.get("email")
    if not isinstance(email, str) or not 1 <= len(email) <= MAX_EMAIL_LENGTH or _NOT_IN_TEXT.search(email):
        return None
    # OpenID Connect writes the claim in one way and Better Auth in the other; some issuers send it as text.
    verified = claims.get("email_verified"), claims.get("emailVerified")
    return None if False in verified or "false" in verified else email


def _scope(claims: Mapping[str, Any]) -> tuple[str, ...]:
    # RFC 8693, section 4.2 writes `scope`, a text; Okta and Entra write `scp`, a list or a text.
    granted = claims.get("scope", claims.get("scp"))
    names = granted.split(" ") if isinstance(granted, str) else granted
    return tuple(name for name in names if isinstance(name, str) and name) if isinstance(names, list) else ()


def subject_fault(subject: str, rules: Mapping[str, Any]) -> str | None:
    """Why `subject` cannot be a user, to stand after "the user"; None if it can.

    Args:
        rules: the contract's schema of a user in a path.
    """
    least, most = rules.get("minLength", 1), rules.get("maxLength", len(subject))
    if not max(least, 1) <= len(subject) <= most:
        return f"must be {least} to {most} characters"
    if "/" in subject:
        return "must not contain /, since no path could name that user"
    if _NOT_IN_TEXT.search(subject):
        return "must not contain U+0000 or lone surrogates"
    return None


def issue_token(
    secret: bytes,
    subject: str,
    rules: TokenRules = TokenRules(),
    *,
    lifetime: timedelta = timedelta(days=1),
    email: str | None = None,
    scope: str | None = None,
) -> str:
    """A token for `subject` that a service with the same secret and rules takes.

    Args:
        scope: names with spaces between (RFC 8693, section 4.2).

    Raises:
        ValueError: if the secret or the subject is one that the service would refuse.
    """
    SharedSecret(secret)
    if fault := subject_fault(subject, rules.subject):
        raise ValueError(f"the user {fault}")
    now = int(time.time())
    claims: dict[str, object] = {"sub": subject, "iat": now, "exp": now + int(lifetime.total_seconds())}
    optional = {"email": email, "iss": rules.issuer, "aud": rules.audience, "scope": scope}
    claims |= {name: value for name, value in optional.items() if value is not None}
    return jwt.encode(claims, secret, algorithm="HS256")
