"""The parts of Connexion on which the bridge stands, imported in one place.

Connexion imports requests, to fetch documents by their URLs, which the bridge never does (`document/files.py`). That
would be 4 MB of each worker (docs/decisions/0006-what-was-worth-it.md), so it is imported when it is first used.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


class _ImportedWhenUsed(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


@contextmanager
def _when_used(name: str) -> Iterator[None]:
    """What imports the module in this context gets one that is imported when it is first used.

    importlib's LazyLoader does not serve, since Python 3.11 looks into such a module at its next `import`.
    """
    if is_missing := name not in sys.modules:
        sys.modules[name] = _ImportedWhenUsed(name)
    yield
    if is_missing:
        del sys.modules[name]


with _when_used("requests"):
    from connexion.exceptions import ProblemException as ProblemException
    from connexion.middleware.routing import RoutingMiddleware as RoutingMiddleware
    from connexion.middleware.security import SecurityMiddleware as SecurityMiddleware
    from connexion.resolver import Resolver as Resolver
    from connexion.security import NO_VALUE as NO_VALUE
    from connexion.security import AbstractSecurityHandler as AbstractSecurityHandler
    from connexion.security import ApiKeySecurityHandler as ApiKeySecurityHandler
    from connexion.security import BasicSecurityHandler as BasicSecurityHandler
    from connexion.security import BearerSecurityHandler as BearerSecurityHandler
    from connexion.spec import OpenAPISpecification as OpenAPISpecification
