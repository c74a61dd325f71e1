"""The settings: read from the environment and `.env`, checked all at once, and shown without their secrets."""

import ipaddress
import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
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

from db.driver.url import URL_RULE, normalise
from server.identity.issuer import discovery_addresses, is_loopback, trusted_address
from server.identity.keys import MIN_SECRET_BYTES, SharedSecret
from server.origins import read_origins

_HOST_NAME = re.compile(r"[0-9A-Za-z._-]{1,253}")
_OWN_REASON = "own_reason"
# What is called otherwise on the command line.
OPTIONS = {
    "host": "--host",
    "port": "--port",
    "web_concurrency": "--workers",
    "log_level": "--log-level",
    "data_dir": "--data-dir",
}


class SettingsError(Exception):
    """The service cannot run as it is set up; the message has one line for each fault and holds no secret."""


def _stripped(value: Any) -> Any:
    """Without the white space that a mounted file or a copied line brings along."""
    return (value.strip() or None) if isinstance(value, str) else value


_without_space = BeforeValidator(_stripped)
# Rules of more than one setting, and what is said of a value that breaks them.
_HOST = Field(description="must be an IP address or a host name, such as 127.0.0.1")
_PORT = Field(ge=1, le=65535, description="must be a whole number from 1 to 65535")
_SECONDS = Field(gt=0, le=3600, description="must be a number of seconds above 0, up to 3600")


