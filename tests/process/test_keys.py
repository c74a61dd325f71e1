"""Which keys of a JWK set verify which tokens (RFC 7517), and which secret is one (RFC 7518, section 3.2)."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from server.identity.claims import issue_token
from server.identity.keys import ISSUER_ALGORITHMS, MAX_CANDIDATES, JsonWebKeySet, SharedSecret
from tests.support.issuer import jwk_of, private_key

ED, EC, RSA = (private_key(algorithm) for algorithm in ("EdDSA", "ES256", "RS256"))
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"


def key_set(*keys: object) -> JsonWebKeySet:
    return JsonWebKeySet(json.dumps({"keys": keys}).encode())


def found(keys: JsonWebKeySet, kid: str | None, algorithm: str) -> tuple[int, bool]:
    """How many keys fit, and whether no other can."""
    candidates, is_certain = keys.find(kid, algorithm)
    return len(candidates), is_certain


@pytest.mark.parametrize(
    ("key", "members", "algorithms"),
    [
        ("EdDSA", {}, {"EdDSA", "Ed25519"}),
        ("EdDSA", {"alg": "EdDSA"}, {"EdDSA", "Ed25519"}),
        ("EdDSA", {"alg": "Ed25519"}, {"EdDSA", "Ed25519"}),
        ("ES256", {"alg": None, "use": None, "key_ops": None, "d": None, "x5c": None}, {"ES256"}),
        ("ES256", {}, {"ES256"}),
        ("ES384", {"alg": "ES384"}, {"ES384"}),
        ("ES512", {}, {"ES512"}),
        ("RS256", {}, {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        ("RS256", {"alg": "PS384", "use": "sig"}, {"PS384"}),
        (
            "RS256",
            {"alg": "RS512", "key_ops": ["verify"], "x5c": ["AAAA"], "x5u": "https://a.example"},
            {"RS512"},
        ),
    ],
)
def test_the_key_decides_the_algorithms(key: str, members: dict[str, object], algorithms: set[str]) -> None:
    """Type and curve say what a key verifies, `alg` narrows it (RFC 7517, 4.4; RFC 9864), other members and null
    do not."""
    keys = key_set(jwk_of(private_key(key), kid="a", **members))

    assert algorithms == {name for name in ISSUER_ALGORITHMS if found(keys, "a", name) == (1, True)}


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": SECRET, "kid": "a"},
        {"kty": "oct", "k": SECRET, "kid": "a", "alg": "RS256"},
        jwk_of(private_key("RS256", rsa_bits=1024), kid="a"),
        jwk_of(ec.generate_private_key(ec.SECP256K1()), kid="a"),
        jwk_of(ed448.Ed448PrivateKey.generate(), kid="a"),
        {**jwk_of(ED, kid="a"), "crv": ["Ed25519"]},
        {**jwk_of(ED, kid="a"), "kty": "EC"},
        {**jwk_of(ED, kid="a"), "x": "AAAA"},
        {**jwk_of(EC, kid="a"), "y": jwk_of(EC)["x"]},
        {**jwk_of(RSA, kid="a"), "e": "AQ"},
        {**jwk_of(RSA, kid="a"), "n": {}},
        {"kty": "RSA", "x5c": ["AAAA"], "kid": "a"},
        {"kty": "future", "kid": "a"},
        jwk_of(RSA, kid="a", use="enc", alg="RSA-OAEP"),
        jwk_of(ED, kid="a", use=["sig"]),
        jwk_of(ED, kid="a", key_ops=["sign"]),
        jwk_of(ED, kid="a", key_ops="verify"),
        jwk_of(ED, kid="a", alg="ES256"),
        jwk_of(ED, kid="a", alg=["EdDSA"]),
        jwk_of(EC, kid="a", alg="ES512"),
        jwk_of(RSA, kid="a", alg="HS256"),
        jwk_of(RSA, kid="a", alg="none"),
        {**jwt.get_algorithm_by_name("EdDSA").to_jwk(ED, as_dict=True), "kid": "a"},
        jwk_of(ED, kid=7),
        {},
        [],
        None,
        "key",
    ],
)
def test_an_unusable_key_is_left_out_and_the_others_serve(jwk: object) -> None:
    """Symmetric, weak, private, broken, unknown or otherwise meant keys are not used, and harm no other."""
    keys = key_set(jwk, jwk_of(EC, kid="good"))

    assert (1, (1, True)) == (keys.size, found(keys, "good", "ES256"))


def test_names_of_keys_are_hints() -> None:
    """Keys may share a name, also across types, or have none; a token without one fits all (RFC 7517, 4.5)."""
    other = private_key("EdDSA", 2)
    shared = key_set(jwk_of(ED, kid="a"), jwk_of(other, kid="a"), jwk_of(RSA, kid="a"))
    mixed = key_set(jwk_of(ED, kid="a"), jwk_of(other))

    assert (2, True) == found(shared, "a", "EdDSA")
    assert (1, True) == found(shared, "a", "RS256")
    assert (0, False) == found(shared, "a", "ES256")
    assert (2, False) == found(shared, None, "EdDSA")
    assert (1, True) == found(mixed, "a", "EdDSA")
    assert (1, False) == found(mixed, "b", "EdDSA")
    assert (2, False) == found(mixed, None, "EdDSA")


def test_few_signatures_are_checked_for_one_token() -> None:
    """However many keys fit, a token costs a bounded number of checks."""
    keys = key_set(*(jwk_of(ED) for _ in range(3 * MAX_CANDIDATES)))

    assert (MAX_CANDIDATES, False) == found(keys, None, "EdDSA")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"keys":null}',
        b'{"keys":{"a":{}}}',
        b'{"keys":[]}x',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda text: repr(text)[:30],
)
def test_a_document_that_is_no_key_set_is_refused(document: bytes) -> None:
    """Anything but a JSON object with a list of keys is refused as a whole."""
    with pytest.raises(ValueError, match=r"^the answer is not"):
        JsonWebKeySet(document)


MEMBERS = st.sampled_from(["kty", "crv", "alg", "use", "key_ops", "kid", "x", "y", "n", "e", "d"])
VALUES = st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "EdDSA", "ES256", "sig", "AQAB"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=9
)
KEYS = st.dictionaries(MEMBERS, VALUES | st.none() | st.integers(-9, 9) | st.lists(VALUES, max_size=2))


@given(st.lists(KEYS | st.builds(lambda changes: jwk_of(ED, kid="a") | changes, KEYS), max_size=4))
def test_no_key_whatever_is_an_error_of_ours(keys: list[Any]) -> None:
    """A key set of any members and values is read, and has at most as many usable keys."""
    assert len(keys) >= key_set(*keys).size


@pytest.mark.parametrize(
    "secret",
    [
        b"",
        b"x" * 31,
        RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(jwk_of(ED)).encode(),
    ],
    ids=["empty", "short", "PEM", "JWK"],
)
def test_a_secret_that_protects_nothing_is_refused(secret: bytes) -> None:
    """A secret under 32 bytes, or the text of a public key, is refused without being shown."""
    for use in (SharedSecret, lambda secret: issue_token(secret, "alice")):
        with pytest.raises(ValueError, match="the secret must be") as error:
            use(secret)
        assert not secret or secret.decode() not in str(error.value)
