"""Packages that are run when something of theirs is first used.

Some packages import all that is in them, of which the service uses a little or, with its settings as they are, nothing.
It would be a tenth of each worker's memory (docs/decisions/0006-what-was-worth-it.md).
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


def run_when_used(*names: str) -> None:
    """Puts off running these packages until a name is looked up in them; to be called before they are imported."""
    for name in names:
        if name not in sys.modules and (found := find_spec(name)) is not None:
            package = sys.modules[name] = module_from_spec(found)
            package.__class__ = _RunWhenUsed
            if "." in name:
                # As an import does.
                setattr(sys.modules[name.rpartition(".")[0]], name.rpartition(".")[2], package)
