"""An issuer over HTTP: where it publishes its keys, and what it publishes there, within bounds of size and time."""

import asyncio
import ipaddress
import json

from openapi.bridge.run_when_used import run_when_used

# Only a service that has an issuer asks one.
run_when_used("httpx")

import httpx  # noqa: E402

FETCH_SECONDS = 5.0  # all of it, from the first name lookup to the last byte
MAX_BYTES = 1_000_000


class IssuerError(Exception):
    """The issuer cannot be asked; the message is one line that says what it did."""


class IssuerClient:
    """Asks a server that signs tokens for the public keys to verify them with.

    Args:
        jwks_url: where its keys are; None if it is to say so itself, by its discovery document.
        name: what its tokens and its discovery document call it (`iss`); its address, if it is to be asked.
        seconds: the most time that all questions for one set of keys may take.

    Raises:
        ValueError: if the address that is to be asked is neither https nor of this machine.
    """

    def __init__(self, jwks_url: str | None, name: str | None, seconds: float = FETCH_SECONDS) -> None:
        self._jwks_url = trusted_address(jwks_url) if jwks_url else None
        self._documents = [] if jwks_url else discovery_addresses(name or "")
        self._name = name
        self._seconds = seconds
        # Made here, once, because reading the certificate authorities takes tens of milliseconds.
        self._tls = httpx.create_ssl_context()

    async def key_set(self) -> bytes:
        """The issuer's keys as it publishes them now: the text of a JWK set, if the issuer is right.

        Raises:
            IssuerError: if it does not answer as it must, in time.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await self._download(self._jwks_url or await self._discover())
        except TimeoutError:
            raise IssuerError(f"no whole answer within {self._seconds:g} seconds") from None
        except (httpx.HTTPError, OSError) as error:
            words = str(error) or "the connection was closed, as where a server does not speak TLS"
            raise IssuerError(f"{type(error).__name__}: {words}") from error

    async def _discover(self) -> "httpx.URL":
        """Where the keys are, by the first discovery document that there is."""
        reasons = []
        for address in self._documents:
            try:
                document = await self._download(address)
            except IssuerError as error:
                reasons.append(str(error))
            else:
                return self._keys_of(document)
        raise IssuerError(", and ".join(reasons))

    def _keys_of(self, document: bytes) -> "httpx.URL":
        try:
            metadata = json.loads(document)
            issuer, address = metadata["issuer"], metadata["jwks_uri"]
        except (ValueError, TypeError, LookupError, RecursionError):
            raise IssuerError("its discovery document is not JSON with issuer and jwks_uri") from None
        if issuer != self._name:
            # The issuer's own word, cut and with escapes, since nothing about it is known to be right.
            raise IssuerError(f"its discovery document names another issuer, {issuer!a:.120}")
        try:
            return trusted_address(address)
        except (TypeError, ValueError):
            raise IssuerError(
                "its discovery document has a jwks_uri that is neither https nor of this machine"
            ) from None

    async def _download(self, address: "httpx.URL") -> bytes:
        async with (
            httpx.AsyncClient(
                verify=self._tls,
                timeout=self._seconds,
                follow_redirects=False,
                # A proxy from the environment may carry https, but must not see what is meant for loopback.
                trust_env=address.scheme == "https",
            ) as client,
            # Compression is declined and never undone, since a small answer could unpack to a huge one.
            client.stream("GET", address, headers={"Accept-Encoding": "identity"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                # Without a query, which may hold a key.
                asked = address.copy_with(query=None)
                raise IssuerError(f"{asked} answers with the status {response.status_code}, not 200")
            document = bytearray()
            async for chunk in response.aiter_raw():
                document += chunk
                if len(document) > MAX_BYTES:
                    raise IssuerError(f"the answer is larger than {MAX_BYTES} bytes")
            return bytes(document)


def discovery_addresses(issuer: str) -> "list[httpx.URL]":
    """Where an issuer describes itself: OpenID Connect Discovery 1.0, section 4, and RFC 8414, section 3.

    Raises:
        ValueError: if the issuer's name is no address that can be trusted, or has a query or a fragment.
    """
    address = trusted_address(issuer)
    path = address.raw_path.decode().rstrip("/")
    if "?" in issuer or "#" in issuer:
        raise ValueError("the issuer's address must have neither a query nor a fragment")
    suffixes = (f"{path}/.well-known/openid-configuration", f"/.well-known/oauth-authorization-server{path}")
    return [address.copy_with(raw_path=suffix.encode()) for suffix in suffixes]


def trusted_address(url: str) -> "httpx.URL":
    """`url` as an address from which nobody in between can serve other keys: https, or http on this machine.

    Raises:
        ValueError: if it is of another kind; the message does not hold it, since it may hold a password.
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    trusted = address.scheme == "https" or (address.scheme == "http" and is_loopback(address.host))
    if not trusted or not address.host or address.userinfo or (address.port or 0) > 65535:
        raise ValueError(
            "the address must begin with https://, or with http:// and a loopback host "
            "(localhost, 127.0.0.1 or [::1]), and hold no user name or password"
        )
    return address


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without brackets, can only mean this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
