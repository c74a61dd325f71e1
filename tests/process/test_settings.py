"""The settings: what may be set, what is reported when it is wrong, and what is never shown."""

import os
import stat
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, fields
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from threading import Barrier

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from server.identity.development import development_secret
from server.identity.keys import SharedSecret
from server.settings import NAMES, Settings, SettingsError

SECRET = "correct horse battery staple 0123456789"
JWKS_URL = "https://issuer.example/jwks"
PUBLIC_KEY = (
    Ed25519PrivateKey.generate()
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
RULES = {each.name.upper(): each.metadata["rule"] for each in fields(Settings)}


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper() in NAMES]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def load(**environment: str) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return Settings.load()


def lines(**environment: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(**environment)
    return str(caught.value).splitlines()


def test_without_any_setting_there_is_a_service_for_one_developer() -> None:
    """With nothing set the service listens on loopback, in development mode, with the embedded database."""
    settings = load()

    assert (True, None, Path(".todo-api")) == (settings.development, settings.database_url, settings.data_dir)
    assert ("127.0.0.1", 8000, 1) == (settings.host, settings.port, settings.web_concurrency)
    assert (None, None, None, None) == (
        settings.auth_jwt_secret,
        settings.auth_jwks_url,
        settings.auth_issuer,
        settings.auth_audience,
    )
    assert ((), "INFO") == (settings.cors_origins, settings.log_level)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DATABASE_URL", "postgres://app:p%40ss@db.example/todo", "postgres://app:p%40ss@db.example/todo"),
        ("DATA_DIR", "/srv/todo", Path("/srv/todo")),
        ("HOST", "0.0.0.0", "0.0.0.0"),
        ("PORT", "9000", 9000),
        ("WEB_CONCURRENCY", "4", 4),
        ("REQUEST_TIMEOUT", "7.5", 7.5),
        ("AUTH_JWT_SECRET", SECRET, SECRET.encode()),
        ("AUTH_ISSUER", "https://issuer.example", "https://issuer.example"),
        ("AUTH_AUDIENCE", "todo", "todo"),
        ("CORS_ORIGINS", "https://app.example", ("https://app.example",)),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("LOG_FORMAT", "JSON", "json"),
        ("METRICS_HOST", "::", "::"),
        ("METRICS_PORT", "9464", 9464),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example", "https://collector.example"),
    ],
)
def test_every_setting_is_read_from_the_environment(name: str, text: str, value: object) -> None:
    """Each name that the environment holds decides its setting."""
    settings = load(**{"AUTH_JWT_SECRET": SECRET, name: text})

    assert (value, False) == (getattr(settings, name.lower()), settings.development)


def test_a_jwks_ends_development_mode_too() -> None:
    """With an issuer's keys the service may listen anywhere."""
    settings = load(AUTH_JWKS_URL=JWKS_URL, AUTH_AUDIENCE="todo", HOST="::")

    assert (JWKS_URL, "::", False) == (settings.auth_jwks_url, settings.host, settings.development)


