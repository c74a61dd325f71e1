"""What a service is, apart from the process that serves it: its contract, its handlers and its tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from db.tables import Tables
from openapi.bridge.contract import Contract
from openapi.bridge.operation import Handler
from openapi.bridge.security import Verifier


@dataclass(frozen=True)
class Product:
    """One service. `server.todo` is ours, and `docs/start-your-own.md` makes another.

    Args:
        handlers: modules, or other objects, with a function for each operationId (`Contract.handler_names`).
        verifiers: what verifies credentials that are no bearer tokens, by the names or kinds of their security schemes
            (`openapi.bridge.security`). Their claims name the user as `sub`.
    """

    contract: Contract
    handlers: Sequence[object]
    tables: Tables
    verifiers: Mapping[str, Verifier] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it, by its contract."""
        return str(self.contract.document["info"]["title"])

    @property
    def version(self) -> str:
        """The version of its contract."""
        return str(self.contract.document["info"]["version"])

    def find_handler(self, operation_id: str) -> Handler | None:
        """The handler that has the name of the operationId in Python, or None."""
        name = self.contract.handler_names[operation_id]
        for module in self.handlers:
            if (handler := getattr(module, name, None)) is not None:
                return handler  # type: ignore[no-any-return]
        return None


# A function of a module, since it is sent to worker processes by its name.
LoadProduct = Callable[[], Product]
