"""Who is let in: the rules for a token's header and claims, and what is remembered of it."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from openapi.bridge.failures import RequestHeaderFieldsTooLarge, Unauthorized
from openapi.contract import contract
from server.identity.bearer import MAX_CACHED_TOKEN_BYTES, BearerVerifier, TokenCache
from server.identity.claims import Identity, TokenRules, issue_token
from server.identity.issuer import IssuerClient
from server.identity.jwks import JwksStore
from server.identity.keys import SharedSecret
from tests.support.issuer import AUDIENCE, Issuer, base64url, claims_with, hs256, jwk_of, private_key, proven

SECRET = b"a secret of thirty-two bytes or more"
FAR = 4_000_000_000  # The year 2096; fixed, so that every process collects the same tests.
TEXT = st.characters(exclude_categories=["Cs"], exclude_characters="\x00/")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
CLAIMS = ("exp", "nbf", "iat", "sub", "aud", "iss", "jti", "email", "email_verified")


def verifier(**rules: Any) -> BearerVerifier:
    return BearerVerifier(SharedSecret(SECRET), TokenRules(subject=contract().owner_rules, **rules))


def identity(checked: BearerVerifier, token: str) -> Identity:
    """What a token proves where no key has to be fetched."""
    result = checked.verify(None, token)
    assert isinstance(result, Mapping)
    return result


def refusal(checked: BearerVerifier, token: str) -> str:
    """The reason for the log with which a token is refused."""
    with pytest.raises(Unauthorized) as error:
        identity(checked, token)
    assert len(token) < 20 or token not in error.value.reason
    return error.value.reason


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        running.keys |= {"ec": private_key("ES256"), "rsa": private_key("RS256")}
        yield running


def verifier_with_jwks(issuer: Issuer, audience: str | None = AUDIENCE) -> BearerVerifier:
    return BearerVerifier(JwksStore(IssuerClient(issuer.url, None)), TokenRules(issuer.name, audience))


def refusal_with_jwks(issuer: Issuer, token: str) -> str:
    """The reason with which a token is refused where the issuer's keys are known."""

    async def scenario() -> str:
        verifier = verifier_with_jwks(issuer)
        await proven(verifier, issuer.token())
        with pytest.raises(Unauthorized) as error:
            await proven(verifier, token)
        return error.value.reason

    return asyncio.run(scenario())


def test_an_issued_token_proves_its_user() -> None:
    """A token of issue_token gives exactly the subject and the email that it was made with."""
    token = issue_token(SECRET, "auth0|ä 42", TokenRules("me", "you"), email="a@example.org")
    checked = verifier(issuer="me", audience="you")
    assert {"sub": "auth0|ä 42", "email": "a@example.org", "scope": ()} == identity(checked, token)
    assert {"sub": "bob", "email": None, "scope": ()} == identity(verifier(), issue_token(SECRET, "bob"))


@given(st.text(TEXT, min_size=1, max_size=255))
def test_any_subject_that_a_path_can_name_comes_back_as_it_is(subject: str) -> None:
    """Every non-empty sub of at most 255 code points without `/`, U+0000 and surrogates round-trips."""
    assert {"sub": subject, "email": None, "scope": ()} == identity(verifier(), issue_token(SECRET, subject))


@pytest.mark.parametrize("subject", ["", "a/b", "\x00", "a\ud800", "x" * 256])
def test_a_subject_that_would_be_refused_is_not_issued(subject: str) -> None:
    """issue_token refuses what the service would refuse, in one line."""
    with pytest.raises(ValueError, match=r"^the user must .*[^\n]$"):
        issue_token(SECRET, subject, TokenRules(subject=contract().owner_rules))


def test_an_issued_token_lives_as_long_as_asked() -> None:
    """The lifetime runs from now, and a token whose lifetime is over is refused."""
    assert "expired" in refusal(verifier(), issue_token(SECRET, "alice", lifetime=-timedelta(minutes=1)))
    assert identity(verifier(), issue_token(SECRET, "alice", lifetime=timedelta(seconds=5)))


