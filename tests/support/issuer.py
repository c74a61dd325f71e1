"""A small real issuer: it signs tokens and publishes its keys over HTTP on loopback, honestly or not."""

import base64
import datetime
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from inspect import isawaitable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from server.identity.bearer import BearerVerifier
from server.identity.claims import Identity

AUDIENCE = "todo-api"
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Answer = Callable[[BaseHTTPRequestHandler], None]


_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@cache
def private_key(algorithm: str, number: int = 0, rsa_bits: int = 2048) -> PrivateKey:
    """A key for the algorithm; the same one for the same number, since RSA keys take long to make."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)


def algorithm_of(key: Any) -> str:
    """The algorithm that is usual for a key."""
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return {curve.name: name for name, curve in _CURVES.items()}.get(key.curve.name, "ES256K")
    return "RS256" if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey) else "EdDSA"


def jwk_of(key: Any, **members: object) -> dict[str, Any]:
    """The public JWK of a private key (or of any public one), with further members."""
    public = key.public_key() if hasattr(key, "public_key") else key
    jwk = jwt.get_algorithm_by_name(algorithm_of(public)).to_jwk(public, as_dict=True)
    return {"kty": jwk["kty"], **{n: jwk[n] for n in ("crv", "x", "y", "n", "e") if n in jwk}, **members}


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hs256(secret: bytes, payload: object, header: object = None) -> str:
    """A token signed with HS256 over exactly these parts: bytes as they are, everything else as JSON."""
    header = {"alg": "HS256"} if header is None else header
    parts = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload))
    signed = ".".join(map(base64url, parts))
    return f"{signed}.{base64url(hmac.digest(secret, signed.encode(), 'sha256'))}"


def claims_with(changes: Mapping[str, object] | None = None, **named: object) -> dict[str, object]:
    """Good claims with these changed; a claim changed to `...` is left out."""
    claims = {"sub": "alice", "exp": int(time.time()) + 900} | dict(changes or {}) | named
    return {name: value for name, value in claims.items() if value is not ...}


async def proven(verifier: BearerVerifier, token: str) -> Identity:
    """What the token proves, whether or not a key has to be fetched for it."""
    result = verifier.verify(None, token)
    return await result if isawaitable(result) else result


class Issuer:
    """Serves while its context lasts; `requests` counts what it was asked.

    `published` has what else it answers, by path; setting `answer` replaces every honest answer; clearing `open` holds
    all answers back until it is set.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.keys: dict[str, PrivateKey] = {"ed": private_key("EdDSA")}
        self.answer: Answer | None = None
        self.published: dict[str, Answer] = {}
        self.open = threading.Event()
        self.requests = 0
        self._tls = tls
        self._port = 0

    @property
    def name(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"{self.name}/jwks"

    def __enter__(self) -> "Issuer":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listens; on the same port as before after a stop."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests += 1
                issuer.open.wait(timeout=10)
                (issuer.answer or issuer.published.get(self.path) or issuer._publish)(self)

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # A client that hangs up on a hostile answer is what the tests want.

        self.open.set()
        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        if self._tls:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Closes the port: connections are refused until the next start."""
        self.open.set()
        self._server.shutdown()
        self._server.server_close()

    def token(self, kid: str = "ed", headers: Mapping[str, object] | None = None, **changes: object) -> str:
        """A token signed with the key `kid`, naming it, with these headers and claims changed."""
        header = {"kid": kid} | dict(headers or {})
        claims = claims_with({"iss": self.name, "aud": AUDIENCE} | changes)
        key = self.keys[kid]
        named = {name: value for name, value in header.items() if value is not ...}
        # PyJWT knows Ed25519 by its older name only, so that one is written into the header afterwards.
        algorithm = str(named.pop("alg", algorithm_of(key)))
        if algorithm == "Ed25519":
            signer = jwt.get_algorithm_by_name("EdDSA")
            parts = ({"alg": algorithm, **named}, claims)
            signed = ".".join(base64url(json.dumps(part).encode()) for part in parts)
            return f"{signed}.{base64url(signer.sign(signed.encode(), key))}"
        return jwt.encode(claims, key, algorithm=algorithm, headers=named)

    def _publish(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path != "/jwks":
            content(b"", 404)(handler)
            return
        keys = [jwk_of(key, kid=kid) for kid, key in self.keys.items()]
        content({"keys": keys})(handler)


def content(body: object, status: int = 200, **headers: str) -> Answer:
    """An answer with this body (bytes, or anything as JSON), status and headers."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"Content_Length": str(len(data))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context for 127.0.0.1, and the file of the certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "issuer.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file
