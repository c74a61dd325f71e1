"""The parts of Connexion on which the bridge stands, imported in one place.

Connexion's packages import all that is in them: applications, with Flask and Jinja, a test client with httpx, and
requests for documents on the network. The bridge uses none of it.
"""

from openapi.bridge.run_when_used import run_when_used

run_when_used("connexion", "connexion.decorators", "connexion.middleware", "httpx", "jinja2", "requests")

from connexion.exceptions import ProblemException as ProblemException  # noqa: E402
from connexion.middleware.routing import RoutingMiddleware as RoutingMiddleware  # noqa: E402
from connexion.middleware.security import SecurityMiddleware as SecurityMiddleware  # noqa: E402
from connexion.resolver import Resolver as Resolver  # noqa: E402
from connexion.security import NO_VALUE as NO_VALUE  # noqa: E402
from connexion.security import AbstractSecurityHandler as AbstractSecurityHandler  # noqa: E402
from connexion.security import ApiKeySecurityHandler as ApiKeySecurityHandler  # noqa: E402
from connexion.security import BasicSecurityHandler as BasicSecurityHandler  # noqa: E402
from connexion.security import BearerSecurityHandler as BearerSecurityHandler  # noqa: E402
from connexion.spec import OpenAPISpecification as OpenAPISpecification  # noqa: E402
