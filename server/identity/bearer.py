"""Who sends a request: the bearer JWT (RFC 6750, RFC 7519), verified by PyJWT and turned into an identity."""

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import jwt

from openapi.bridge.failures import Unauthorized, Unavailable
from openapi.contract import contract
from server.identity.keys import JwksStore, KeySet, SharedSecret

if TYPE_CHECKING:
    # Connexion takes a second to import, which `todo-api token` can do without.
    from connexion.lifecycle import ConnexionRequest

MAX_HEADER_BYTES = 8 * 1024
MAX_CACHED_TOKENS = 4096
MAX_EMAIL_LENGTH = 320

# RFC 7515, section 3.1: three base64url parts without padding. Stricter than PyJWT, which takes padding too.
_COMPACT_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+")
_NOT_IN_TEXT = re.compile("[\x00\ud800-\udfff]")

# Exactly `sub`, the user, and `email`, which is None where no trustworthy one is known.
Identity = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must say beyond `exp` and `sub`, and how far its issuer's clock may be off."""

    issuer: str | None = None
    audience: str | None = None
    leeway_seconds: int = 30


class TokenCache:
    """Remembers identities of verified tokens, at most `size`, the oldest leaving first."""

    def __init__(self, size: int = MAX_CACHED_TOKENS) -> None:
        self._size = size
        self._entries: dict[str, tuple[Identity, KeySet, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token: str, keys: KeySet, now: float) -> Identity | None:
        """What `token` was verified to, if that was by `keys` and still holds at `now` (epoch seconds)."""
        entry = self._entries.get(token)
        if entry is None:
            return None
        identity, verified_by, until = entry
        if verified_by is keys and now < until:
            return identity
        del self._entries[token]
        return None

    def put(self, token: str, keys: KeySet, until: float, identity: Identity) -> None:
        """Remembers `identity` up to, and not at, `until` (epoch seconds)."""
        if len(self._entries) >= self._size:
            del self._entries[next(iter(self._entries))]
        self._entries[token] = identity, keys, until


class BearerVerifier:
    """Turns the Authorization header of a request into the identity of its sender.

    Args:
        keys: the shared secret or the issuer's keys; they decide the algorithms, never the token.
        rules: what else is asked of a token.

    Raises:
        ValueError: if the keys are an issuer's and no audience is set; its tokens for any other service would
            then open this one.
    """

    def __init__(self, keys: SharedSecret | JwksStore, rules: TokenRules) -> None:
        if isinstance(keys, JwksStore) and not rules.audience:
            raise ValueError("an audience must be set where tokens are verified with an issuer's keys (JWKS)")
        self._keys = keys
        self._rules = rules
        self._cache = TokenCache()

    @property
    def keys_age_seconds(self) -> float:
        """Seconds since the issuer last gave its keys, infinite while it never has."""
        return self._keys.age_seconds

    def security_map(self) -> dict[str, Callable[[], "BearerVerifier"]]:
        """What Connexion takes as `security_map`: it calls the value, then `get_fn` of what it gets."""
        return {"bearer": lambda: self}

    def get_fn(
        self, security_scheme: Mapping[str, Any], required_scopes: list[str]
    ) -> Callable[["ConnexionRequest"], Identity | Awaitable[Identity]]:
        """The function that Connexion calls with every request of an operation under `bearer`."""
        return self.authenticate

    def authenticate(self, request: "ConnexionRequest") -> Identity | Awaitable[Identity]:
        """The sender of `request`; an awaitable only where keys have to be fetched first.

        Raises:
            Unauthorized: without exactly one header of the form `Bearer <token>`, and as `verify`.
            Unavailable: as `verify`.
        """
        return self.verify(bearer_token(request.scope["headers"]))

    def verify(self, token: str) -> Identity | Awaitable[Identity]:
        """The identity that `token` proves; an awaitable only where keys have to be fetched first.

        Raises:
            Unauthorized: if the token breaks any rule; its reason names the rule.
            Unavailable: if the issuer's keys cannot be had.
        """
        keys = self._keys.current()
        if keys is not None:
            known = self._cache.get(token, keys, time.time())
            if known is not None:
                return known
        kid, algorithm = read_header(token, self._keys.algorithms)
        key = keys.find(kid, algorithm) if keys is not None else None
        if keys is None or key is None:
            return self._verify_with_newer_keys(token, kid, algorithm)
        return self._accept(token, keys, key)

    async def _verify_with_newer_keys(self, token: str, kid: str | None, algorithm: str) -> Identity:
        keys = await self._keys.refreshed()
        if keys is None:
            raise Unavailable("the issuer's keys cannot be had")
        key = keys.find(kid, algorithm)
        if key is None:
            raise Unauthorized(f"the issuer has no {algorithm} key for kid {kid!a:.80}")
        return self._accept(token, keys, key)

    def _accept(self, token: str, keys: KeySet, key: jwt.PyJWK) -> Identity:
        claims = read_claims(token, key, self._keys.algorithms, self._rules)
        identity = read_identity(claims)
        # PyJWT rounds exp down as well, so a cached token ends in the same second as a fresh one.
        self._cache.put(token, keys, int(claims["exp"]) + self._rules.leeway_seconds, identity)
        return identity


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The token of the one Authorization header (RFC 9110, section 11.6.2; RFC 6750, section 2.1).

    Args:
        headers: as ASGI gives them, with lower-case names.

    Raises:
        Unauthorized: if there is not exactly one such header, it is of another scheme, or longer than 8 KiB.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) != 1:
        raise Unauthorized("no Authorization header" if not values else "more than one Authorization header")
    (value,) = values
    if len(value) > MAX_HEADER_BYTES:
        raise Unauthorized(f"the Authorization header is longer than {MAX_HEADER_BYTES} bytes")
    scheme, _, token = value.partition(b" ")
    if scheme.lower() != b"bearer":
        raise Unauthorized("the Authorization header's scheme is not Bearer")
    return token.lstrip(b" ").decode("latin-1")