class Settings(BaseSettings):
    """Every setting of the service; its name in the environment and in `.env` is the field's, in capitals.

    A field's title says what the setting is for. Its description says what its value must be, and is reported for any
    value that is not. A rule on two settings stands with the one that is declared later: pydantic hands it the earlier
    ones, without those that were wrong themselves.
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

    database_url: Annotated[SecretStr | None, _without_space] = Field(
        default=None,
        title="The PostgreSQL to use; without it the service runs one of its own",
        description=URL_RULE,
    )
    data_dir: Path = Field(
        default=Path(".todo-api"),
        title="Where that PostgreSQL and the development secret live",
        description="must be the path of a folder",
    )
    auth_jwt_secret: Annotated[SecretBytes | None, _without_space] = Field(
        default=None,
        title="Verify tokens with HS256 and this secret, 32 bytes or more",
        description=f"must be {MIN_SECRET_BYTES} random bytes or more, as `openssl rand -hex 32` prints, "
        "and not the text of a key or certificate",
    )
    auth_jwks_url: Annotated[str | None, _without_space] = Field(
        default=None,
        title="Verify tokens with the public keys that the issuer publishes here",
        description="must begin with https://, or with http:// and a loopback host (localhost, 127.0.0.1 or "
        "[::1]), and hold no user name or password",
    )
    auth_issuer: Annotated[str | None, _without_space] = Field(
        default=None,
        title="What tokens name as iss; alone, the address where the issuer says itself where its keys are",
        description="must be what the tokens name as iss; without AUTH_JWKS_URL and AUTH_JWT_SECRET it must be the "
        "issuer's address, which begins with https://, or with http:// and a loopback host",
    )
    auth_audience: Annotated[str | None, _without_space] = Field(
        default=None,
        title="What tokens name as aud; mandatory with an issuer's keys",
        description="must be what the tokens name as aud",
    )
    host: Annotated[str, _HOST] = Field(
        default="127.0.0.1",
        title="The address to listen on",
    )
    port: Annotated[int, _PORT] = Field(
        default=8000,
        title="The port to listen on",
    )
    web_concurrency: int = Field(
        default=1,
        ge=1,
        le=256,
        title="How many worker processes serve",
        description="must be a whole number from 1 to 256",
    )
    request_timeout: Annotated[float, _SECONDS] = Field(
        default=30,
        title="Seconds in which a request has to arrive, headers and body, and in which its answer has to be taken",
    )
    keep_alive: Annotated[float, _SECONDS] = Field(
        default=75,
        title="Seconds for which a connection stays open between two requests",
    )
    root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$",
        title="The path below which clients find the service, such as /todo; addresses in answers begin with it",
        description="must be the path below which clients find the service, such as /todo, without a slash at its end",
    )
    metrics_host: Annotated[str, _HOST] = Field(
        default="127.0.0.1",
        title="The address on which Prometheus finds the service's numbers",
    )
    metrics_port: Annotated[int | None, _PORT] = Field(
        default=None,
        title="The port of these numbers; without it they are not served",
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None,
        pattern="^https?://[^/?#]",
        title="Where OpenTelemetry's spans go; needs the extra `otel`",
        description="must be the address of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(read_origins)] = Field(
        default=(),
        title="Front ends that may call from a browser, with commas between",
        description="must be origins with commas between, each scheme://host or scheme://host:port without a "
        "path (https://app.example,http://localhost:3000), with one * in its first name for many "
        "(https://*.preview.example), or * alone for every origin",
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)
    ] = Field(
        default="INFO",
        title="The least serious lines that are logged",
        description="must be DEBUG, INFO, WARNING, ERROR or CRITICAL",
    )
    log_format: Annotated[Literal["text", "json"], BeforeValidator(str.lower)] = Field(
        # Logs go to standard error, so that is the terminal that counts.
        default_factory=lambda: "text" if sys.stderr.isatty() else "json",
        title="How they are written: text, as on a terminal, or json, as elsewhere",
        description="must be text or json",
    )

    @classmethod
    def load(
        cls, options: Mapping[str, Any] = MappingProxyType({}), env_file: Path = Path(".env")
    ) -> "Settings":
        """The settings of this process and of `env_file`; the options win over the process's own, and these over it.

        Args:
            options: settings by their fields' names, from the command line.

        Raises:
            SettingsError: with a line for each setting that is wrong.
        """
        try:
            return cls(_env_file=env_file, **options)  # type: ignore[call-arg]  # pydantic-settings' own
        except ValidationError as error:
            # Without its cause, since a traceback of pydantic's would describe the values.
            lines = (_line(fault, options) for fault in error.errors(include_input=False))
            raise SettingsError("\n".join(lines)) from None
        except (OSError, UnicodeDecodeError):
            raise SettingsError(
                f"{env_file} cannot be read; it must be a UTF-8 text file that this user may read, "
                "in a folder that this user may enter"
            ) from None

    @property
    def development(self) -> bool:
        """Whether the service makes its own tokens, because nobody else's can be verified."""
        return self.auth_jwt_secret is None and not self.has_issuer

    @property
    def has_issuer(self) -> bool:
        """Whether tokens are verified with the public keys of an issuer."""
        return self.auth_jwks_url is not None or (
            self.auth_issuer is not None and self.auth_jwt_secret is None
        )

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url:
            try:
                normalise(url.get_secret_value())
            except ValueError as error:
                raise PydanticCustomError(_OWN_REASON, str(error)) from None
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
                _OWN_REASON, "must not be set beside AUTH_JWT_SECRET; keep the one that verifies your tokens"
            )
        if url:
            trusted_address(url)
        return url

    @field_validator("auth_issuer")
    @classmethod
    def _can_be_asked(cls, issuer: str | None, info: ValidationInfo) -> str | None:
        if issuer and not _is_set(info.data, "auth_jwks_url") and not _is_set(info.data, "auth_jwt_secret"):
            discovery_addresses(issuer)
        return issuer

    @field_validator("auth_audience")
    @classmethod
    def _is_given_with_an_issuer(cls, audience: str | None, info: ValidationInfo) -> str | None:
        if audience is None and (source := _source_of_keys(info.data)):
            raise PydanticCustomError(
                _OWN_REASON,
                "must be set beside {source}, to what the tokens for this service name as aud",
                {"source": source},
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
                _OWN_REASON, "needs OpenTelemetry, which is an extra: pip install 'todo-api[otel]'"
            )
        return endpoint

    @field_validator("host", "metrics_host")
    @classmethod
    def _is_safe(cls, host: str, info: ValidationInfo) -> str:
        if not _HOST_NAME.fullmatch(host):
            ipaddress.ip_address(host)
        verified = _is_set(info.data, "auth_jwt_secret") or _source_of_keys(info.data)
        if not verified and not is_loopback(host):
            raise PydanticCustomError(
                _OWN_REASON,
                "must be 127.0.0.1, ::1 or localhost in development mode; to listen elsewhere, set "
                "AUTH_JWT_SECRET, AUTH_JWKS_URL or AUTH_ISSUER",
            )
        return host


def _is_set(validated: Mapping[str, Any], name: str) -> bool:
    # A setting that is absent here was given, and was wrong.
    return name not in validated or validated[name] is not None


def _source_of_keys(validated: Mapping[str, Any]) -> str | None:
    """The setting that says where an issuer's keys are."""
    if _is_set(validated, "auth_jwks_url"):
        return "AUTH_JWKS_URL"
    alone = not _is_set(validated, "auth_jwt_secret") and _is_set(validated, "auth_issuer")
    return "AUTH_ISSUER" if alone else None


def _line(error: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    name = str(error["loc"][0])
    # Other messages are not ours, so they might repeat the value.
    reason = error["msg"] if error["type"] == _OWN_REASON else Settings.model_fields[name].description
    return f"{OPTIONS[name] if name in options else name.upper()} {reason}"