def test_the_environment_wins_over_the_file() -> None:
    """`.env` sets what the environment leaves unset, and may hold other programs' settings."""
    Path(".env").write_text("PORT=9000\nLOG_LEVEL=ERROR\nREDIS_URL=redis://cache\nNEXT_PUBLIC_X=1\n")

    settings = load(PORT="9001")

    assert (9001, "ERROR") == (settings.port, settings.log_level)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_value_is_an_unset_one(name: str) -> None:
    """`NAME=` in the environment or in the file is as if the line were not there."""
    unset = load()

    assert unset == load(**{name: ""})
    Path(".env").write_text(f"{name}=\n")
    assert unset == load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "todo"),
        ("DATABASE_URL", "postgresql://app@db.example:70000/todo"),
        ("DATABASE_URL", "postgresql://app:\udcff@db.example/todo"),
        ("AUTH_JWT_SECRET", "a" * 31),
        ("AUTH_JWT_SECRET", PUBLIC_KEY),
        ("AUTH_JWKS_URL", "http://issuer.example/jwks"),
        ("HOST", "http://127.0.0.1"),
        ("HOST", "[::1]"),
        ("HOST", "127.0.0.1:8000"),
        ("HOST", "two words"),
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "80.5"),
        ("PORT", "80_00"),
        ("WEB_CONCURRENCY", "0"),
        ("WEB_CONCURRENCY", "many"),
        ("WEB_CONCURRENCY", "257"),
        ("REQUEST_TIMEOUT", "0"),
        ("REQUEST_TIMEOUT", "nan"),
        ("REQUEST_TIMEOUT", "1 minute"),
        ("CORS_ORIGINS", "app.example"),
        ("CORS_ORIGINS", "https://app.example/"),
        ("CORS_ORIGINS", "https://app.example/path"),
        ("CORS_ORIGINS", "https://user@app.example"),
        ("CORS_ORIGINS", "https://app.example?q"),
        ("ROOT_PATH", "todo"),
        ("ROOT_PATH", "/todo/"),
        ("ROOT_PATH", "/a/../b"),
        ("KEEP_ALIVE", "0"),
        ("CORS_ORIGINS", "https://*.example"),
        ("CORS_ORIGINS", "https://app.example,"),
        ("CORS_ORIGINS", "https://app.example,*"),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGINS", "http://app.example:99999"),
        ("CORS_ORIGINS", "http://app.example:080"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("METRICS_HOST", "[::1]"),
        ("METRICS_PORT", "0"),
        ("METRICS_PORT", "on"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector.example:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://[::1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector example/"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:65536"),
    ],
)
def test_a_wrong_setting_is_one_line_with_its_name_and_what_would_be_right(name: str, value: str) -> None:
    """A wrong value is reported by the setting's name and the rule, without the value."""
    right = {"AUTH_AUDIENCE": "todo"} if name == "AUTH_JWKS_URL" else {}

    assert [f"{name} {RULES[name]}"] == lines(**right, **{name: value})


@pytest.mark.parametrize("name", NAMES)
def test_no_setting_holds_what_ends_a_text_elsewhere(name: str) -> None:
    """U+0000, which a file can hold, makes any value a wrong one: libpq and the system would take its beginning."""
    Path(".env").write_text(f"{name}=postgresql://db.example\0.example/todo\n")

    assert f"{name} {RULES[name]}" == lines()[0]


def test_all_wrong_settings_are_told_at_once() -> None:
    """Each wrong setting has its line, whether it is wrong by itself or beside another."""
    told = lines(
        DATABASE_URL="todo",
        AUTH_JWT_SECRET=SECRET,
        AUTH_JWKS_URL=JWKS_URL,
        PORT="0",
        CORS_ORIGINS="x",
        LOG_LEVEL="x",
    )

    assert ["DATABASE_URL", "AUTH_JWKS_URL", "AUTH_AUDIENCE", "PORT", "CORS_ORIGINS", "LOG_LEVEL"] == [
        line.partition(" must ")[0] for line in told
    ]


