"""The settings: read from the environment and `.env`, checked all at once, and shown without their secrets."""

import os
import sys
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dotenv import dotenv_values

from db.driver.url import URL_RULE
from server import setting_rules as rules
from server.identity.keys import MIN_SECRET_BYTES
from server.setting_rules import Reason, setting, source_of_keys

ENV_FILE = Path(".env")
# What is called otherwise on the command line.
_OPTIONS = {"web_concurrency": "workers"}
HOST_RULE = "must be an IP address or a host name, such as 127.0.0.1"
_PORT = "must be a whole number from 1 to 65535"
_SECONDS = "must be a number of seconds above 0, up to 3600"


class SettingsError(Exception):
    """The service cannot run as it is set up; the message has one line for each fault and holds no secret."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting of the service; its name in the environment and in `.env` is the field's, in capitals.

    A rule on two settings stands with the one that is declared later.
    """

    database_url: str | None = setting(
        None,
        "The PostgreSQL to use; without it the service runs one of its own",
        URL_RULE,
        check=rules.is_postgresql,
        is_secret=True,
    )
    data_dir: Path = setting(
        Path(".todo-api"),
        "Where that PostgreSQL and the development secret live",
        "must be the path of a folder",
        Path,
    )
    auth_jwt_secret: bytes | None = setting(
        None,
        "Verify tokens with HS256 and this secret, 32 bytes or more",
        f"must be {MIN_SECRET_BYTES} random bytes or more, as `openssl rand -hex 32` prints, and not the text of a "
        "key or certificate",
        str.encode,
        rules.is_strong,
        is_secret=True,
    )
    auth_jwks_url: str | None = setting(
        None,
        "Verify tokens with the public keys that the issuer publishes here",
        "must begin with https://, or with http:// and a loopback host (localhost, 127.0.0.1 or [::1]), and hold no "
        "user name or password",
        check=rules.is_trustworthy,
    )
    auth_issuer: str | None = setting(
        None,
        "What tokens name as iss; its discovery document says where the keys are, unless AUTH_JWKS_URL or "
        "AUTH_JWT_SECRET is set",
        "must be what the tokens name as iss; without AUTH_JWKS_URL and AUTH_JWT_SECRET it must be the issuer's "
        "address, which begins with https://, or with http:// and a loopback host",
        check=rules.can_be_asked,
    )
    auth_audience: str | None = setting(
        None,
        "What tokens name as aud; mandatory with an issuer's keys",
        "must be what the tokens name as aud",
        check=rules.is_given_with_an_issuer,
    )
    host: str = setting("127.0.0.1", "The address to listen on", HOST_RULE, rules.host_name, rules.is_safe)
    port: int = setting(8000, "The port to listen on", _PORT, rules.number(int, 65535))
    web_concurrency: int = setting(
        1, "How many worker processes serve", "must be a whole number from 1 to 256", rules.number(int, 256)
    )
    request_timeout: float = setting(
        30,
        "Seconds in which a request has to arrive, headers and body, and in which its answer has to be taken",
        _SECONDS,
        rules.number(float, 3600),
    )
    keep_alive: float = setting(
        75,
        "Seconds for which a connection stays open between two requests",
        _SECONDS,
        rules.number(float, 3600),
    )
    root_path: str = setting(
        "",
        "The path below which clients find the service, such as /todo; addresses in answers begin with it",
        "must be the path below which clients find the service, such as /todo, without a slash at its end",
        rules.matching(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*"),
    )
    metrics_host: str = setting(
        "127.0.0.1",
        "The address on which Prometheus finds the service's numbers",
        HOST_RULE,
        rules.host_name,
        rules.is_safe,
    )
    metrics_port: int | None = setting(
        None, "The port of these numbers; without it they are not served", _PORT, rules.number(int, 65535)
    )
    otel_exporter_otlp_endpoint: str | None = setting(
        None,
        "Where OpenTelemetry's spans go; needs the extra `otel`",
        "must be the address of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318",
        rules.matching(rf"https?://([^\s/?#@]*@)?([\w.-]+|\[[\da-fA-F:.]+\]){rules.PORT}([/?#]\S*)?"),
        rules.is_installed,
    )
    cors_origins: tuple[str, ...] = setting(
        (),
        "Front ends that may call from a browser, with commas between",
        "must be origins with commas between, each scheme://host or scheme://host:port without a path "
        "(https://app.example,http://localhost:3000), with one * in its first name for many "
        "(https://*.preview.example), or * alone for every origin",
        rules.origins,
    )
    log_level: str = setting(
        "INFO",
        "The least serious lines that are logged",
        "must be DEBUG, INFO, WARNING, ERROR or CRITICAL",
        rules.one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    )
    log_format: str = setting(
        # Logs go to standard error, so that is the terminal that counts.
        lambda: "text" if sys.stderr and sys.stderr.isatty() else "json",
        "How they are written: text, as on a terminal, or json, as elsewhere",
        "must be text or json",
        rules.one_of("text", "json"),
    )

    @classmethod
    def load(cls, options: Mapping[str, str] = MappingProxyType({}), env_file: Path = ENV_FILE) -> "Settings":
        """The settings of this process and of `env_file`; the options win over the process's own, and these over it.

        White space around a value, which a mounted file or a copied line brings along, is no part of it. What is empty
        is not set.

        Args:
            options: texts of settings by their fields' names, from the command line.

        Raises:
            SettingsError: with a line for each setting that is wrong.
        """
        texts = {**written(env_file), **{name.upper(): text for name, text in options.items()}}
        values: dict[str, Any] = {}
        faults = []
        for each in fields(cls):
            try:
                text = texts.get(each.name.upper(), "").strip()
                if "\0" in text:
                    raise ValueError
                value = each.metadata["read"](text) if text else _default(each)
                each.metadata["check"](value, values)
                values[each.name] = value
            except ValueError as error:
                option = _OPTIONS.get(each.name, each.name).replace("_", "-")
                name = f"--{option}" if each.name in options else each.name.upper()
                faults.append(f"{name} {error if isinstance(error, Reason) else each.metadata['rule']}")
        if faults:
            raise SettingsError("\n".join(faults))
        return cls(**values)

    @property
    def development(self) -> bool:
        """Whether the service makes its own tokens, because nobody else's can be verified."""
        return self.auth_jwt_secret is None and self.source_of_keys is None

    @property
    def source_of_keys(self) -> str | None:
        """The setting that says where the keys of an issuer are; None where no issuer's keys verify tokens."""
        return source_of_keys(vars(self))


NAMES = tuple(each.name.upper() for each in fields(Settings))
"""The names of the settings in the environment, in their order."""


def _default(each: "Field[Any]") -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


def written(env_file: Path) -> dict[str, str]:
    """The texts in this process's environment and, for what is not set there, in a file, by their names in capitals.

    Raises:
        SettingsError: if the file is there and cannot be read.
    """
    try:
        text = env_file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        text = ""
    except (OSError, UnicodeDecodeError):
        raise SettingsError(
            f"{env_file} cannot be read; it must be a UTF-8 text file that this user may read, "
            "in a folder that this user may enter"
        ) from None
    in_file = dotenv_values(stream=StringIO(text))
    return {
        name.upper(): value for source in (in_file, os.environ) for name, value in source.items() if value
    }
