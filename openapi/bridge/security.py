"""The security schemes of a contract, verified by Connexion's own security handlers.

Connexion finds the credentials of a request, tries the alternatives and combines what has to come together. What the
credentials prove is for a verifier to say, one for each scheme's name or kind:

| Kind | Credentials |
| --- | --- |
| `bearer`, `oauth2`, `openIdConnect` | the token; where the two latter have no verifier, that of `bearer` is asked |
| `basic` | the user's name and the password |
| `apiKey` | the key, from the header, query parameter or cookie that the scheme names |
| another `http` scheme, by its name in small letters | what follows the scheme's name in `Authorization` |
| `mutualTLS` | no more than the request; the verifier vouches for the connection, or the proxy before it |

An operation's scopes must all be among those of the claims (RFC 8693, section 4.2: `scope`, with spaces between; some
issuers send a list, or `scp`). Without credentials a request is 401, with a scope missing it is 403.
"""

from collections import ChainMap
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import Any
from urllib.parse import unquote_plus

from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import ContractError, Json, Place, follow
from openapi.bridge.failures import Forbidden
from openapi.bridge.framework import (
    NO_VALUE,
    AbstractSecurityHandler,
    ApiKeySecurityHandler,
    BasicSecurityHandler,
    BearerSecurityHandler,
)
from openapi.bridge.request.cookies import read_cookies

Claims = Mapping[str, Any]
_BEARER_KINDS = ("oauth2", "openIdConnect")


# Called with the request, which has `headers.get(name)` and `query_params.get(name)`, and the credentials of the
# kind, as text. It says what they prove, later only where something has to be asked first; Unauthorized is raised for
# those that are not valid.
Verifier = Callable[..., Claims | Awaitable[Claims]]
Verifiers = Mapping[str, Verifier]


