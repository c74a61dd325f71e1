"""The keys that verify tokens: a shared secret, or an issuer's public keys as a JWK set (RFC 7517)."""

import json
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import InvalidKeyError, PyJWK, PyJWTError, encode
from jwt.utils import base64url_encode

MIN_RSA_BITS = 2048
MIN_SECRET_BYTES = 32  # RFC 7518, section 3.2
# The most signatures that are checked for one token, where its header leaves open which key has made it.
MAX_CANDIDATES = 8

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_EDWARDS = ("EdDSA", "Ed25519")  # Two names of the same algorithm (RFC 9864, section 2.2).
_CURVES = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",)}
ISSUER_ALGORITHMS = (*_RSA, *_EDWARDS, *(name for names in _CURVES.values() for name in names))


class SharedSecret:
    """The one key of HS256; it is its own key set and never changes.

    Raises:
        ValueError: if it is shorter, or is the text of a public key, certificate or JWK.
    """

    algorithms = ("HS256",)
    age_seconds = 0.0

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"the secret must be {MIN_SECRET_BYTES} bytes or more")
        self.current = self
        encoded = base64url_encode(secret).decode()
        self._key = PyJWK({"kty": "oct", "k": encoded}, "HS256")
        try:
            encode({}, self._key)
        except InvalidKeyError:
            raise ValueError(
                "the secret must be random bytes, not the text of a key or certificate"
            ) from None

    def find(self, kid: str | None, algorithm: str) -> tuple[Sequence[PyJWK], bool]:
        """The secret, whatever the token calls it, and that there is no other."""
        return [self._key], True


class JsonWebKeySet:
    """The usable keys of one JWK set; never changes.

    Args:
        document: the JSON text, an object whose member `keys` is a list.

    Raises:
        ValueError: if the document is anything else. Unusable keys are left out (RFC 7517, section 5).
    """

    def __init__(self, document: bytes) -> None:
        try:
            # As lenient as RFC 7517, section 4 allows, so that an odd member of one key spoils no other.
            content = json.loads(document)
        except (ValueError, RecursionError):
            raise ValueError("the answer is not JSON") from None
        if not isinstance(content, dict) or not isinstance(content.get("keys"), list):
            raise ValueError('the answer is not an object with a list "keys"')
        self._by_algorithm: dict[str, list[PyJWK]] = {}
        self.size = 0
        for keys in filter(None, map(_verification_keys, content["keys"])):
            self.size += 1
            for key in keys:
                self._by_algorithm.setdefault(key.algorithm_name, []).append(key)

    def find(self, kid: str | None, algorithm: str) -> tuple[Sequence[PyJWK], bool]:
        """The keys for `algorithm` that can have signed a token with this `kid`, at most MAX_CANDIDATES, and whether
        only they can: whether they have its name.

        Several keys may have the same name, and a key or a token may have none (RFC 7517, section 4.5; RFC 7515,
        section 4.1.4): a token without one fits every key, and a name that no key has fits those without a name.
        """
        fitting = self._by_algorithm.get(algorithm, [])
        if kid is None:
            return fitting[:MAX_CANDIDATES], False
        named = [key for key in fitting if key.key_id == kid]
        nameless = [key for key in fitting if key.key_id is None]
        return (named or nameless)[:MAX_CANDIDATES], bool(named)


KeySet = SharedSecret | JsonWebKeySet


def _verification_keys(jwk: Any) -> list[PyJWK]:
    """The key once for each algorithm that it verifies; nothing if it is not to be used."""
    if isinstance(jwk, dict):  # Some issuers write null where they have nothing to say.
        jwk = {name: value for name, value in jwk.items() if value is not None}
    algorithms = _algorithms_of(jwk)
    try:
        keys = [PyJWK(jwk, "EdDSA" if name in _EDWARDS else name) for name in algorithms]
    except (PyJWTError, OverflowError):
        return []
    for key, name in zip(keys, algorithms, strict=True):
        key.algorithm_name = name  # PyJWT knows only the older name of the two.
    if keys and isinstance(keys[0].key, RSAPublicKey) and keys[0].key.key_size < MIN_RSA_BITS:
        return []
    return keys


def _algorithms_of(jwk: Any) -> Sequence[str]:
    """What a JWK verifies by its type (RFC 7518, section 3.1), narrowed by its `alg`; nothing if not signatures."""
    match jwk:
        case {"d": _}:
            return ()  # A published private key signs for everyone.
        case {"kty": "OKP", "crv": "Ed25519"}:
            possible: Sequence[str] = _EDWARDS
        case {"kty": "EC", "crv": str(curve)}:
            possible = _CURVES.get(curve, ())
        case {"kty": "RSA"}:
            possible = _RSA
        case _:
            return ()  # Above all `oct`: a secret that the issuer publishes is none.
    operations = jwk.get("key_ops", ["verify"])
    if (
        jwk.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "verify" not in operations
        or not isinstance(jwk.get("kid", ""), str)
    ):
        return ()
    if "alg" not in jwk or (possible is _EDWARDS and jwk["alg"] in _EDWARDS):
        return possible
    return [name for name in possible if name == jwk["alg"]]