REFUSED_CLAIMS: list[tuple[dict[str, object], str]] = [
    ({"exp": ...}, '"exp"'),
    ({"exp": None}, '"exp"'),
    ({"exp": 0}, "expired"),
    ({"exp": -(10**400)}, "expired"),
    ({"exp": str(FAR)}, "exp is not a number"),
    ({"exp": "tomorrow"}, "exp"),
    ({"exp": True}, "expired"),
    ({"exp": [FAR]}, "exp"),
    ({"exp": float("inf")}, "exp"),
    ({"nbf": 10**400}, "nbf"),
    ({"nbf": True}, "nbf is not a number"),
    ({"nbf": None}, "nbf"),
    ({"iat": 10**400}, "iat"),
    ({"iat": "0"}, "iat is not a number"),
    ({"iat": []}, "iat"),
    ({"sub": ...}, '"sub"'),
    ({"sub": ""}, "1 to 255 characters"),
    ({"sub": 42}, "string"),
    ({"sub": {"id": "alice"}}, "string"),
    ({"sub": "x" * 256}, "1 to 255 characters"),
    ({"sub": "org/alice"}, "must not contain /"),
    ({"sub": "alice\x00"}, "U+0000"),
    ({"sub": "alice\ud800"}, "surrogates"),
    ({"jti": 7}, "JWT ID"),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSED_CLAIMS, ids=lambda value: repr(value)[:40])