class _Handler(AbstractSecurityHandler):
    """What all kinds have in common: the verifier is a function that is handed in, not the name of one."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def get_fn(self, security_scheme: Json, required_scopes: list[str]) -> Any:
        """The function that Connexion calls with every request of an operation under this scheme."""
        return self._reader(security_scheme, _with_scopes(self._verifier, required_scopes))

    def _reader(self, _scheme: Json, verifier: Verifier) -> Any:
        """What finds the credentials in a request and hands them to the verifier; without more, the verifier itself."""
        return self._get_verify_func(verifier)

    def _generic_check(self, func: Verifier, exception_msg: str) -> Verifier:
        # Connexion's own looks through the function's signature at every request.
        return func


class _Bearer(_Handler, BearerSecurityHandler):
    pass


class _Basic(_Handler, BasicSecurityHandler):
    pass


class _ApiKey(_Handler, ApiKeySecurityHandler):
    def _reader(self, scheme: Json, verifier: Verifier) -> Any:
        # Connexion hands the scopes on, which have been seen to here.
        return self._get_verify_func(
            lambda request, key, required_scopes: verifier(request, key), scheme["in"], scheme["name"], None
        )

    @staticmethod
    def get_cookie_value(cookies: str | None, name: str) -> str | None:
        """The cookie's value; Connexion's own parser raises for a name that it does not like."""
        return read_cookies(cookies or "").get(name)


class _OtherHttp(_Handler):
    def _reader(self, scheme: Json, verifier: Verifier) -> Any:
        def verify(request: Any) -> Any:
            name, credentials = self.get_auth_header_value(request)
            return verifier(request, credentials) if name == scheme["kind"] else NO_VALUE

        return verify


_HANDLERS: dict[str, type[_Handler]] = {
    **dict.fromkeys(("bearer", *_BEARER_KINDS), _Bearer),
    "basic": _Basic,
    "apiKey": _ApiKey,
    "mutualTLS": _Handler,
}


def _with_scopes(verifier: Verifier, required: Iterable[str]) -> Verifier:
    needed = frozenset(required)
    if not needed:
        return verifier

    def checked(claims: Claims) -> Claims:
        if missing := needed - scopes(claims):
            raise Forbidden(f"the scope {min(missing)!r} is missing")
        return claims

    async def checked_later(claims: Awaitable[Claims]) -> Claims:
        return checked(await claims)

    def verify(request: Any, *credentials: str) -> Claims | Awaitable[Claims]:
        claims = verifier(request, *credentials)
        return checked_later(claims) if isawaitable(claims) else checked(claims)

    return verify


def scopes(claims: Claims) -> frozenset[str]:
    """The scopes that claims hold, in whatever form their issuer writes them."""
    values = [claims[name] for name in ("scope", "scopes", "scp") if name in claims]
    lists = (value.split() if isinstance(value, str) else value for value in values)
    return frozenset(
        scope for each in lists if isinstance(each, Iterable) for scope in each if isinstance(scope, str)
    )


@dataclass(frozen=True, slots=True)
class OperationSecurity:
    """How the credentials of one operation are verified.

    Args:
        verify: Connexion's own; it notes the claims in the request's `context` as `token_info`.
        combined: the names of the schemes that may come together.
        query_keys: the names of query parameters that hold credentials.
    """

    verify: Callable[[Any], Awaitable[None]]
    combined: frozenset[frozenset[str]]
    query_keys: frozenset[str]


class Security:
    """The security schemes of a document and what verifies them.

    Args:
        verifiers: by the scheme's name in the document or, for all schemes of a kind, by that. A kind of the table
            above is no name.

    Raises:
        ContractError: for a verifier of no scheme, which is probably misspelt.
    """

    def __init__(self, document: Json, verifiers: Verifiers) -> None:
        schemes = document.get("components", {}).get("securitySchemes", {})
        self._schemes = {name: follow(document, Place("", each)).node for name, each in schemes.items()}
        self._kinds = {
            name: str(scheme["scheme"]).lower() if scheme["type"] == "http" else str(scheme["type"])
            for name, scheme in self._schemes.items()
        }
        if unknown := verifiers.keys() - {*_HANDLERS, *self._kinds, *self._kinds.values()}:
            raise ContractError(
                f"#/components/securitySchemes: no scheme has the name or kind {min(unknown)!r}, which `verifiers` has"
            )
        found = {name: _find(verifiers, name, kind) for name, kind in self._kinds.items()}
        self._verifiers = {name: verifier for name, verifier in found.items() if verifier is not None}

    def schemes(self) -> dict[str, Json]:
        """The schemes for Connexion, each of a type of its own, so that each has its own verifier."""
        return {
            name: {
                "in": scheme.get("in"),
                "name": scheme.get("name"),
                "type": _own_type(name),
                "kind": self._kinds[name],
            }
            for name, scheme in self._schemes.items()
        }

    def security_map(self) -> dict[str, Callable[[], AbstractSecurityHandler]]:
        """Connexion's security handlers by the types of `schemes`."""
        return {
            _own_type(name): partial(_HANDLERS.get(self._kinds[name], _OtherHttp), verifier)
            for name, verifier in self._verifiers.items()
        }

    def requirements(self, operation: Operation) -> list[Json]:
        """The alternatives of an operation that can be verified, that of no credentials last.

        Whoever sends credentials is their user even where they are not needed.

        Raises:
            ContractError: if there is not one, so that every request would be refused.
        """
        possible = [each for each in operation.security if self._verifiers.keys() >= each.keys()]
        if operation.security and not possible:
            name = next(name for name in operation.security[0] if name not in self._verifiers)
            raise ContractError(
                f"#{operation.place.pointer}: no verifier is there for the security scheme {name!r} "
                f"({self._kinds[name]}): `verifiers` needs one by that name or kind"
            )
        return sorted(possible, key=lambda requirement: not requirement)

    def of(self, operation: Operation, verify: Callable[[Any], Awaitable[None]]) -> OperationSecurity:
        """The security of an operation, with Connexion's verification of it."""
        combined = frozenset(frozenset(each) for each in operation.security if len(each) > 1)
        schemes = [self._schemes[name] for requirement in operation.security for name in requirement]
        keys = frozenset(scheme["name"] for scheme in schemes if scheme.get("in") == "query")
        # Those that are parameters of the operation's own too are left to its handler.
        declared = {place.node["name"] for place in operation.parameters if place.node["in"] == "query"}
        return OperationSecurity(verify, combined, keys - declared)

    def challenge(self, operation: Operation) -> str:
        """The value of `WWW-Authenticate` on a 401 (RFC 9110, section 11.6.1)."""
        names = dict.fromkeys(name for requirement in operation.security for name in requirement)
        return ", ".join(dict.fromkeys(_challenge(self._kinds[name]) for name in names))


def _own_type(name: str) -> str:
    return f"#/components/securitySchemes/{name}"


def _find(verifiers: Verifiers, name: str, kind: str) -> Verifier | None:
    by_kind = verifiers.get(kind) or (verifiers.get("bearer") if kind in _BEARER_KINDS else None)
    return (verifiers.get(name) if name not in _HANDLERS else None) or by_kind


def _challenge(kind: str) -> str:
    if kind == "basic":
        return 'Basic realm="api", charset="UTF-8"'
    return "Bearer" if kind in _BEARER_KINDS else kind[:1].upper() + kind[1:]


def merged(claims: Claims | None, combined: frozenset[frozenset[str]]) -> Claims | None:
    """The claims of schemes that came together, those of the first scheme before the others'.

    Args:
        combined: the names of the schemes that may come together, by which Connexion then notes their claims.
    """
    if claims is None or frozenset(claims) not in combined:
        return claims
    return {**ChainMap(*claims.values())}


def without_keys(query_string: bytes, keys: frozenset[str]) -> bytes:
    """A query without the parameters of these names."""
    pairs = query_string.split(b"&")
    kept = [pair for pair in pairs if unquote_plus(pair.partition(b"=")[0].decode("latin-1")) not in keys]
    return b"&".join(kept)
