"""From the settings to what verifies tokens, and, in development, to what issues them."""

from datetime import timedelta

from openapi.bridge.contract import Contract
from server.identity.bearer import BearerVerifier
from server.identity.claims import TokenRules, issue_token
from server.identity.development import development_secret
from server.identity.issuer import IssuerClient
from server.identity.jwks import JwksStore
from server.identity.keys import SharedSecret
from server.settings import Settings, SettingsError

DEMO_USER = "demo"


def create_verifier(settings: Settings, contract: Contract) -> BearerVerifier:
    """What verifies the tokens that the settings ask for: an issuer's, those of a shared secret, or our own.

    Raises:
        SettingsError: if our own secret, in the data folder, cannot be used.
    """
    rules = _rules(settings, contract)
    if settings.source_of_keys:
        return BearerVerifier(JwksStore(IssuerClient(settings.auth_jwks_url, settings.auth_issuer)), rules)
    return BearerVerifier(SharedSecret(_signing_secret(settings)), rules)


def _rules(settings: Settings, contract: Contract) -> TokenRules:
    return TokenRules(
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
        subject=contract.owner_rules,
        max_bytes=contract.limit("x-max-token-bytes", TokenRules().max_bytes),
    )


def _signing_secret(settings: Settings) -> bytes:
    if name := settings.source_of_keys:
        raise SettingsError(f"{name} is set, so only the issuer makes tokens: sign in there to get one")
    if settings.auth_jwt_secret:
        return settings.auth_jwt_secret
    return development_secret(settings.data_dir)


def mint(
    settings: Settings,
    contract: Contract,
    user: str,
    lifetime: timedelta = timedelta(days=1),
    scope: str | None = None,
) -> str:
    """A token for `user`, with the names in `scope`, that this service will take for as long as its lifetime.

    Raises:
        SettingsError: if tokens are the issuer's to make, or the secret in the data folder cannot be used.
        ValueError: if `user` cannot be one of ours.
    """
    secret, rules = _signing_secret(settings), _rules(settings, contract)
    return issue_token(secret, user, rules, lifetime=lifetime, scope=scope)


def demo_token(settings: Settings, contract: Contract, scope: str | None = None) -> str | None:
    """A token for the user `demo` in development, None in production."""
    return mint(settings, contract, DEMO_USER, scope=scope) if settings.development else None
