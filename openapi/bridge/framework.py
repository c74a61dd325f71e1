"""The parts of Connexion on which the bridge stands, imported in one place.

Connexion imports requests, to fetch documents by their URLs, which the bridge never does (`document/files.py`), and
Flask, for an application object that the bridge does not use. That would be 7 MB of each worker
(docs/decisions/0006-what-was-worth-it.md), so Connexion finds no Flask, which it allows, and requests is imported when
it is first used.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


class _ImportedWhenUsed(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


@contextmanager
def _finding(modules: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """What is imported in this context finds these modules, or that there is none, unless they are imported already.

    importlib's LazyLoader does not serve, since Python 3.11 looks into such a module at its next `import`.
    """
    imported: dict[str, Any] = sys.modules
    put = {name: module for name, module in modules.items() if name not in imported}
    imported.update(put)
    yield
    for name in put:
        del imported[name]


with _finding({"requests": _ImportedWhenUsed("requests"), "flask": None}):
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
