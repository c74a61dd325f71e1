"""What is set, shown to a person: every setting without its secret, and what was probably meant otherwise."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from db.driver.url import address, ignored_parameters
from server.settings import ENV_FILE, NAMES, Settings, written

# `PROT` and `CORS_ORIGIN` are that close to what was meant, and few names of other programs are.
_CLOSE = 0.75
# Whose names are close although nothing else is meant.
_OF_OTHERS = re.compile("OTEL_|PG|XDG_")


def warnings(settings: Settings, env_file: Path = ENV_FILE) -> list[str]:
    """A line for each thing in the environment, or in `env_file`, that is taken otherwise than it was written."""
    texts = written(env_file)
    return [*_spaces(texts), *_left_out(settings), *_near_misses(texts)]


def in_force(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every setting's name and value, which is hidden where it is a secret and empty where there is none."""
    for each in fields(settings):
        value = getattr(settings, each.name)
        if each.name == "database_url" and value:
            shown = f"(hidden; {address(value)})"
        elif value and not each.repr:
            shown = "(hidden)"
        elif isinstance(value, tuple):
            shown = ",".join(value)
        else:
            # An address may hold a login.
            shown = "" if value is None else re.sub(r"//[^/@]*@", "//(hidden)@", str(value))
        yield each.name.upper(), shown


def shown_defaults() -> Iterator[tuple[str, str, str]]:
    """Every setting's name, title and, as text, its default, which is empty where that is nothing or depends."""
    for each in fields(Settings):
        default = each.default
        shown = str(default) if isinstance(default, str | int | float | Path) else ""
        yield each.name.upper(), each.metadata["title"], shown


def _spaces(texts: Mapping[str, str]) -> Iterator[str]:
    for name in NAMES:
        if (text := texts.get(name, "")) != text.strip():
            yield f"{name} has white space around it, which is left out"


def _left_out(settings: Settings) -> Iterator[str]:
    for name in ignored_parameters(settings.database_url or ""):
        more = "; for a check of the certificate write sslmode=verify-full" if name == "sslaccept" else ""
        yield f"DATABASE_URL has the parameter {name}, which is another tool's and is left out{more}"


def _near_misses(texts: Mapping[str, str]) -> Iterator[str]:
    meant = [name for name in NAMES if name not in texts]
    for name in sorted(texts.keys() - {*NAMES}):
        if not _OF_OTHERS.match(name):
            for close in difflib.get_close_matches(name, meant, 1, _CLOSE):
                yield f"{name} is no setting: if {close} is meant, write that"