def test_traces_without_opentelemetry_are_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that is set where the extra is not installed is a line that says how to install it."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto", None)  # As if it were not there.

    line = "OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry, which is an extra: pip install 'todo-api[otel]'"
    assert [line] == lines(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")


@pytest.mark.parametrize("secret", [SECRET, "short"])
def test_a_secret_and_a_jwks_exclude_each_other(secret: str) -> None:
    """With two sources of keys, right or wrong, the service does not choose one."""
    told = lines(AUTH_JWT_SECRET=secret, AUTH_JWKS_URL=JWKS_URL, AUTH_AUDIENCE="todo")[-1]

    assert (
        "AUTH_JWKS_URL must not be set beside AUTH_JWT_SECRET; keep the one that verifies your tokens" == told
    )


@pytest.mark.parametrize("url", [JWKS_URL, "http://issuer.example/jwks"])
def test_a_jwks_needs_an_audience(url: str) -> None:
    """An issuer signs for many services, so which of its tokens are meant for this one must be said."""
    told = lines(AUTH_JWKS_URL=url)[-1]

    assert (
        "AUTH_AUDIENCE must be set beside AUTH_JWKS_URL, to what the tokens for this service name as aud"
        == told
    )


@pytest.mark.parametrize("issuer", ["https://issuer.example/realms/app/", "http://localhost:3000"])
def test_an_issuer_alone_is_asked_where_its_keys_are(issuer: str) -> None:
    """AUTH_ISSUER without a source of keys is an address to ask, and needs an audience like any issuer."""
    settings = load(AUTH_ISSUER=issuer, AUTH_AUDIENCE="todo", HOST="0.0.0.0")

    assert (False, "AUTH_ISSUER", issuer) == (
        settings.development,
        settings.source_of_keys,
        settings.auth_issuer,
    )
    (told,) = lines(AUTH_ISSUER=issuer)
    assert told.startswith("AUTH_AUDIENCE must be set beside AUTH_ISSUER, ")


@pytest.mark.parametrize("issuer", ["me", "http://issuer.example", "https://issuer.example?tenant=a"])
def test_an_issuer_that_cannot_be_asked_needs_a_source_of_keys(issuer: str) -> None:
    """Any name will do beside a secret; alone it must be an address that can be trusted."""
    assert issuer == load(AUTH_ISSUER=issuer, AUTH_JWT_SECRET=SECRET).auth_issuer
    (told,) = lines(AUTH_ISSUER=issuer, AUTH_AUDIENCE="todo")
    assert told.startswith("AUTH_ISSUER must be ")


@pytest.mark.parametrize("space", ["{}\n", " {}", "\t{}\r\n", "\u00a0{}"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_JWT_SECRET", SECRET),
        ("AUTH_JWKS_URL", JWKS_URL),
        ("AUTH_ISSUER", "https://issuer.example"),
        ("AUTH_AUDIENCE", "todo"),
        ("DATABASE_URL", "postgresql://app@db.example/todo"),
    ],
)
def test_white_space_around_a_value_is_dropped(name: str, value: str, space: str) -> None:
    """A newline at the end of a mounted secret, or a space before a copied address, is no part of the value."""
    right = {"AUTH_AUDIENCE": "todo"} | {name: value}

    assert load(**right) == load(**right | {name: space.format(value)})


@pytest.mark.parametrize("secret", ["a" * 32, "ä" * 16])
def test_a_secret_is_measured_in_bytes(secret: str) -> None:
    """32 bytes of UTF-8 are enough for HS256 (RFC 7518, section 3.2)."""
    assert secret.encode() == load(AUTH_JWT_SECRET=secret).auth_jwt_secret


@given(address=st.integers(0, 2**24 - 1).map(lambda low: str(IPv4Address(127 << 24 | low))))
def test_development_mode_may_listen_on_any_loopback_address(address: str) -> None:
    """Any address of 127.0.0.0/8 can be reached from this machine alone."""
    assert address == load(HOST=address).host


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "::1"])
def test_development_mode_may_listen_on_loopback_by_its_other_names(name: str) -> None:
    """`localhost` and IPv6's loopback address are as good."""
    assert name == load(HOST=name).host


NOT_LOOPBACK = "HOST must be 127.0.0.1, ::1 or localhost in development mode; to listen elsewhere, set AUTH_JWT_SECRET, AUTH_JWKS_URL or AUTH_ISSUER"  # noqa: E501


