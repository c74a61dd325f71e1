"""The keys that verify tokens: a shared secret, or the issuer's public keys (JWKS, RFC 7517)."""

import asyncio
import ipaddress
import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import InvalidKeyError, PyJWK, PyJWTError, encode
from jwt.utils import base64url_encode

from openapi.bridge.request import strict_json

log = logging.getLogger("todo_api")

FETCH_SECONDS = 5.0  # the whole fetch, from the name lookup to the last byte
MAX_BYTES = 1_000_000
FRESH_SECONDS = 5 * 60  # older keys are renewed while they go on serving
STALE_SECONDS = 24 * 60 * 60  # the longest that keys serve without a good answer of the issuer
UNKNOWN_KEY_SECONDS = 30  # between two fetches that tokens with an unknown key cause
RETRY_SECONDS = 30  # between two attempts to renew keys that still serve
RETRY_WITHOUT_KEYS_SECONDS = 1  # as long as the contract's Retry-After
MIN_RSA_BITS = 2048
MIN_SECRET_BYTES = 32  # RFC 7518, section 3.2


class SharedSecret:
    """The one key of HS256; it is its own key set and never changes.

    Args:
        secret: 32 random bytes or more.

    Raises:
        ValueError: if it is shorter, or is the text of a public key, certificate or JWK.
    """

    algorithms = ("HS256",)
    age_seconds = 0.0

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"the secret must be {MIN_SECRET_BYTES} bytes or more")
        encoded = base64url_encode(secret).decode()
        self._key = PyJWK({"kty": "oct", "k": encoded}, "HS256")
        try:
            encode({}, self._key)
        except InvalidKeyError:
            raise ValueError(
                "the secret must be random bytes, not the text of a key or certificate"
            ) from None

    def find(self, kid: str | None, algorithm: str) -> PyJWK | None:
        """The secret, whatever the token calls it."""
        return self._key if algorithm == "HS256" else None

    def current(self) -> "SharedSecret":
        return self

    async def refreshed(self) -> "SharedSecret":
        return self


class JsonWebKeySet:
    """The usable keys of one JWKS document; never changes.

    Args:
        document: the JSON text, an object whose member `keys` is a list.

    Raises:
        ValueError: if the document is anything else. Unusable keys are left out (RFC 7517, section 5).
    """

    def __init__(self, document: bytes) -> None:
        try:
            content = strict_json.loads(document)
        except ValueError:
            raise ValueError("the answer is not JSON") from None
        if not isinstance(content, dict) or not isinstance(content.get("keys"), list):
            raise ValueError('the answer is not an object with a list "keys"')
        keys = [key for key in map(_usable_key, content["keys"]) if key is not None]
        # Two keys of one name are ambiguous: whichever we took, the issuer may have meant the other.
        times_named = Counter(key.key_id for key in keys if key.key_id is not None)
        keys = [key for key in keys if key.key_id is None or times_named[key.key_id] == 1]
        times_used = Counter(key.algorithm_name for key in keys)
        self._named = {key.key_id: key for key in keys if key.key_id is not None}
        self._only = {key.algorithm_name: key for key in keys if times_used[key.algorithm_name] == 1}
        self.size = len(keys)

    def find(self, kid: str | None, algorithm: str) -> PyJWK | None:
        """The key that a token with this header must have been signed with, or None.

        A token without `kid` fits only where the issuer has exactly one key for the algorithm.
        """
        if kid is None:
            return self._only.get(algorithm)
        key = self._named.get(kid)
        return key if key is not None and key.algorithm_name == algorithm else None


def _usable_key(jwk: Any) -> PyJWK | None:
    match jwk:
        case {"kty": "OKP", "crv": "Ed25519"}:
            algorithm = "EdDSA"
        case {"kty": "EC", "crv": "P-256"}:
            algorithm = "ES256"
        case {"kty": "RSA"}:
            algorithm = "RS256"
        case _:
            # Above all `oct`: a secret that the issuer publishes is none.
            return None
    operations = jwk.get("key_ops", ["verify"])
    if (
        jwk.get("alg", algorithm) != algorithm
        or jwk.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "verify" not in operations
        or not isinstance(jwk.get("kid", ""), str)
        or "d" in jwk  # A published private key signs for everyone.
    ):
        return None
    try:
        key = PyJWK(jwk, algorithm)
    except PyJWTError:
        return None
    too_short = isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS
    return None if too_short else key


KeySet = SharedSecret | JsonWebKeySet


