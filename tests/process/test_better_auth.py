"""Better Auth, the real thing from npm: its tokens work here by the documented settings alone, across a change of
its keys."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.support.clusters import run
from tests.support.running import PROJECT, ServeProcess

pytestmark = pytest.mark.faults

FOLDER = Path(__file__).with_name("better_auth")
INSTALL = (
    "npm",
    "install",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-package-lock",
    "--engine-strict",
)


class BetterAuth:
    """A running server; `url` is its base URL."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.url = self._answer()

    @contextmanager
    def sign_up(self, name: str) -> Iterator[httpx.Client]:
        """A client that holds the session of a new user."""
        address, headers = f"{self.url}/api/auth", {"Origin": self.url}
        account = {"name": name, "email": f"{name}@example.com", "password": "correct horse battery"}
        with httpx.Client(base_url=address, headers=headers, trust_env=False, timeout=30) as client:
            client.post("/sign-up/email", json=account).raise_for_status()
            yield client

    def do(self, work: str) -> str:
        """Does the operator's work and says how many keys there are then."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{work}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def token_of(client: httpx.Client) -> str:
    """A new token of the client's user, from the JWT plugin's endpoint."""
    return str(client.get("/token").raise_for_status().json()["token"])


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, unverified."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Better Auth and our server on it."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Better Auth needs Node and npm, which are not installed")
    folder = tmp_path_factory.mktemp("better_auth")
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    ended = subprocess.run(INSTALL, cwd=folder, capture_output=True, text=True, timeout=300)
    if ended.returncode != 0:
        pytest.skip(f"npm cannot install Better Auth here: {ended.stderr.splitlines()[:1]}")
    return folder


@contextmanager
def better_auth(folder: Path) -> Iterator[BetterAuth]:
    """A server with a database and keys of its own."""
    command = ["node", "server.mjs"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield BetterAuth(process)
        finally:
            process.terminate()


@pytest.fixture
def issuer(installed: Path) -> Iterator[BetterAuth]:
    """The issuer that the service is told of."""
    with better_auth(installed) as running:
        yield running


@contextmanager
def service(issuer: BetterAuth, database_url: str, folder: Path) -> Iterator[httpx.Client]:
    """A fresh `todo-api serve` that knows its issuer from the settings in docs/settings.md, as a client of it."""
    lines = re.findall(
        r"^(AUTH_\w+)=(https://auth\.example.*)$", (PROJECT / "docs/settings.md").read_text(), re.M
    )
    settings = {name: value.replace("https://auth.example", issuer.url) for name, value in lines}
    assert {"AUTH_JWKS_URL", "AUTH_ISSUER", "AUTH_AUDIENCE"} == settings.keys()
    with (
        ServeProcess(cwd=folder, DATABASE_URL=database_url, **settings) as process,
        httpx.Client(base_url=process.url, trust_env=False, timeout=30) as client,
    ):
        process.wait_until_live()
        yield client


def status(client: httpx.Client, token: str, user: str | None = None) -> int:
    """What a list of the tasks of `user`, else of the token's own, is answered with."""
    path = f"/api/{user or claims_of(token)['sub']}/tasks"
    return client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def test_its_tokens_are_what_this_service_expects(issuer: BetterAuth) -> None:
    """Untouched by any option, a token is EdDSA with a kid, for 15 minutes, and names the base URL as iss and aud."""
    with issuer.sign_up("alice") as alice:
        token = token_of(alice)

    claims = claims_of(token)
    assert {"alg", "kid"} == jwt.get_unverified_header(token).keys()
    assert "EdDSA" == jwt.get_unverified_header(token)["alg"]
    assert 15 * 60 == claims["exp"] - claims["iat"]
    assert (issuer.url, issuer.url) == (claims["iss"], claims["aud"])


def test_who_signs_up_there_has_tasks_here(
    issuer: BetterAuth, installed: Path, database_url: str, tmp_path: Path
) -> None:
    """The user whom the token names creates and lists below the own path; another's path is 403 and no other token
    opens any."""
    with issuer.sign_up("alice") as alice, issuer.sign_up("bob") as bob, better_auth(installed) as stranger:
        token, other = token_of(alice), claims_of(token_of(bob))["sub"]
        with stranger.sign_up("mallory") as mallory:
            foreign = token_of(mallory)
    user = claims_of(token)["sub"]
    with service(issuer, database_url, tmp_path) as client:
        signed = {"Authorization": f"Bearer {token}"}
        created = client.post(f"/api/{user}/tasks", json={"title": "Buy milk"}, headers=signed)
        listed = client.get(f"/api/{user}/tasks", headers=signed)

        assert (201, user) == (created.status_code, created.json()["user_id"])
        assert [created.json()] == listed.json()
        assert 403 == status(client, token, other)
        assert 401 == status(client, foreign)
        assert 401 == status(client, f"{token[:-8]}AAAAAAAA", user)
    # Nobody has proved yet that the address is theirs.
    assert [(None,)] == run(database_url, "SELECT email FROM users WHERE id = %s", user)


def test_a_change_of_its_keys_stops_nobody(issuer: BetterAuth, database_url: str, tmp_path: Path) -> None:
    """A token of a new key is good at once and one of the key before as long as that is published; not longer."""
    with issuer.sign_up("alice") as alice, service(issuer, database_url, tmp_path) as client:
        before = token_of(alice)
        assert 200 == status(client, before)
        assert "rotate: 2" == issuer.do("rotate")
        after = token_of(alice)
        assert jwt.get_unverified_header(before)["kid"] != jwt.get_unverified_header(after)["kid"]
        # The service has fetched the first key alone until now.
        assert [200, 200] == [status(client, after), status(client, before)]
        assert "withdraw: 1" == issuer.do("withdraw")
        with service(issuer, database_url, tmp_path) as fresh:
            assert [200, 401] == [status(fresh, after), status(fresh, before)]
