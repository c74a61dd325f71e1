"""What the bridge imports of Connexion."""

import subprocess
import sys

SCRIPT = """
import sys
import openapi.bridge.framework
before = {"flask", "requests"} & {*sys.modules}
from connexion.json_schema import requests
from flask import Flask
print(before, requests.codes.ok, Flask.__name__)
"""


def test_flask_and_requests_are_imported_when_they_are_first_used() -> None:
    """Connexion's own use of requests works, and so does Flask, and neither costs anything before."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)

    assert "set() 200 Flask\n" == ended.stdout
