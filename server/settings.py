"""The settings: read from the environment and `.env`, checked all at once, and told without their secrets."""

import ipaddress
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SecretBytes,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from db.driver.url import normalise
from server.identity.keys import MIN_SECRET_BYTES, JwksStore, SharedSecret, is_loopback

_HOST_NAME = re.compile(r"[0-9A-Za-z._-]{1,253}")
# One `*`, in the first label of a host that has two more at least: it stands for characters other than the dot.
_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|[a-z0-9_-]*\*[a-z0-9_-]*(\.[a-z0-9_-]+){2,}|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_COMBINATION = "combination"


class SettingsError(Exception):
    """The service cannot run as it is set up; the message has one line for each fault and holds no secret."""


def _origins(text: Any) -> Any:
    """Comma-separated origins in the form in which browsers send them (RFC 6454, section 6.2)."""
    if not isinstance(text, str):
        return text
    origins = [origin.strip().lower() for origin in text.split(",")]
    if origins != ["*"] and not all(map(_ORIGIN.fullmatch, origins)):
        raise ValueError
    return tuple(origin.removesuffix(_DEFAULT_PORTS.get(origin.partition(":")[0], ",")) for origin in origins)


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class Settings(BaseSettings):
    """Every setting of the service; its name in the environment and in `.env` is the field's, in capitals.

    A field's description says what its value must be, and is told for any value that is not. A rule on two
    settings stands with the one that is declared later: pydantic hands it the earlier ones, without those
    that were wrong themselves.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",  # Other programs may keep their settings in the same file.
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="must look like postgresql://user:password@host:5432/database; in the password, all but "
        "letters and digits is percent-encoded",
    )
    data_dir: Path = Field(default=Path(".todo-api"), description="must be the path of a folder")
    auth_jwt_secret: SecretBytes | None = Field(
        default=None,
        description=f"must be {MIN_SECRET_BYTES} random bytes or more, as `openssl rand -hex 32` prints, "
        "and not the text of a key or certificate",
    )
    auth_jwks_url: str | None = Field(
        default=None,
        description="must begin with https://, or with http:// and a loopback host (localhost, 127.0.0.1 or "
        "[::1]), and hold no user name or password",
    )
    auth_issuer: str | None = Field(default=None, description="must be what the tokens name as iss")
    auth_audience: str | None = Field(default=None, description="must be what the tokens name as aud")
    host: str = Field(
        default="127.0.0.1", description="must be an IP address or a host name, such as 127.0.0.1"
    )
    port: int = Field(default=8000, ge=1, le=65535, description="must be a whole number from 1 to 65535")
    web_concurrency: int = Field(default=1, ge=1, le=256, description="must be a whole number from 1 to 256")
    request_timeout: float = Field(
        default=30, gt=0, le=3600, description="must be a number of seconds above 0, up to 3600"
    )
    keep_alive: float = Field(
        default=75, gt=0, le=3600, description="must be a number of seconds above 0, up to 3600"
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="must be an IP address or a host name, such as 127.0.0.1"
    )
    metrics_port: int | None = Field(
        default=None, ge=1, le=65535, description="must be a whole number from 1 to 65535"
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None,
        pattern="^https?://[^/?#]",
        description="must be the address of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)] = Field(
        default=(),
        description="must be origins with commas between, each scheme://host or scheme://host:port without a "
        "path (https://app.example,http://localhost:3000), with one * in its first name for many "
        "(https://*.preview.example), or * alone for every origin",
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
    ] = Field(default="INFO", description="must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    log_format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = Field(
        # Logs go to standard error, so that is the terminal that counts.
        default_factory=lambda: "text" if sys.stderr.isatty() else "json",
        description="must be text or json",
    )

    @classmethod
    def load(cls) -> "Settings":
        """The settings of this process and of the `.env` in its current folder; the process's own win.

        Raises:
            SettingsError: with a line for each setting that is wrong.
        """
        try:
            return cls()
        except ValidationError as error:
            # Without its cause, since a traceback of pydantic's would describe the values.
            raise SettingsError("\n".join(map(_line, error.errors(include_input=False)))) from None
        except (OSError, UnicodeDecodeError):
            raise SettingsError(
                ".env cannot be read; it must be a UTF-8 text file that this user may read"
            ) from None

    @property
    def development(self) -> bool:
        """Whether the service makes its own tokens, because nobody else's can be verified."""
        return self.auth_jwt_secret is None and self.auth_jwks_url is None

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url:
            normalise(url.get_secret_value())
        return url

    @field_validator("auth_jwt_secret")
    @classmethod
    def _is_strong(cls, secret: SecretBytes | None) -> SecretBytes | None:
        if secret:
            SharedSecret(secret.get_secret_value())
        return secret

    @field_validator("auth_jwks_url")
    @classmethod
    def _is_trustworthy(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url and _is_set(info.data, "auth_jwt_secret"):
            raise PydanticCustomError(
                _COMBINATION, "must not be set beside AUTH_JWT_SECRET; keep the one that verifies your tokens"
            )
        if url:
            JwksStore(url)
        return url

    @field_validator("auth_audience")
    @classmethod
    def _is_given_with_jwks(cls, audience: str | None, info: ValidationInfo) -> str | None:
        if audience is None and _is_set(info.data, "auth_jwks_url"):
            raise PydanticCustomError(
                _COMBINATION,
                "must be set beside AUTH_JWKS_URL, to what the tokens for this service name as aud",
            )
        return audience

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _is_installed(cls, endpoint: str | None) -> str | None:
        try:
            installed = endpoint is None or bool(find_spec("opentelemetry.exporter.otlp.proto.http"))
        except ModuleNotFoundError:
            installed = False
        if not installed:
            raise PydanticCustomError(
                _COMBINATION, "needs OpenTelemetry, which is an extra: pip install 'todo-api[otel]'"
            )
        return endpoint

    @field_validator("host", "metrics_host")
    @classmethod
    def _is_safe(cls, host: str, info: ValidationInfo) -> str:
        if not _HOST_NAME.fullmatch(host):
            ipaddress.ip_address(host)
        verified = _is_set(info.data, "auth_jwt_secret") or _is_set(info.data, "auth_jwks_url")
        if not verified and not is_loopback(host):
            raise PydanticCustomError(
                _COMBINATION,
                "must be 127.0.0.1, ::1 or localhost in development mode; to listen elsewhere, set "
                "AUTH_JWT_SECRET or AUTH_JWKS_URL",
            )
        return host


def _is_set(validated: Mapping[str, Any], name: str) -> bool:
    # A setting that is absent here was given, and was wrong.
    return name not in validated or validated[name] is not None


def _line(error: Mapping[str, Any]) -> str:
    name = str(error["loc"][0])
    # Other messages are not ours, so they might repeat the value.
    reason = error["msg"] if error["type"] == _COMBINATION else Settings.model_fields[name].description
    return f"{name.upper()} {reason}"


def development_secret(data_dir: Path) -> bytes:
    """The secret of development mode, kept in `data_dir/secret` and made at the first call.

    Every process that asks gets the same, however many ask at once.

    Returns:
        64 hexadecimal digits as ASCII bytes, so that the file's text also serves as AUTH_JWT_SECRET.

    Raises:
        SettingsError: if the file cannot be had, may be read by other users, or holds too little.
    """
    path = data_dir / "secret"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_secret(path)
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            secret = file.read().strip()
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read or made ({error.strerror}); DATA_DIR must be a folder of this user"
        ) from None
    if mode & 0o077:
        raise SettingsError(
            f"{path} is open to other users; close it (chmod 600), or remove it to get a new one"
        )
    if len(secret) < MIN_SECRET_BYTES:
        raise SettingsError(f"{path} holds less than {MIN_SECRET_BYTES} bytes; remove it to get a new one")
    return secret


def _make_secret(path: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix="secret.") as draft:
        draft.write(secrets.token_hex(32).encode() + b"\n")
        draft.flush()
        os.fsync(draft.fileno())
        # A link appears whole and never replaces another process's, which a rename would.
        with suppress(FileExistsError):
            os.link(draft.name, path)
