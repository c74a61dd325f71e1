"""What the bridge imports of Connexion."""

import subprocess
import sys

SCRIPT = """
import sys
import openapi.bridge.framework
print({"connexion.apps", "flask", "httpx._api", "jinja2.lexer", "requests.api"} & {*sys.modules})
import connexion, httpx, jinja2, requests
connexion.FlaskApp(__name__)
print(connexion.middleware.MiddlewarePosition.BEFORE_SECURITY.name)
print(httpx.codes.OK, requests.codes.ok, jinja2.Template("{{ 7 }}").render())
try:
    httpx.no_such_name
except AttributeError as error:
    print(error)
"""


def test_packages_that_the_bridge_does_not_use_are_run_when_they_are_used() -> None:
    """They do what they do elsewhere, and cost nothing before."""
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)

    unknown = "module 'httpx' has no attribute 'no_such_name'"
    assert ["set()", "BEFORE_SECURITY", "200 200 7", unknown] == ended.stdout.splitlines()
