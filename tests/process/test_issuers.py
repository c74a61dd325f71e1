"""Tokens of the shapes that known issuers send, each over HTTP with a set of keys of its shape, and how an issuer is
found by its name alone. The shapes follow the issuers' own documentation; the keys are made here."""

import asyncio
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping

import pytest

from openapi.bridge.failures import Unauthorized, Unavailable
from server.identity.bearer import BearerVerifier
from server.identity.claims import Identity, TokenRules
from server.identity.issuer import IssuerClient, IssuerError, discovery_addresses
from server.identity.jwks import JwksStore
from tests.support.documentation import rows
from tests.support.issuer import AUDIENCE, Issuer, content, jwk_of, private_key, proven
from tests.support.running import PROJECT

CERTIFICATE = {"x5c": ["MIIC"], "x5t": "eHl6", "x5t#S256": "eHl6"}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def outcome(issuer: Issuer, token: str, name: str | None = None, audience: str = AUDIENCE) -> Identity:
    """What a token proves to a service that is set up with the address of the keys and what `iss` and `aud` must be."""
    verifier = BearerVerifier(JwksStore(IssuerClient(issuer.url, None)), TokenRules(name, audience))
    return asyncio.run(proven(verifier, token))


# By issuer: the algorithm, the set's members for its key, the token's header and its claims beside exp and iat.
SHAPES: dict[str, tuple[str, dict[str, object], dict[str, object], dict[str, object]]] = {
    "Keycloak": (
        "RS256",
        {"alg": "RS256", "use": "sig", **CERTIFICATE},
        {"typ": "JWT"},
        {"iss": "https://id.example/realms/app", "aud": ["todo-api", "account"], "typ": "Bearer", "azp": "web",
         "scope": "openid email", "email": "a@b", "email_verified": True},
    ),
    "Auth0": (
        "RS256",
        {"alg": "RS256", "use": "sig", **CERTIFICATE},
        {"typ": "JWT"},
        {"iss": "https://tenant.auth0.com/", "sub": "auth0|65f0", "azp": "web", "scope": "openid profile",
         "aud": ["todo-api", "https://tenant.auth0.com/userinfo"]},
    ),
    "Clerk": (
        "RS256",
        {"alg": "RS256", "use": "sig"},
        {"typ": "JWT", "cat": "cl_B7d4"},
        {"iss": "https://app.clerk.accounts.dev", "sub": "user_2abc", "aud": "todo-api", "azp": "https://app.example",
         "sid": "sess_1", "sts": "active", "v": 2, "fva": [5, -1]},
    ),
    "Logto": (
        "ES384",
        {"use": "sig"},
        {"typ": "at+jwt"},
        {"iss": "https://tenant.logto.app/oidc", "aud": "todo-api", "client_id": "web", "scope": "read write"},
    ),
    "Supabase": (
        "ES256",
        {"alg": "ES256", "key_ops": ["verify"], "ext": True},
        {"typ": "JWT"},
        {"iss": "https://ref.supabase.co/auth/v1", "aud": "todo-api", "role": "authenticated", "aal": "aal1",
         "email": "a@b", "phone": "", "is_anonymous": False, "user_metadata": {"email_verified": True}},
    ),
    "Zitadel": (
        "RS256",
        {"alg": "RS256", "use": "sig"},
        {"typ": "JWT"},
        {"iss": "https://app.zitadel.cloud", "sub": "278999999999999999", "aud": ["2789", "todo-api"], "jti": "V2_1"},
    ),
    "Cognito": (
        "RS256",
        {"alg": "RS256", "use": "sig"},
        {},
        {"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A", "aud": "todo-api", "token_use": "id",
         "cognito:username": "a", "email": "a@b", "email_verified": True},
    ),
    "Entra": (
        "RS256",
        {"use": "sig", "issuer": "https://login.microsoftonline.com/tid/v2.0", **CERTIFICATE},
        {"typ": "JWT", "x5t": "eHl6"},
        {"iss": "https://login.microsoftonline.com/tid/v2.0", "aud": "todo-api", "azp": "web", "scp": "Tasks.All",
         "tid": "tid", "ver": "2.0"},
    ),
    "Better Auth": (
        "EdDSA",
        {"alg": "EdDSA"},
        {},
        {"iss": "https://app.example", "aud": "todo-api", "email": "a@b", "emailVerified": False},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_token_of_the_issuers_shape_is_taken(issuer: Issuer, name: str) -> None:
    """With `iss` and `aud` set the token proves its `sub`, beside an encryption key and one of an unknown type."""
    algorithm, members, headers, claims = SHAPES[name]
    issuer.keys = {"a": private_key(algorithm)}
    others = [
        {"kty": "AKP", "alg": "ML-DSA-44", "kid": "b"},
        jwk_of(private_key("RS256", 2), use="enc", alg="RSA-OAEP"),
    ]
    issuer.answer = content({"keys": [*others, jwk_of(issuer.keys["a"], kid="a", **members)]})
    token = issuer.token("a", headers, **claims)

    proof = outcome(issuer, token, str(claims["iss"]), "todo-api")
    assert claims.get("sub", "alice") == proof["sub"]
    for wrong in ({"aud": ...}, {"aud": "other"}, {"iss": "https://other.example"}):
        with pytest.raises(Unauthorized):
            outcome(issuer, issuer.token("a", headers, **{**claims, **wrong}), str(claims["iss"]), "todo-api")


def test_every_issuer_with_a_page_was_tried() -> None:
    """The table of docs/deploy/issuers.md has the issuers whose shapes are tried here, and no others."""
    table = rows(PROJECT / "docs/deploy/issuers.md", "The three settings")

    assert sorted(SHAPES) == sorted(re.sub(r" \(.*", "", cells[0]) for cells in table)


METADATA = {"openid": "/.well-known/openid-configuration", "oauth": "/.well-known/oauth-authorization-server"}


def describe(server: Issuer, path: str, **changes: object) -> None:
    """Has the server publish its discovery document, with members changed."""
    document = {"issuer": server.name, "jwks_uri": server.url, "token_endpoint": f"{server.name}/token"}
    members = {name: value for name, value in (document | changes).items() if value is not ...}
    server.published[path] = content(members)


def discovered(issuer: Issuer, name: str | None = None) -> Identity:
    name = name or issuer.name
    verifier = BearerVerifier(JwksStore(IssuerClient(None, name)), TokenRules(name, AUDIENCE))
    return asyncio.run(proven(verifier, issuer.token(iss=name)))


@pytest.mark.parametrize("path", METADATA.values(), ids=METADATA)
def test_an_issuer_is_found_by_its_name(issuer: Issuer, path: str) -> None:
    """Without an address of keys the issuer's own document names it: OpenID Connect Discovery 1.0, or RFC 8414."""
    describe(issuer, path)

    assert "alice" == discovered(issuer)["sub"]


def test_the_path_of_an_issuers_name_is_kept(issuer: Issuer) -> None:
    """A path comes before the first document's place, without its last slash, and after the second's."""
    realm = f"{issuer.name}/realms/app/"
    describe(issuer, "/realms/app/.well-known/openid-configuration", issuer=realm)

    assert "alice" == discovered(issuer, realm)["sub"]
    assert [
        "https://id.example/realms/app/.well-known/openid-configuration",
        "https://id.example/.well-known/oauth-authorization-server/realms/app",
    ] == [str(address) for address in discovery_addresses("https://id.example/realms/app")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"issuer": "https://other.example"}, "names another issuer, 'https://other.example'"),
        ({"issuer": ...}, "is not JSON with issuer and jwks_uri"),
        ({"jwks_uri": ...}, "is not JSON with issuer and jwks_uri"),
        ({"jwks_uri": "http://id.example/jwks"}, "neither https nor of this machine"),
        ({"jwks_uri": "file:///etc/jwks"}, "neither https nor of this machine"),
        ({"jwks_uri": 7}, "neither https nor of this machine"),
    ],
    ids=repr,
)
def test_a_discovery_document_that_is_wrong_opens_nothing(
    issuer: Issuer, changes: Mapping[str, object], reason: str
) -> None:
    """It must name the issuer exactly and keys at an address that can be trusted; else tokens are 503."""
    describe(issuer, METADATA["openid"], **changes)

    with pytest.raises(Unavailable):
        discovered(issuer)
    with pytest.raises(IssuerError, match=re.escape(reason)):
        asyncio.run(IssuerClient(None, issuer.name).key_set())


