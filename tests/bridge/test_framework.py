"""What the bridge imports of Connexion."""

import subprocess
import sys

SCRIPT = """
import sys
import openapi.bridge.framework
before = "requests" in sys.modules
from connexion.json_schema import requests
print(before, requests.codes.ok, "requests" in sys.modules)
"""


def test_requests_is_imported_when_it_is_first_used() -> None:
    """Connexion's own use of requests works, and costs nothing before."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)

    assert "False 200 True\n" == ended.stdout