def read_header(token: str, algorithms: tuple[str, ...]) -> tuple[str | None, str]:
    """`kid` and `alg` of a token, which prove nothing yet but choose the key (RFC 7515, section 4).

    Keys that the token brings or points to (`jwk`, `jku`, `x5u`, `x5c`) are not even looked at.

    Raises:
        Unauthorized: if it is no compact JWS, has another `alg` than `algorithms`, or needs an extension.
    """
    if _COMPACT_JWS.fullmatch(token) is None:
        raise Unauthorized("the token is not three base64url parts with full stops between")
    try:
        # The header alone: PyJWT would decode a long payload too, only to throw it away.
        header = jwt.get_unverified_header(token.partition(".")[0] + "..")
    except jwt.PyJWTError as error:
        raise Unauthorized(f"the token's header is not usable: {error}") from error
    algorithm = header.get("alg")
    if algorithm not in algorithms:
        raise Unauthorized(f"the token's alg is {algorithm!a:.80}, not one of {', '.join(algorithms)}")
    # PyJWT would go along with the extension `b64` (RFC 7797); a JWT has no use for it, nor we for any other.
    if "crit" in header or "b64" in header:
        raise Unauthorized("the token's header has crit or b64, and no extension is known here")
    return header.get("kid"), algorithm


def read_claims(token: str, key: jwt.PyJWK, algorithms: tuple[str, ...], rules: TokenRules) -> dict[str, Any]:
    """The claims of a token whose signature, times, issuer and audience are right (RFC 7519, RFC 8725).

    Raises:
        Unauthorized: if any of them is not, or `exp` or `sub` is missing.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key=key,
            algorithms=algorithms,
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
        raise Unauthorized(f"the token is not valid: {error}") from error
    for name in ("exp", "nbf", "iat"):
        # PyJWT takes whatever int() takes: "99999999999", true.
        if type(claims.get(name, 0)) not in (int, float):
            raise Unauthorized(f"the token's {name} is not a number")
    return claims


def read_identity(claims: Mapping[str, Any]) -> Identity:
    """The user that verified claims name.

    Raises:
        Unauthorized: if `sub` cannot be a user of ours.
    """
    if fault := _subject_fault(claims["sub"]):
        raise Unauthorized(f"the token's sub {fault}")
    return MappingProxyType({"sub": claims["sub"], "email": _trustworthy_email(claims)})


def _trustworthy_email(claims: Mapping[str, Any]) -> str | None:
    email = claims.get("email")
    if not isinstance(email, str) or not 1 <= len(email) <= MAX_EMAIL_LENGTH or _NOT_IN_TEXT.search(email):
        return None
    # OpenID Connect writes the claim in one way and Better Auth in the other; some issuers send it as text.
    verified = claims.get("email_verified"), claims.get("emailVerified")
    return None if False in verified or "false" in verified else email


def _subject_fault(subject: str) -> str | None:
    rules = contract().schema("UserId")
    least, most = rules["minLength"], rules["maxLength"]
    if not least <= len(subject) <= most:
        return f"must be {least} to {most} characters"
    if "/" in subject:
        return "must not contain /, since no path could name that user"
    if _NOT_IN_TEXT.search(subject):
        return "must not contain U+0000 or lone surrogates"
    return None


def issue_token(
    secret: bytes,
    subject: str,
    *,
    email: str | None = None,
    lifetime: timedelta = timedelta(days=1),
    issuer: str | None = None,
    audience: str | None = None,
) -> str:
    """A token for `subject` that a service with the same secret, issuer and audience takes.

    Raises:
        ValueError: if the secret or the subject is one that the service would refuse.
    """
    SharedSecret(secret)
    if fault := _subject_fault(subject):
        raise ValueError(f"the user {fault}")
    now = int(time.time())
    claims: dict[str, object] = {"sub": subject, "iat": now, "exp": now + int(lifetime.total_seconds())}
    optional = {"email": email, "iss": issuer, "aud": audience}
    claims |= {name: value for name, value in optional.items() if value is not None}
    return jwt.encode(claims, secret, algorithm="HS256")
