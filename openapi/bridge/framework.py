"""The parts of Connexion on which the bridge stands, imported in one place.

Connexion imports requests, to fetch documents by their URLs, which the bridge never does (`document/files.py`). That
would be 5 MB of each worker (docs/decisions/0006-what-was-worth-it.md), so it is imported when it is first used.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


class _ImportedWhenUsed(ModuleType):
    def __getattr__(self, name: str) -> Any:
        _give_back(self)
        return getattr(import_module(self.__name__), name)


def _give_back(module: ModuleType) -> None:
    if sys.modules.get(module.__name__) is module:
        del sys.modules[module.__name__]


@contextmanager
def _when_used(name: str) -> Iterator[None]:
    """What imports the module in this context gets one that is imported when it is first used."""
    # importlib.util.LazyLoader does not serve: Python 3.11 and 3.12 look into a module when they import it once more.
    module = sys.modules.setdefault(name, _ImportedWhenUsed(name))
    try:
        yield
    finally:
        if isinstance(module, _ImportedWhenUsed):
            _give_back(module)


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
