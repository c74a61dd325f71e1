"""Which document is this service's contract."""

from functools import cache
from pathlib import Path

from openapi.bridge.contract import Contract

CONTRACT_FILE = Path(__file__).with_name("openapi.yaml")


@cache
def contract() -> Contract:
    """The contract of this service, read at the first call."""
    return Contract.load(CONTRACT_FILE)
