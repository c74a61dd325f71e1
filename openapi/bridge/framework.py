"""The parts of Connexion on which the bridge stands, imported in one place.

Connexion's packages import all that is in them: applications, with Flask and Jinja, a test client with httpx, and
requests for documents on the network. The bridge uses none of it, and it would be a tenth of each worker's memory
(docs/decisions/0006-what-was-worth-it.md). So these packages are run when something of theirs is first used.
"""

import sys
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

_RUNNING = RLock()


class _RunWhenUsed(ModuleType):
    """A package whose own code is run when a name is looked up in it that is not there yet.

    importlib's LazyLoader does not serve, since Python 3.11 looks into such a package at each import of what is in it.
    """

    def __getattr__(self, name: str) -> Any:
        with _RUNNING:
            if "__has_run__" not in vars(self):
                self.__has_run__ = True
                loader: Any = self.__loader__
                loader.exec_module(self)
        return super().__getattribute__(name)


for _name in ("connexion", "connexion.decorators", "connexion.middleware", "httpx", "jinja2", "requests"):
    if _name not in sys.modules and (_found := find_spec(_name)) is not None:
        _package = sys.modules[_name] = module_from_spec(_found)
        _package.__class__ = _RunWhenUsed
        if "." in _name:
            # As an import does.
            setattr(sys.modules[_name.rpartition(".")[0]], _name.rpartition(".")[2], _package)

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
