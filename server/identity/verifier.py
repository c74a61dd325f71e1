"""From the settings to what verifies tokens, and, in development, to what issues them."""

from server.identity.bearer import BearerVerifier, TokenRules, issue_token
from server.identity.keys import JwksStore, SharedSecret
from server.settings import Settings, SettingsError, development_secret

DEMO_USER = "demo"


def create_verifier(settings: Settings) -> BearerVerifier:
    """What verifies the tokens that the settings ask for: an issuer's, those of a shared secret, or our own."""
    rules = TokenRules(issuer=settings.auth_issuer, audience=settings.auth_audience)
    if settings.auth_jwks_url:
        return BearerVerifier(JwksStore(settings.auth_jwks_url), rules)
    return BearerVerifier(SharedSecret(signing_secret(settings)), rules)


def signing_secret(settings: Settings) -> bytes:
    """The shared secret; in development one that is kept in the data folder.

    Raises:
        SettingsError: if tokens are the issuer's to make, or the secret in the data folder cannot be used.
    """
    if settings.auth_jwks_url:
        raise SettingsError("AUTH_JWKS_URL is set, so only the issuer makes tokens: sign in there to get one")
    if settings.auth_jwt_secret:
        return settings.auth_jwt_secret.get_secret_value()
    return development_secret(settings.data_dir)


def mint(settings: Settings, user: str) -> str:
    """A token for `user` that this service will take, for one day.

    Raises:
        SettingsError: as `signing_secret`.
        ValueError: if `user` cannot be one of ours.
    """
    secret = signing_secret(settings)
    return issue_token(secret, user, issuer=settings.auth_issuer, audience=settings.auth_audience)


def demo_token(settings: Settings) -> str | None:
    """A token for the user `demo` in development, None in production."""
    return mint(settings, DEMO_USER) if settings.development else None
