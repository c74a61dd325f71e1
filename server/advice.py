"""What is set, shown to a person: every setting without its secret, and what was probably meant otherwise."""

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretBytes, SecretStr

from db.driver.url import address, ignored_parameters, normalise
from server.settings import Settings

ENV_FILE = Path(".env")
# `PROT` and `CORS_ORIGIN` are that close to what was meant, and few names of other programs are.
_CLOSE = 0.75
# Whose names are close although nothing else is meant.
_OF_OTHERS = re.compile("OTEL_|XDG_")


def warnings(settings: Settings, env_file: Path = ENV_FILE) -> list[str]:
    """A line for each thing in the environment, or in `env_file`, that is taken otherwise than it was written."""
    return [*_spaces(env_file), *_left_out(settings), *_near_misses(env_file)]


def in_force(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every setting's name and value, which is hidden where it is a secret and empty where there is none."""
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if name == "database_url" and value:
            shown = f"(hidden; {address(normalise(value.get_secret_value()))})"
        elif isinstance(value, SecretStr | SecretBytes):
            shown = "(hidden)"
        elif isinstance(value, tuple):
            shown = ",".join(value)
        else:
            # An address may hold a login.
            shown = "" if value is None else re.sub(r"//[^/@]*@", "//(hidden)@", str(value))
        yield name.upper(), shown


def default_of(name: str) -> str:
    """What a setting is where it is not set, as text; empty where that is nothing."""
    default = Settings.model_fields[name].default
    return str(default) if isinstance(default, str | int | float | Path) else ""


def _written(env_file: Path) -> dict[str, str]:
    return {name.upper(): value or "" for name, value in {**dotenv_values(env_file), **os.environ}.items()}


def _spaces(env_file: Path) -> Iterator[str]:
    written = _written(env_file)
    for name in map(str.upper, Settings.model_fields):
        if name.startswith(("AUTH_", "DATABASE_")) and written.get(name, "") != written.get(name, "").strip():
            yield f"{name} has white space around it, which is left out"


def _left_out(settings: Settings) -> Iterator[str]:
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    for name in ignored_parameters(url):
        more = "; for a check of the certificate write sslmode=verify-full" if name == "sslaccept" else ""
        yield f"DATABASE_URL has the parameter {name}, which is another tool's and is left out{more}"


def _near_misses(env_file: Path) -> Iterator[str]:
    written = _written(env_file)
    meant = [name.upper() for name in Settings.model_fields if not written.get(name.upper())]
    known = {name.upper() for name in Settings.model_fields}
    for name in sorted(written):
        if name not in known and not _OF_OTHERS.match(name):
            for close in difflib.get_close_matches(name, meant, 1, _CLOSE):
                yield f"{name} is no setting: if {close} is meant, write that"
