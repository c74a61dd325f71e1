"""Which document is the library's contract."""

from functools import cache
from pathlib import Path

from openapi.bridge.contract import Contract


@cache
def contract() -> Contract:
    """The contract of the library, read at the first call."""
    return Contract.load(Path(__file__).with_name("openapi.yaml"))
