"""Who sends a request: the bearer token (RFC 6750), a JWT that is verified once and then remembered."""

import re
import time
from collections.abc import Awaitable

import jwt

from openapi.bridge.failures import RequestHeaderFieldsTooLarge, Unauthorized, Unavailable
from server.identity.claims import Identity, TokenRules, read_claims, read_identity
from server.identity.jwks import JwksStore
from server.identity.keys import KeySet, SharedSecret

MAX_CACHED_TOKENS = 4096
MAX_CACHED_TOKEN_BYTES = 4096  # A longer one is verified each time, so that the cache stays below 17 MB.

# RFC 7515, section 3.1: three base64url parts without padding. Stricter than PyJWT, which takes padding too.
_COMPACT_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+")


class TokenCache:
    """Remembers identities of verified tokens, at most `size`, the oldest leaving first."""

    def __init__(self, size: int = MAX_CACHED_TOKENS) -> None:
        self._size = size
        self._entries: dict[str, tuple[Identity, KeySet, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token: str, keys: KeySet, now: float) -> Identity | None:
        """What `token` was verified to, if that was by `keys` and still holds at `now` (epoch seconds)."""
        if (entry := self._entries.get(token)) is not None:
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
    """Turns the bearer token of a request (RFC 6750) into the identity of its sender.

    Args:
        keys: the shared secret or the issuer's keys; they decide the algorithms, never the token.

    Raises:
        ValueError: if the keys are an issuer's and no audience is set; its tokens for any other service would
            then open this one.
    """

    def __init__(self, keys: SharedSecret | JwksStore, rules: TokenRules) -> None:
        if isinstance(keys, JwksStore) and not rules.audience:
            raise ValueError("an audience must be set where tokens are verified with an issuer's keys (JWKS)")
        self.keys = keys
        self._rules = rules
        self._cache = TokenCache()

    def verify(self, _request: object, token: str) -> Identity | Awaitable[Identity]:
        """The identity that `token` proves, as the bridge asks for it; an awaitable only where keys have to be fetched.

        Raises:
            Unauthorized: if the token breaks any rule; its reason names the rule.
            RequestHeaderFieldsTooLarge: if it is longer than the contract allows. Not 401, which clients answer by
                fetching another token of the same length.
            Unavailable: if the issuer's keys cannot be had.
        """
        if len(token) > self._rules.max_bytes:
            raise RequestHeaderFieldsTooLarge
        keys = self.keys.current
        if keys is not None and (known := self._cache.get(token, keys, time.time())) is not None:
            return known
        kid, algorithm = read_header(token, self.keys.algorithms)
        identity = self._prove(token, kid, algorithm, keys) if keys is not None else None
        return identity or self._verify_with_newer_keys(token, kid, algorithm)

    async def _verify_with_newer_keys(self, token: str, kid: str | None, algorithm: str) -> Identity:
        assert isinstance(self.keys, JwksStore)
        keys, is_sure = await self.keys.asked_again(token if kid is None else kid)
        if (identity := self._prove(token, kid, algorithm, keys)) is not None:
            return identity
        if not is_sure:
            # Not 401, which would have the client of a new key fetch another token, and another.
            raise Unavailable("a token names a key that the issuer was not asked for yet")
        raise Unauthorized(
            f"the issuer has no {algorithm} key for kid {kid!a:.80}, or not the one that has signed"
        )

    def _prove(self, token: str, kid: str | None, algorithm: str, keys: KeySet) -> Identity | None:
        """The identity that one of `keys` proves; None where only another key can have signed the token."""
        candidates, is_certain = keys.find(kid, algorithm)
        for key in candidates:
            try:
                claims = read_claims(token, key, algorithm, self._rules)
            except Unauthorized as error:
                by_another = isinstance(error.__cause__, jwt.InvalidSignatureError)
                if not by_another or (is_certain and key is candidates[-1]):
                    raise
            else:
                identity = read_identity(claims, self._rules)
                # PyJWT rounds exp down as well, so a cached token ends in the same second as a fresh one.
                until = int(claims["exp"]) + self._rules.leeway_seconds
                if len(token) <= MAX_CACHED_TOKEN_BYTES:
                    self._cache.put(token, keys, until, identity)
                return identity
        return None


def read_header(token: str, algorithms: tuple[str, ...]) -> tuple[str | None, str]:
    """`kid` and `alg` of a token, which prove nothing yet but choose the key (RFC 7515, section 4).

    Keys that the token brings or points to (`jwk`, `jku`, `x5u`, `x5c`) are not even looked at.

    Raises:
        Unauthorized: if it is no compact JWS, has another `alg` than `algorithms`, needs an extension, or says that it
            is for something else than access.
    """
    if _COMPACT_JWS.fullmatch(token) is None:
        raise Unauthorized("the token is not three base64url parts with full stops between")
    try:
        # The header alone: PyJWT would decode a long payload too, only to throw it away.
        header = jwt.get_unverified_header(token.partition(".")[0] + "..")
    except jwt.PyJWTError as error:
        raise Unauthorized(f"the token's header is not usable: {str(error)!a:.200}") from error
    algorithm = header.get("alg")
    if algorithm not in algorithms:
        raise Unauthorized(f"the token's alg is {algorithm!a:.80}, not one of {', '.join(algorithms)}")
    # Of what `crit` may name PyJWT refuses all but the extension `b64` (RFC 7797), for which a JWT has no use.
    if "b64" in header:
        raise Unauthorized("the token's header has b64, and no extension is known here")
    # Of a logout for example, or a proof of possession (RFC 8725, section 3.11; RFC 9068, section 2.1).
    kind = str(header.get("typ", "")).lower().removeprefix("application/")
    if kind.endswith("+jwt") and kind != "at+jwt":
        raise Unauthorized(f"the token's typ is {kind!a:.80}, which no access token has")
    return header.get("kid"), algorithm