@given(
    host=st.ip_addresses(v=4).filter(lambda address: IPv4Address(address).packed[0] != 127).map(str)
    | st.ip_addresses(v=6).filter(lambda address: address != IPv6Address("::1")).map(str)
    | st.sampled_from(["todo.example", "localhost.example", "127.0.0.1.example", "127.1", "0"])
)
def test_development_mode_listens_nowhere_else(host: str) -> None:
    """Nobody but this machine's users may call a service whose tokens anyone can have."""
    assert [NOT_LOOPBACK] == lines(HOST=host)
    assert host == load(HOST=host, AUTH_JWT_SECRET=SECRET).host


def test_a_wrong_secret_is_not_taken_for_development_mode() -> None:
    """Whoever set a secret, though a wrong one, is told about the secret and not about the host."""
    assert ["AUTH_JWT_SECRET"] == [line.split()[0] for line in lines(AUTH_JWT_SECRET="short", HOST="0.0.0.0")]


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("https://app.example", ("https://app.example",)),
        (" https://a.example , http://localhost:3000 ", ("https://a.example", "http://localhost:3000")),
        ("HTTPS://App.Example:443,http://x:80", ("https://app.example", "http://x")),
        ("http://x:443,https://x:80,http://x:8080", ("http://x:443", "https://x:80", "http://x:8080")),
        ("http://[::1]:3000,capacitor://localhost", ("http://[::1]:3000", "capacitor://localhost")),
        ("*", ("*",)),
    ],
)
def test_origins_are_kept_as_browsers_send_them(text: str, origins: tuple[str, ...]) -> None:
    """An origin is in lower case and without its scheme's own port (RFC 6454, section 6.2)."""
    assert origins == load(CORS_ORIGINS=text).cors_origins


# Characters that divide a URL are left out, since with them the URL might be another, right one.
PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0@/?#"), min_size=6).filter(
    lambda text: not any(text in line for line in (*map(" ".join, RULES.items()), NOT_LOOPBACK))
)


@given(password=PASSWORDS)
@pytest.mark.parametrize(
    "setting",
    [
        lambda password: {"DATABASE_URL": password},
        lambda password: {"DATABASE_URL": f"mysql://app:{password}@db.example/todo"},
        lambda password: {"DATABASE_URL": f"postgresql://app:secret@db.example:port{password}/todo"},
        lambda password: {"AUTH_JWT_SECRET": password[:7]},
        lambda password: {"AUTH_JWKS_URL": f"https://app:{password}@issuer.example/jwks"},
        lambda password: {"AUTH_JWKS_URL": f"http://issuer.example/{password}"},
    ],
)
def test_no_message_holds_a_secret(setting: Callable[[str], dict[str, str]], password: str) -> None:
    """Neither the lines nor the traceback of a refusal repeat what may be a secret."""
    with pytest.raises(SettingsError) as caught:
        load(**setting(password))

    assert password not in str(caught.value)
    # The frames of the traceback show code, not values; its last part shows the exceptions.
    assert not caught.value.__context__


def test_a_printed_settings_object_holds_no_secret() -> None:
    """`repr` and `str` of the settings may go to a log."""
    settings = load(DATABASE_URL="postgresql://app:hunter22@db.example/todo", AUTH_JWT_SECRET=SECRET)

    assert "hunter22" not in repr(settings)
    assert SECRET not in repr(settings)


def test_settings_do_not_change() -> None:
    """What was checked at the start stays as it was."""
    settings = load()

    with pytest.raises(FrozenInstanceError):
        settings.port = 9000


def test_a_file_that_is_not_text_is_one_line() -> None:
    """A `.env` in another encoding is reported as such, without its content."""
    Path(".env").write_bytes(b"AUTH_JWT_SECRET=\xff\xfe")

    assert [
        ".env cannot be read; it must be a UTF-8 text file that this user may read, "
        "in a folder that this user may enter"
    ] == lines()


