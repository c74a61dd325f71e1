"""TLS to the database: Debian's PostgreSQL with a certificate of the test's own authority."""

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import make_url

from db.embedded.account import server_account
from db.migrations import migrations
from tests.support.clusters import DEPLOYER, cluster, run
from tests.support.running import SECRET, ServeProcess, Service, free_port, todo_api

pytestmark = pytest.mark.faults

PRODUCTION = {"AUTH_JWT_SECRET": SECRET.decode()}


class Authority:
    """Signs certificates, and its own is `<name>.pem` in the folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / f"{name}.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._certificate(self._name, self._key.public_key(), constraints)
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, host: str, certificate: Path, key: Path) -> None:
        """Writes a certificate for the host, and its key, to files."""
        private = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        signed = self._certificate(subject, private.public_key(), names)
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        key.write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))

    def _certificate(self, subject: x509.Name, key: Any, extension: Any) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        return builder.add_extension(extension, critical=True).sign(self._key, hashes.SHA256())


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the server's account can read."""
    with tempfile.TemporaryDirectory(prefix="tls-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """A database at localhost over TCP, with the schema of this version, on a server whose certificate says so."""
    authority = Authority(folder, "authority")
    Authority(folder, "stranger")
    certificate, key = folder / "server.pem", folder / "server.key"
    authority.sign("localhost", certificate, key)
    account = server_account(folder)
    os.chown(key, account.uid, account.gid)
    key.chmod(0o600)
    port = free_port()
    options = f"-c ssl=on -c ssl_cert_file={certificate} -c ssl_key_file={key}"
    with cluster(15, port, options) as server, server.database(DEPLOYER) as direct:
        migrations.upgrade(direct)
        hba = run(server.url, "SHOW hba_file")[0][0]
        Path(hba).write_text("local all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        run(server.url, "SELECT pg_reload_conf()")
        over_tcp = make_url(direct).set(host="localhost", port=port, query={})
        yield over_tcp.render_as_string(hide_password=False)


def with_tls(url: str, folder: Path, mode: str, authority: str | None = None, host: str = "localhost") -> str:
    """The URL with these settings of TLS."""
    query = {"sslmode": mode, **({"sslrootcert": str(folder / authority)} if authority else {})}
    return make_url(url).set(host=host, query=query).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("mode", "authority", "host"),
    [
        ("require", None, "localhost"),
        ("require", None, "127.0.0.1"),
        ("verify-ca", "authority.pem", "127.0.0.1"),
        ("verify-full", "authority.pem", "localhost"),
    ],
)
def test_it_serves_over_tls(
    url: str, folder: Path, tmp_path: Path, mode: str, authority: str | None, host: str
) -> None:
    """With each way of checking the server's certificate that it passes, the service serves, over TLS throughout."""
    database = with_tls(url, folder, mode, authority, host)
    with ServeProcess(cwd=tmp_path, DATABASE_URL=database, **PRODUCTION) as process:
        process.wait_until_live()
        with Service(process.url).client("alice") as client:
            assert 201 == client.post("/api/alice/tasks", json={"title": "Buy milk"}).status_code
        encrypted = "SELECT count(*), bool_and(ssl) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)"
        (outcome,) = run(database, f"{encrypted} WHERE application_name = 'todo-api'")
        assert outcome[0] >= 1
        assert outcome[1]


CERTIFICATE = (
    "The database's certificate is not the one that DATABASE_URL asks for: check the host name, and that sslrootcert "
    "is the path of its authority's certificate"
)
TLS_ONLY = (
    "The database lets nobody in from here with this login: its pg_hba.conf must allow it, and may ask for TLS "
    "(sslmode=require)"
)


@pytest.mark.parametrize(
    ("mode", "authority", "host", "sentence"),
    [
        ("verify-full", "authority.pem", "127.0.0.1", CERTIFICATE),
        ("verify-full", "stranger.pem", "localhost", CERTIFICATE),
        ("verify-ca", "stranger.pem", "localhost", CERTIFICATE),
        ("verify-full", "missing.pem", "localhost", CERTIFICATE),
        ("disable", None, "localhost", TLS_ONLY),
    ],
    ids=["wrong host", "wrong authority", "wrong authority, any host", "missing file", "without TLS"],
)
def test_a_server_that_is_not_trusted_is_one_line(
    url: str, folder: Path, tmp_path: Path, mode: str, authority: str | None, host: str, sentence: str
) -> None:
    """The service does not start on a database that is not the one it was told, and says what to look at."""
    database = with_tls(url, folder, mode, authority, host)
    ended = todo_api("serve", cwd=tmp_path, DATABASE_URL=database, PORT=str(free_port()), **PRODUCTION)

    assert (1, "", f"error: {sentence}\n") == (ended.returncode, ended.stdout, ended.stderr)


def test_a_server_without_tls_is_one_line(url: str, tmp_path: Path) -> None:
    """Where TLS is asked for and the server has none, nothing is sent to it."""
    with cluster(15, port := free_port()) as server:
        plain = make_url(server.url).set(host="localhost", port=port, query={"sslmode": "require"})
        database = plain.render_as_string(hide_password=False)
        ended = todo_api("serve", cwd=tmp_path, DATABASE_URL=database, PORT=str(free_port()), **PRODUCTION)

    sentence = "The database has no TLS, which DATABASE_URL asks for: check host and sslmode"
    assert (1, "", f"error: {sentence}\n") == (ended.returncode, ended.stdout, ended.stderr)


def test_a_wrong_password_at_the_start_is_one_line(url: str, tmp_path: Path) -> None:
    """A password that the database refuses stops the start, and is not told."""
    database = make_url(url).set(password="hunter2").render_as_string(hide_password=False)
    ended = todo_api("serve", cwd=tmp_path, DATABASE_URL=database, PORT=str(free_port()), **PRODUCTION)

    sentence = "The database refused the login: check user and password in DATABASE_URL"
    assert (1, "", f"error: {sentence}\n") == (ended.returncode, ended.stdout, ended.stderr)
