"""C2SP's Wycheproof vectors for JWS (RFC 7515), through the same two steps that every request's token takes."""

import base64
import json
import os
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest

from openapi.bridge.failures import Unauthorized
from server.identity.bearer import read_header
from server.identity.claims import TokenRules, read_claims
from server.identity.keys import ISSUER_ALGORITHMS, JsonWebKeySet, KeySet, SharedSecret

FOLDER = Path(os.environ.get("TEST_VECTORS") or Path(__file__).parents[3] / "shared" / "vectors")
FILE = FOLDER / "jws.json"

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the JWS vectors are not there (TEST_VECTORS)")

# Where we differ from the file, each with the reason.
OTHERWISE = {
    346: "the key says PS256 and the token PS384; the key decides (RFC 7517, section 4.4)",
    350: "the key says PS256 and the token PS384; the key decides (RFC 7517, section 4.4)",
    367: "the file holds the text of the valid vector 357 here",
    370: "the file holds the text of the valid vector 357 here",
    372: "valid only for decoders that skip characters outside of base64url; RFC 7515, section 5.2 forbids it",
    373: "valid only for decoders that skip characters outside of base64url; RFC 7515, section 5.2 forbids it",
}
ALGORITHMS = (*SharedSecret.algorithms, *ISSUER_ALGORITHMS)


@cache
def vectors() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every vector with the key of its group."""
    groups = json.loads(FILE.read_bytes())["groups"]
    return [(group["key"], vector) for group in groups for vector in group["tests"]]


def keys_and_algorithms(jwk: dict[str, Any]) -> tuple[KeySet, tuple[str, ...]]:
    if jwk["kty"] == "oct":
        return SharedSecret(base64.urlsafe_b64decode(jwk["k"] + "==")), SharedSecret.algorithms
    return JsonWebKeySet(json.dumps({"keys": [jwk]}).encode()), ISSUER_ALGORITHMS


def signature_is_accepted(jwk: dict[str, Any], token: str) -> bool:
    """Whether header and signature pass.

    The payloads are no claims, so each token is refused in the end: an accepted signature shows in that the
    payload is what it is refused for, which PyJWT does not look at before.
    """
    keys, algorithms = keys_and_algorithms(jwk)
    try:
        kid, algorithm = read_header(token, algorithms)
        candidates, _ = keys.find(kid, algorithm)
        if not candidates:
            return False
        read_claims(token, candidates[0], algorithm, TokenRules())
    except Unauthorized as error:
        cause = error.__cause__
        return type(cause) is jwt.DecodeError and str(cause).startswith("Invalid payload string")
    raise AssertionError("a payload that is no claims was accepted")


def expected(jwk: dict[str, Any], vector: dict[str, Any]) -> bool:
    valid = (vector["result"] == "valid") != (vector["tcId"] in OTHERWISE)
    return valid and jwk.get("alg") in ALGORITHMS


def test_every_vector_is_judged_as_the_rfc_says() -> None:
    """Valid signatures of our algorithms are accepted; everything else is refused, other algorithms too."""
    wrong = {
        vector["tcId"]: vector["comment"]
        for jwk, vector in vectors()
        if expected(jwk, vector) != signature_is_accepted(jwk, vector["jws"])
    }
    assert {} == wrong


def test_the_vectors_cover_both_outcomes(record_property: Callable[[str, object], None]) -> None:
    """Each of HS256, ES256 and RS256 has accepted and refused vectors, and every exception is one of the file."""
    counts = Counter((jwk.get("alg"), expected(jwk, vector)) for jwk, vector in vectors())
    record_property(
        "counts", {f"{alg} {'accepted' if ok else 'refused'}": n for (alg, ok), n in counts.items()}
    )
    assert all(counts[alg, outcome] for alg in ("HS256", "ES256", "RS256") for outcome in (True, False))
    assert set(OTHERWISE) <= {vector["tcId"] for _, vector in vectors()}


def test_the_contradictory_vectors_are_what_we_say_they_are() -> None:
    """The two vectors that we accept against the file are letter for letter one that the file calls valid."""
    by_id = {vector["tcId"]: vector for _, vector in vectors()}
    assert ("valid", by_id[357]["jws"]) == (by_id[357]["result"], by_id[367]["jws"])
    assert by_id[357]["jws"] == by_id[370]["jws"]
