"""The security schemes of OpenAPI, verified by Connexion's handlers: where credentials are found and what they open."""

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from openapi.bridge.document.places import ContractError
from openapi.bridge.failures import Unauthorized
from openapi.bridge.security import scopes
from tests.support.contracts import Json
from tests.support.serving import operation, parameter, serve, told

SCHEMES: Json = {
    "token": {"type": "http", "scheme": "bearer"},
    "password": {"type": "http", "scheme": "Basic"},
    "header": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "session"},
    "oauth": {"type": "oauth2", "flows": {}},
    "openid": {"type": "openIdConnect", "openIdConnectUrl": "https://issuer.example/.well-known/x"},
    "digest": {"type": "http", "scheme": "Digest"},
    "tls": {"type": "mutualTLS"},
    "second": {"type": "oauth2", "flows": {}},
}


def verify(_request: object, *credentials: str) -> Json:
    """Takes credentials whose last part is the user and the scopes, such as `alice+read+write`."""
    user, *granted = credentials[-1].split("+")
    if user == "wrong":
        raise Unauthorized("these credentials are wrong")
    return {"sub": user, "scope": " ".join(granted)}


async def verify_later(request: object, token: str) -> Json:
    """As `verify`, once something has been asked elsewhere."""
    return verify(request, token)


VERIFIERS: dict[str, Callable[..., Any]] = {
    "bearer": verify,
    "basic": verify,
    "apiKey": verify,
    "digest": verify,
    "mutualTLS": lambda request: verify(request, "alice+read"),
    "second": verify_later,
}


def ask(security: list[Json], **options: Any) -> httpx.Response:
    """The answer to a request for an operation under these requirements."""
    paths = {"/things": {"get": operation("read", security=security)}}
    send = serve(paths, VERIFIERS, components={"securitySchemes": SCHEMES})
    return send("GET", options.pop("path", "/things"), **options)


def basic(user: str, password: str) -> str:
    """The credentials of RFC 7617."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def bearer(credentials: str) -> Json:
    """The header with a bearer token."""
    return {"headers": {"Authorization": f"Bearer {credentials}"}}


CREDENTIALS: dict[str, Callable[[str], Json]] = {
    "token": bearer,
    "password": lambda user: {"headers": {"Authorization": basic("name", user)}},
    "header": lambda user: {"headers": {"X-Key": user}},
    "query": lambda user: {"path": f"/things?key={user.replace('+', '%2B')}"},
    "cookie": lambda user: {"headers": {"Cookie": f"other=1; session={user}"}},
    "oauth": bearer,
    "openid": bearer,
    "digest": lambda user: {"headers": {"Authorization": f"Digest {user}"}},
    "second": bearer,
}


@pytest.mark.parametrize("scheme", CREDENTIALS)
def test_every_scheme_is_verified(scheme: str) -> None:
    """Of any scheme: credentials are found where it says; none and wrong ones are 401, a scope missing is 403."""
    credentials = CREDENTIALS[scheme]
    assert {"operation": "read", "caller": "alice"} == told(ask([{scheme: []}], **credentials("alice")))
    assert 401 == ask([{scheme: []}]).status_code
    assert 401 == ask([{scheme: []}], **credentials("wrong")).status_code
    needed: list[Json] = [{scheme: ["read", "write"]}]
    assert 403 == ask(needed, **credentials("alice+read")).status_code
    assert 200 == ask(needed, **credentials("alice+write+read")).status_code


def test_mutual_tls_is_the_verifiers_to_say() -> None:
    """For mutualTLS a verifier vouches for the connection."""
    assert {"operation": "read", "caller": "alice"} == told(ask([{"tls": ["read"]}]))


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        ([{"token": []}, {"header": []}], {"token": "alice", "header": "alice", "": 401}),
        ([{"token": []}, {}], {"token": "alice", "header": None, "": None}),
        ([{}, {"header": []}], {"token": None, "header": "alice", "": None}),
        ([{"header": [], "cookie": []}], {"header": 401, "cookie": 401, "header cookie": "alice"}),
        (
            [{"header": [], "cookie": []}, {"token": []}, {}],
            {"token": "alice", "header cookie": "alice", "": None},
        ),
        ([{"oauth": ["read"], "second": ["write"]}], {"token": 403}),
        ([{"oauth": ["read"]}, {"header": []}], {"oauth": 403, "oauth header": "alice", "header": "alice"}),
        ([], {"": None, "token": None}),
    ],
)
def test_requirements_are_alternatives_and_combinations(security: list[Json], expected: Json) -> None:
    """One of the requirements suffices, each of which may name several schemes; `{}` is no credentials at all."""
    for names, caller in expected.items():
        headers = {}
        for name in names.split():
            headers.update(CREDENTIALS[name]("alice")["headers"])
        answer = ask(security, headers=headers)
        assert caller == (answer.json()["caller"] if answer.status_code == 200 else answer.status_code), names


def test_the_first_schemes_claims_come_first() -> None:
    """Where two schemes come together, the user is the one whom the first of them names."""
    headers = {"X-Key": "alice", "Cookie": "session=bob"}
    assert "alice" == ask([{"header": [], "cookie": []}], headers=headers).json()["caller"]
    assert "bob" == ask([{"cookie": [], "header": []}], headers=headers).json()["caller"]


@pytest.mark.parametrize(
    ("security", "challenge"),
    [
        ([{"token": []}], "Bearer"),
        ([{"oauth": []}, {"openid": []}], "Bearer"),
        ([{"password": []}, {"token": []}], 'Basic realm="api", charset="UTF-8", Bearer'),
        ([{"header": []}], "ApiKey"),
        ([{"digest": []}], "Digest"),
    ],
)
def test_a_401_names_the_schemes(security: list[Json], challenge: str) -> None:
    """`WWW-Authenticate` names each scheme of the operation once (RFC 9110, section 11.6.1)."""
    assert challenge == ask(security).headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Key", "alice"), ("X-Key", "alice")],
        [("Authorization", "Bearer alice"), ("Authorization", "Bearer alice")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer\ta")],
        [("Authorization", "")],
        [("Authorization", "Basic !")],
        [("Authorization", "Basic YQ==")],
        [("Cookie", "session")],
        [("Cookie", '"; =;;session="')],
    ],
)
def test_credentials_that_could_be_read_in_two_ways_are_refused(headers: list[tuple[str, str]]) -> None:
    """Credentials that are doubled, empty or broken are 401, never another's and never a fault of ours."""
    security: list[Json] = [{"token": ["x"]}, {"password": []}, {"header": []}, {"cookie": ["x"]}]
    assert ask(security, headers=headers).status_code in (401, 403)