def test_logs_are_text_on_a_terminal_and_json_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without LOG_FORMAT a person at a terminal gets text, a file or a collector gets JSON."""
    terminal, end = os.openpty()
    with os.fdopen(terminal), os.fdopen(end, "w") as on_terminal, Path("log").open("w") as in_file:
        monkeypatch.setattr(sys, "stderr", on_terminal)
        assert ("text", "json") == (load().log_format, load(LOG_FORMAT="json").log_format)
        monkeypatch.setattr(sys, "stderr", in_file)
        assert ("json", "text") == (load().log_format, load(LOG_FORMAT="text").log_format)


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_development_secret_is_made_once_for_its_owner_alone() -> None:
    """The first call makes folder and file for this user alone, later calls read them."""
    folder = Path("below/data")
    secret = development_secret(folder)

    assert secret == development_secret(folder)
    assert (0o700, 0o600) == (permissions(folder), permissions(folder / "secret"))
    assert ["secret"] == os.listdir(folder)
    assert 32 == len(bytes.fromhex(secret.decode()))
    assert secret != development_secret(Path("another"))


def test_a_development_secret_is_a_secret_like_any_other() -> None:
    """What the verifier and AUTH_JWT_SECRET ask of a secret holds for the one that is made here."""
    secret = development_secret(Path("data"))

    SharedSecret(secret)
    assert secret == load(AUTH_JWT_SECRET=Path("data/secret").read_text().strip()).auth_jwt_secret


def test_a_folder_that_exists_keeps_its_permissions() -> None:
    """Only a folder that is made here gets its permissions from here."""
    folder = Path("data")
    folder.mkdir()
    folder.chmod(0o755)

    development_secret(folder)

    assert (0o755, 0o600) == (permissions(folder), permissions(folder / "secret"))


def test_all_who_ask_at_once_get_the_same_secret(tmp_path: Path) -> None:
    """However many start on an empty folder at the same time, they agree on one secret."""
    askers = 8
    start = Barrier(askers)

    def ask(folder: Path) -> bytes:
        start.wait()
        return development_secret(folder)

    with ThreadPoolExecutor(askers) as threads:
        for attempt in range(50):
            folder = tmp_path / str(attempt)
            assert 1 == len(set(threads.map(ask, [folder] * askers)))
            assert ["secret"] == os.listdir(folder)


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602, 0o666])
def test_a_secret_that_others_can_reach_is_refused(mode: int) -> None:
    """A secret that another user may read or write is no secret."""
    development_secret(Path("data"))
    Path("data/secret").chmod(mode)

    with pytest.raises(SettingsError) as caught:
        development_secret(Path("data"))

    assert "data/secret is open to other users; close it (chmod 600), or remove it to get a new one" == str(
        caught.value
    )


@pytest.mark.parametrize("content", ["", "\n", "a" * 31 + "\n"])
def test_a_secret_that_is_too_short_is_refused(content: str) -> None:
    """A file that was cut short or written by hand is not taken for a secret."""
    development_secret(Path("data"))
    Path("data/secret").write_text(content)

    with pytest.raises(SettingsError) as caught:
        development_secret(Path("data"))

    assert "data/secret holds less than 32 bytes; remove it to get a new one" == str(caught.value)


def data_is_a_file() -> None:
    Path("data").write_text("a file where the folder should be")


def data_leads_nowhere() -> None:
    Path("data").symlink_to("nowhere")


def secret_is_a_folder() -> None:
    Path("data/secret").mkdir(parents=True)


def secret_leads_nowhere() -> None:
    Path("data").mkdir()
    Path("data/secret").symlink_to("nowhere")


@pytest.mark.parametrize(
    "spoil", [data_is_a_file, data_leads_nowhere, secret_is_a_folder, secret_leads_nowhere]
)
def test_a_secret_that_cannot_be_had_is_one_line(spoil: Callable[[], None]) -> None:
    """Whatever stands in the way, the line names the file and says what DATA_DIR must be."""
    spoil()

    with pytest.raises(SettingsError) as caught:
        development_secret(Path("data"))

    (line,) = str(caught.value).splitlines()
    assert line.startswith("data/secret cannot be read or made (")
    assert line.endswith("); DATA_DIR must be a folder of this user")
