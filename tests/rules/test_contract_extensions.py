"""The page on the contract's extensions is held to the code that reads them."""

import re

from tests.support.running import PROJECT

# The name of a header.
NOT_EXTENSIONS = {"x-request-id"}


def test_every_extension_is_described() -> None:
    """The table has each extension that the code reads, and no other."""
    files = [
        file for room in ("openapi", "handlers", "db", "server") for file in (PROJECT / room).rglob("*.py")
    ]
    read = {
        name for file in files for name in re.findall(r'"(x-[a-z-]+[a-z])"', file.read_text(encoding="utf-8"))
    }
    page = (PROJECT / "docs" / "contract-extensions.md").read_text(encoding="utf-8")
    assert read - NOT_EXTENSIONS == set(re.findall(r"^\| `(x-[a-z-]+)", page, re.MULTILINE))