def test_a_discovery_document_that_redirects_is_not_followed(issuer: Issuer) -> None:
    """Only the issuer's own address speaks for it."""
    with Issuer() as elsewhere:
        describe(elsewhere, METADATA["openid"], issuer=issuer.name)
        for path in METADATA.values():
            issuer.published[path] = content(b"", 302, Location=f"{elsewhere.name}{METADATA['openid']}")

        with pytest.raises(Unavailable):
            discovered(issuer)
        assert (2, 0) == (issuer.requests, elsewhere.requests)


def test_each_address_that_was_asked_is_named(issuer: Issuer) -> None:
    """Where no discovery document can be had, the reason of the first is not lost behind that of the second."""
    issuer.published[METADATA["openid"]] = content(b"", 302)
    issuer.published[METADATA["oauth"]] = content(b"", 404)

    with pytest.raises(IssuerError) as caught:
        asyncio.run(IssuerClient(None, issuer.name).key_set())
    first, second = (f"{issuer.name}{METADATA[name]} answers with the status" for name in ("openid", "oauth"))
    assert f"{first} 302, not 200, and {second} 404, not 200" == str(caught.value)


def test_a_server_that_does_not_speak_tls() -> None:
    """A connection that is closed while TLS begins is given words, of which newer Pythons have none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with listener.accept()[0] as connection:
                connection.recv(65_536)

        threading.Thread(target=hang_up).start()
        with pytest.raises(IssuerError, match=r"^ConnectError: .*closed"):
            asyncio.run(IssuerClient(f"https://127.0.0.1:{listener.getsockname()[1]}", None).key_set())


@pytest.mark.parametrize(
    "name", ["https://id.example?tenant=a", "https://id.example#a", "http://id.example", "id.example"]
)
def test_a_name_that_is_no_address_cannot_be_asked(name: str) -> None:
    """An issuer's address is https or of this machine, without query and fragment."""
    with pytest.raises(ValueError, match="address must"):
        IssuerClient(None, name)


def test_what_asks_an_issuer_is_not_run_without_one() -> None:
    """A server reads its settings first; even so it has no memory for the client of issuers that nobody has set."""
    script = "import sys, server.settings, server.process.serve; print('httpx._client' in sys.modules)"
    command = [sys.executable, "-W", "ignore", "-c", script]
    assert (
        "False\n" == subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT).stdout
    )