def test_a_claim_that_breaks_a_rule_is_refused(changes: Mapping[str, object], reason: str) -> None:
    """A signed token whose times or subject break a rule is refused, and the reason names the claim."""
    assert reason in refusal(verifier(), hs256(SECRET, claims_with(changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": FAR + 0.5},
        {"exp": 10**300},
        {"exp": 1e300},
        {"nbf": -5.25},
        {"iat": -(10**400)},
        {"sub": "😀" * 255},
        {"sub": " "},
        {"aud": "somebody else"},
        {"iss": "anybody"},
        {"unknown": {"nested": [1, None]}},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_claim_within_the_rules_is_accepted(changes: Mapping[str, object]) -> None:
    """Fractional and far times, 30 s of leeway and claims that nobody here asks for do not hinder."""
    claims = claims_with(changes)
    assert claims["sub"] == identity(verifier(), hs256(SECRET, claims))["sub"]


@pytest.mark.parametrize("fraction", [0, 0.75])
@pytest.mark.parametrize(
    ("claim", "seconds", "reason"),
    [
        ("exp", -40, "expired"),
        ("exp", -20, None),
        ("nbf", 20, None),
        ("nbf", 40, "nbf"),
        ("iat", 20, None),
        ("iat", 40, "iat"),
    ],
)
def test_clocks_may_differ_by_30_seconds(
    claim: str, seconds: int, reason: str | None, fraction: float
) -> None:
    """A time is forgiven up to 30 seconds and not more, whole or fractional."""
    token = hs256(SECRET, claims_with({claim: int(time.time()) + seconds + fraction}))
    if reason is None:
        assert "alice" == identity(verifier(), token)["sub"]
    else:
        assert reason in refusal(verifier(), token)


@pytest.mark.parametrize("claim", ["iss", "aud"])
@pytest.mark.parametrize("value", [..., None, "", "other", "me ", "ME", 1, {}, ["other"], [["me"]], []])
def test_issuer_and_audience_are_enforced_when_set(claim: str, value: object) -> None:
    """A token that lacks the set issuer or audience, or names another, is refused."""
    claims = claims_with({"iss": "me", "aud": "me"} | {claim: value})
    assert refusal(verifier(issuer="me", audience="me"), hs256(SECRET, claims))


def test_the_audience_may_be_one_of_several() -> None:
    """A token for several audiences is for each of them."""
    token = hs256(SECRET, claims_with(aud=["other", "me"]))
    assert "alice" == identity(verifier(audience="me"), token)["sub"]


HEADERS: list[object] = [
    {},
    {"alg": None},
    {"alg": ["HS256"]},
    {"alg": "none"},
    {"alg": "hs256"},
    {"alg": "HS256 "},
    {"alg": "HS512"},
    {"alg": "RS256"},
    {"alg": "HS256", "crit": ["exp"], "exp": 1},
    {"alg": "HS256", "crit": ["b64"], "b64": False},
    {"alg": "HS256", "crit": []},
    {"alg": "HS256", "crit": ["\n\x1b[2J" + "a" * 4000]},
    {"alg": "\n\x1b[2J" + "a" * 4000},
    {"alg": "HS256", "b64": True},
    {"alg": "HS256", "kid": None},
    {"alg": "HS256", "kid": ["a"]},
    {"alg": "HS256", "typ": "logout+jwt"},
    {"alg": "HS256", "typ": "application/DPoP+JWT" + "a" * 4000 + "\n+jwt"},
    [],
    b"",
    b"{",
    b"\xff\xfe",
    b'{"alg":"HS256"}x',
    b'{"alg":"HS256","alg":"none"}',
    b"[" * 4000,
    b'{"alg":"HS256","n":' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("header", HEADERS, ids=lambda value: repr(value)[:40])
def test_a_header_that_breaks_a_rule_is_refused(header: object) -> None:
    """Another algorithm, any `crit` or `b64`, an odd kid, a token for something else than access, and what is no JSON
    object are refused."""
    assert refusal(verifier(), hs256(SECRET, claims_with(), header))


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "application/at+JWT", "Bearer", "", None])
def test_a_type_that_access_tokens_may_have_is_taken(typ: str | None) -> None:
    """An access token may say that it is one (RFC 9068), or a JWT, or nothing of its type."""
    token = hs256(SECRET, claims_with(), {"alg": "HS256", "typ": typ})
    assert "alice" == identity(verifier(), token)["sub"]


@pytest.mark.parametrize("header", HEADERS, ids=lambda value: repr(value)[:40])
def test_the_reason_of_a_refusal_is_one_short_line(header: object) -> None:
    """What a token's header says neither breaks the line of the log nor reaches a terminal, and makes no line long."""
    reason = refusal(verifier(), hs256(SECRET, claims_with(), header))

    assert reason.isascii()
    assert reason.isprintable()
    assert len(reason) < 300


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff", b"[" * 4000, b"9" * 5000])
def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    """A signature over anything but a JSON object makes no token."""
    assert refusal(verifier(), hs256(SECRET, payload))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-32-be"])
def test_a_token_is_written_in_utf8(encoding: str) -> None:
    """Neither header nor payload is read in another encoding (RFC 7519, section 7.2)."""
    header, claims = (json.dumps(part).encode(encoding) for part in ({"alg": "HS256"}, claims_with()))

    assert refusal(verifier(), hs256(SECRET, claims_with(), header))
    assert refusal(verifier(), hs256(SECRET, claims))


GOOD = hs256(SECRET, claims_with({"exp": FAR}))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "..",
        GOOD + ".AAAA",
        "." + GOOD,
        GOOD.rpartition(".")[0],
        GOOD.rpartition(".")[0] + ".",
        GOOD + "=",
        GOOD + "\n",
        GOOD + " ",
        GOOD.replace(".", ".\n"),
        GOOD + "é",
        '{"payload":"","signatures":[]}',
        "a.b.c.d.e",
    ],
)
def test_a_text_that_is_no_compact_jws_is_refused(token: str) -> None:
    """Anything but three base64url parts without padding is refused."""
    assert refusal(verifier(), token)


@given(st.integers(0, len(GOOD) - 1), st.characters(max_codepoint=255))
def test_any_changed_character_of_a_token_is_refused(position: int, character: str) -> None:
    """A token with any character changed to any other is refused, also in the unused bits of base64."""
    changed = GOOD[:position] + character + GOOD[position + 1 :]
    checked = verifier()
    assert "alice" == identity(checked, GOOD)["sub"]
    if changed != GOOD:
        assert refusal(checked, changed)


@given(st.dictionaries(st.sampled_from(CLAIMS), JSON), st.dictionaries(st.text(max_size=4), JSON, max_size=2))
def test_no_claims_whatever_are_an_error_of_ours(
    claims: dict[str, object], header: dict[str, object]
) -> None:
    """Any signed JSON is an identity of the promised form or a refusal with a reason of one line."""
    token = hs256(SECRET, claims_with() | claims, {"alg": "HS256"} | header)
    try:
        members = set(identity(verifier(audience="me", issuer="me"), token))
        lines = 1
    except Unauthorized as error:
        members = {"sub", "email", "scope"}
        lines = len(error.reason.splitlines())
    assert ({"sub", "email", "scope"}, 1) == (members, lines)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_no_bytes_whatever_are_an_error_of_ours(header: bytes, payload: bytes, signature: bytes) -> None:
    """Any three parts that are not signed with the secret are refused."""
    assert refusal(verifier(), ".".join(map(base64url, (header, payload, signature))))


@pytest.mark.parametrize(
    ("claims", "email"),
    [
        ({}, None),
        ({"email": "a@b"}, "a@b"),
        ({"email": "a@b", "email_verified": True}, "a@b"),
        ({"email": "a@b", "email_verified": "true"}, "a@b"),
        ({"email": "a@b", "email_verified": False}, None),
        ({"email": "a@b", "email_verified": "false"}, None),
        ({"email": "a@b", "emailVerified": True}, "a@b"),
        ({"email": "a@b", "emailVerified": False}, None),
        ({"email": "a@b", "email_verified": True, "emailVerified": False}, None),
        ({"email": "a@b", "email_verified": []}, "a@b"),
        ({"email": "😀" * 320}, "😀" * 320),
        ({"email": "x" * 321}, None),
        ({"email": ""}, None),
        ({"email": "a\x00@b"}, None),
        ({"email": "a\udfff@b"}, None),
        ({"email": ["a@b"]}, None),
        ({"email": 1}, None),
        ({"email": None}, None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_email_is_taken_only_if_it_can_be_trusted_and_stored(
    claims: Mapping[str, object], email: str | None
) -> None:
    """An unverified, over-long or unstorable email counts as unknown, and never stops its user."""
    assert {"sub": "alice", "email": email, "scope": ()} == identity(
        verifier(), hs256(SECRET, claims_with(claims))
    )


@pytest.mark.parametrize("form", ["PEM", "JWK"])
def test_hs256_with_a_public_key_as_the_secret_is_refused(issuer: Issuer, form: str) -> None:
    """A token signed with HMAC over the issuer's public key, in any of its forms, opens nothing."""
    key = issuer.keys["rsa"].public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = {"PEM": pem, "JWK": json.dumps(jwk_of(key)).encode()}[form]
    token = hs256(secret, claims_with(iss=issuer.name, aud=AUDIENCE), {"alg": "HS256", "kid": "rsa"})

    assert "alg is 'HS256'" in refusal_with_jwks(issuer, token)


@pytest.mark.parametrize("algorithm", ["none", "NONE", "", "ES384", "RS512", "EdDSA "])
@pytest.mark.parametrize("signature", ["", "AAAA", "kept"])
def test_the_token_does_not_choose_the_algorithm(issuer: Issuer, algorithm: str, signature: str) -> None:
    """With an issuer's keys too, a token without a signature or of an algorithm that is not set opens nothing."""
    _, payload, kept = issuer.token("ed").split(".")
    header = base64url(json.dumps({"alg": algorithm, "kid": "ed"}).encode())
    sent = f"{header}.{payload}.{kept if signature == 'kept' else signature}"
    assert refusal_with_jwks(issuer, sent)


@pytest.mark.parametrize(
    "changes",
    [{name: value} for name in ("iss", "aud") for value in (..., "other", [])]
    + [{"exp": ...}, {"exp": 1}, {"nbf": 2**33}, {"sub": ...}],
    ids=repr,
)
def test_an_issuers_token_keeps_every_rule(issuer: Issuer, changes: dict[str, object]) -> None:
    """With an issuer's keys too, a good signature does not make up for a missing or wrong claim."""
    claims = json.dumps(claims_with({"iss": issuer.name, "aud": AUDIENCE} | changes)).encode()
    reason = refusal_with_jwks(issuer, jwt.PyJWS().encode(claims, issuer.keys["ed"], "EdDSA", {"kid": "ed"}))
    assert "verification failed" not in reason


@pytest.mark.parametrize(("kid", "other"), [("ed", "ec"), ("ed", "rsa"), ("ec", "rsa"), ("rsa", "ed")])
def test_a_token_that_names_a_key_of_another_type_is_refused(issuer: Issuer, kid: str, other: str) -> None:
    """The algorithm must be the one of the key that the token names."""
    assert "has no" in refusal_with_jwks(issuer, issuer.token(kid, {"kid": other}))


@pytest.mark.parametrize("kid", ["", "ED", "ed\x00", "../ed", "\ud800", "é" * 900])
def test_a_token_with_an_odd_kid_is_refused(issuer: Issuer, kid: object) -> None:
    """A kid that names no key exactly finds none."""
    assert "has no EdDSA key" in refusal_with_jwks(issuer, issuer.token("ed", {"kid": kid}))


@pytest.mark.parametrize("kid", ["attacker", "ed", ...])
def test_a_key_that_the_token_brings_or_points_to_is_never_used(issuer: Issuer, kid: object) -> None:
    """`jwk`, `jku`, `x5u` and `x5c` are ignored: no request goes there, and that key opens nothing."""
    with Issuer() as attacker:
        attacker.keys["attacker"] = private_key("EdDSA", 666)
        pointers = {
            "jwk": jwk_of(attacker.keys["attacker"], kid="attacker"),
            "jku": attacker.url,
            "x5u": attacker.url,
            "x5c": ["AAAA"],
        }
        token = attacker.token("attacker", {"kid": kid, **pointers}, iss=issuer.name)

        assert refusal_with_jwks(issuer, token)
        assert 0 == attacker.requests


def test_a_long_token_is_read_up_to_the_contracts_limit() -> None:
    """A token of 16 KiB is read, and one of a byte more is 431, which no client answers by fetching another."""
    response = contract().document["components"]["responses"]["RequestHeaderFieldsTooLarge"]
    limit = response["x-max-token-bytes"]
    padding = limit - len(hs256(SECRET, claims_with(exp=FAR, more="")))
    longest = hs256(SECRET, claims_with(exp=FAR, more="x" * (padding * 3 // 4)))

    assert limit - 4 <= len(longest) <= limit
    assert "alice" == identity(verifier(), longest)["sub"]
    with pytest.raises(Unauthorized):
        verifier().verify(None, "A" * limit)
    with pytest.raises(RequestHeaderFieldsTooLarge):
        verifier().verify(None, "A" * (limit + 1))


@pytest.mark.parametrize(
    ("claims", "scope"),
    [
        ({"scope": "read  write"}, ("read", "write")),
        ({"scp": ["read", "write", 1]}, ("read", "write")),
        ({"scp": "read"}, ("read",)),
        ({"scope": "", "scp": "read"}, ()),
        ({"scope": {"read": True}}, ()),
        ({"scope": None}, ()),
    ],
    ids=repr,
)
def test_what_a_token_may_be_used_for_is_its_scope(
    claims: Mapping[str, object], scope: tuple[str, ...]
) -> None:
    """`scope` is a text of names (RFC 8693, section 4.2), `scp` a list or a text; anything else grants nothing."""
    assert scope == identity(verifier(), hs256(SECRET, claims_with(claims)))["scope"]


def test_a_repeated_token_costs_a_lookup() -> None:
    """The second use of a token gives the very object of the first, which nobody can change."""
    checked = verifier()
    first = identity(checked, GOOD)
    assert first is identity(checked, GOOD)
    with pytest.raises(TypeError):
        first["sub"] = "bob"  # type: ignore[index]


def test_a_cached_token_ends_with_its_time() -> None:
    """A token that was good a moment ago is refused as soon as exp and leeway are over."""
    checked, token = verifier(), hs256(SECRET, claims_with(exp=int(time.time()) - 30 + 3))
    assert "alice" == identity(checked, token)["sub"]
    time.sleep(3.1)
    assert "expired" in refusal(checked, token)


ALICE: Identity = {"sub": "alice", "email": None, "scope": ()}
KEYS = SharedSecret(SECRET)


def test_the_cache_answers_up_to_its_time_and_for_its_keys_only() -> None:
    """An entry holds until its time, not at it, and only for the key set that verified it."""
    cache = TokenCache()
    cache.put("token", KEYS, 100, ALICE)
    assert ALICE is cache.get("token", KEYS, 99.9)
    assert None is cache.get("token", KEYS, 100)
    assert None is cache.get("token", KEYS, 99)
    cache.put("token", KEYS, 100, ALICE)
    assert None is cache.get("token", SharedSecret(SECRET), 0)
    assert 0 == len(cache)


@given(st.lists(st.text(max_size=2), max_size=50), st.integers(1, 5))
def test_the_cache_is_bounded_and_knows_the_newest(tokens: list[str], size: int) -> None:
    """However many tokens come, the cache holds at most its size, and always the last one."""
    cache = TokenCache(size)
    for token in tokens:
        cache.put(token, KEYS, 100, {"sub": token, "email": None, "scope": ()})
        assert size >= len(cache)
        assert {"sub": token, "email": None, "scope": ()} == cache.get(token, KEYS, 0)


def test_only_tokens_of_usual_length_are_remembered() -> None:
    """A long token is verified each time, so that what is remembered is bounded in bytes as well."""
    checked, token = verifier(), hs256(SECRET, claims_with(exp=FAR, more="x" * MAX_CACHED_TOKEN_BYTES))

    assert identity(checked, token) is not identity(checked, token)


def test_an_issuers_keys_need_an_audience(issuer: Issuer) -> None:
    """Verifying with an issuer's keys and without an audience is refused at start."""
    with pytest.raises(ValueError, match="an audience must be set"):
        verifier_with_jwks(issuer, audience=None)


def test_any_secret_of_32_random_bytes_verifies_what_pyjwt_signs() -> None:
    """A token that PyJWT makes with the same secret is read, and one of another secret is not."""
    token = jwt.encode(claims_with(), SECRET, algorithm="HS256", headers={"kid": "anything"})
    assert "alice" == identity(verifier(), token)["sub"]
    assert "Signature" in refusal(BearerVerifier(SharedSecret(b"y" * 32), TokenRules()), token)