def test_a_key_in_the_query_stands_beside_parameters() -> None:
    """The query parameter of a security scheme is none that the contract does not know; twice it is 401."""
    more = [parameter("limit", "query")]
    paths = {"/things": {"get": operation("read", security=[{"query": []}], parameters=more)}}
    send = serve(paths, VERIFIERS, components={"securitySchemes": SCHEMES})
    assert {"operation": "read", "caller": "alice", "limit": "1"} == told(
        send("GET", "/things?key=alice&limit=1")
    )
    assert 401 == send("GET", "/things?key=alice&key=alice").status_code
    assert 400 == send("GET", "/things?key=alice&other=1").status_code


def test_the_owner_is_whom_the_credentials_name() -> None:
    """`x-owner` holds under any scheme: the path names the user of the credentials, or it is 403."""
    owned = operation("read", parameters=[parameter("user", **{"x-owner": True})], security=[{"header": []}])
    send = serve({"/of/{user}": {"get": owned}}, VERIFIERS, components={"securitySchemes": SCHEMES})
    assert 200 == send("GET", "/of/alice", headers={"X-Key": "alice"}).status_code
    assert 403 == send("GET", "/of/bob", headers={"X-Key": "alice"}).status_code


def test_an_owner_of_another_tool_is_none_of_ours() -> None:
    """Some documents say by `x-owner` which team looks after something: such a parameter is one like any other."""
    looked_after = operation(
        "read", parameters=[parameter("user", **{"x-owner": "team-a"})], security=[{"header": []}]
    )
    send = serve({"/of/{user}": {"get": looked_after}}, VERIFIERS, components={"securitySchemes": SCHEMES})
    told_to = {"operation": "read", "caller": "alice", "user": "bob"}
    assert told_to == told(send("GET", "/of/bob", headers={"X-Key": "alice"}))


def test_what_nobody_can_verify_is_refused_at_the_start() -> None:
    """A scheme without a verifier is passed over beside one that has one, and stops the start where it stands alone."""
    beside = {"/things": {"get": operation("read", security=[{"tls": []}, {"token": []}])}}
    verifiers = {"bearer": verify}
    send = serve(beside, verifiers, components={"securitySchemes": SCHEMES})
    assert 401 == send("GET", "/things").status_code
    assert 200 == send("GET", "/things", **bearer("alice")).status_code
    alone = {"/things": {"get": operation("read", security=[{"tls": []}])}}
    line = r"^#/paths/~1things/get: no verifier is there for the security scheme 'tls' \(mutualTLS\): `verifiers` "
    with pytest.raises(ContractError, match=line):
        serve(alone, verifiers, components={"securitySchemes": SCHEMES})


def test_the_name_of_a_kind_is_the_kind() -> None:
    """A verifier of a kind is not asked of a scheme of another kind that bears its name, whose credentials it cannot
    read."""
    paths = {"/things": {"get": operation("read", security=[{"bearer": []}])}}
    schemes = {"bearer": SCHEMES["password"], "basic": SCHEMES["token"]}
    line = r"^#/paths/~1things/get: no verifier is there for the security scheme 'bearer' \(basic\): "
    with pytest.raises(ContractError, match=line):
        serve(paths, {"bearer": verify}, components={"securitySchemes": schemes})


def test_a_verifier_of_no_scheme() -> None:
    """A verifier whose name no scheme has stops the start, since the scheme that was meant would be passed over."""
    line = "^#/components/securitySchemes: no scheme has the name or kind 'TLS', which `verifiers` has$"
    with pytest.raises(ContractError, match=line):
        serve(
            {"/things": {"get": operation("act")}}, {"TLS": verify}, components={"securitySchemes": SCHEMES}
        )


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, set()),
        ({"scope": "read  write"}, {"read", "write"}),
        ({"scp": ["read"], "scope": "write"}, {"read", "write"}),
        ({"scopes": ("read", 5)}, {"read"}),
        ({"scope": None, "scp": 5}, set()),
    ],
)
def test_scopes_are_read_in_every_form(claims: Json, expected: set[str]) -> None:
    """Scopes are a text with spaces (RFC 8693, section 4.2) or a list, under one of three names."""
    assert expected == scopes(claims)