class JwksStore:
    """An issuer's keys: fetched within bounds, renewed, kept through an outage.

    Belongs to one event loop, which it never blocks.

    Args:
        url: where the issuer publishes its keys; https, or http on a loopback address.
        fetch_seconds: the most time that one fetch may take.
        clock: seconds that never go back; tests pass their own.

    Raises:
        ValueError: if the address is of another kind.
    """

    algorithms = ("EdDSA", "ES256", "RS256")

    def __init__(
        self, url: str, *, fetch_seconds: float = FETCH_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = _checked(url)
        self._fetch_seconds = fetch_seconds
        self._clock = clock
        # Made here, once, because reading the certificate authorities takes tens of milliseconds.
        self._tls = httpx.create_ssl_context()
        self._document = b""
        self._keys: JsonWebKeySet | None = None
        self._fetched_at = self._attempted_at = self._asked_at = -math.inf
        self._renewal: asyncio.Task[None] | None = None

    @property
    def age_seconds(self) -> float:
        """Seconds since the issuer last gave its keys; infinite while it never has."""
        return self._clock() - self._fetched_at

    def current(self) -> JsonWebKeySet | None:
        """The keys to verify with now, without waiting; None if there are none, or none young enough.

        Keys that are no longer fresh are renewed in the background.
        """
        now = self._clock()
        age = now - self._fetched_at
        if FRESH_SECONDS <= age < STALE_SECONDS and now - self._attempted_at >= RETRY_SECONDS:
            self._renew()
        return self._keys if age < STALE_SECONDS else None

    async def refreshed(self) -> JsonWebKeySet | None:
        """The keys after asking the issuer again: at start, or for a token whose key is not known.

        Everyone who asks meanwhile waits for the same fetch. If the issuer was asked only just now, or does
        not answer, these are the keys as they were; None as for `current`.
        """
        now = self._clock()
        keys = self.current()
        if not self._under_way():
            if keys is None and now - self._attempted_at < RETRY_WITHOUT_KEYS_SECONDS:
                return None
            if keys is not None and now - self._asked_at < UNKNOWN_KEY_SECONDS:
                return keys
            if keys is not None:
                self._asked_at = now
        # Shielded, since a client that goes away must not end the fetch that others wait for.
        await asyncio.shield(self._renew())
        return self.current()

    def _under_way(self) -> bool:
        return self._renewal is not None and not self._renewal.done()

    def _renew(self) -> asyncio.Task[None]:
        if self._renewal is None or self._renewal.done():
            # The loop itself holds tasks only weakly.
            self._renewal = asyncio.get_running_loop().create_task(self._fetch())
        return self._renewal

    async def _fetch(self) -> None:
        try:
            document = await self._download()
            # The same document keeps the same set, and with it the tokens that were verified by it.
            if document != self._document or self._keys is None:
                keys = await asyncio.to_thread(JsonWebKeySet, document)
                log.info("the issuer's key set has changed: %d usable keys", keys.size)
                # A well-formed set without a usable key is believed: it is how an issuer withdraws them all.
                self._document, self._keys = document, keys if keys.size else None
            self._fetched_at = self._clock()
        except Exception as error:
            # Whatever a foreign server does to us, the outcome is the same: its keys could not be had.
            log.warning("the issuer's keys could not be fetched: %s: %s", type(error).__name__, error)
        finally:
            self._attempted_at = self._clock()

    async def _download(self) -> bytes:
        async with (
            asyncio.timeout(self._fetch_seconds),
            httpx.AsyncClient(
                verify=self._tls,
                timeout=self._fetch_seconds,
                follow_redirects=False,
                # A proxy from the environment may carry https, but must not see what is meant for loopback.
                trust_env=self._url.scheme == "https",
            ) as client,
            # Compression is declined and never undone, since a small answer could unpack to a huge one.
            client.stream("GET", self._url, headers={"Accept-Encoding": "identity"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"the answer's status is {response.status_code}, not 200")
            document = bytearray()
            async for chunk in response.aiter_raw():
                document += chunk
                if len(document) > MAX_BYTES:
                    raise ValueError(f"the answer is larger than {MAX_BYTES} bytes")
            return bytes(document)


def _checked(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    trusted = address.scheme == "https" or (address.scheme == "http" and is_loopback(address.host))
    if not trusted or not address.host or address.userinfo:
        # The address is not repeated, since it may hold a password.
        raise ValueError(
            "the address of the issuer's keys must begin with https://, or with http:// and a loopback host "
            "(localhost, 127.0.0.1 or [::1]), and hold no user name or password"
        )
    return address


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without brackets, can only mean this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
