"""What a service is, apart from the process that serves it: its contract, its handlers and its tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from db.tables import Tables
from openapi.bridge.contract import Contract
from openapi.bridge.operation import Handler


@dataclass(frozen=True)
class Product:
    """One service. `server.todo` is ours, and `docs/start-your-own.md` makes another.

    Args:
        handlers: modules, or other objects, with a function for each operationId.
    """

    contract: Contract
    handlers: Sequence[object]
    tables: Tables

    @property
    def name(self) -> str:
        """What people call it, by its contract."""
        return str(self.contract.document["info"]["title"])

    @property
    def version(self) -> str:
        """The version of its contract."""
        return str(self.contract.document["info"]["version"])

    def find_handler(self, operation_id: str) -> Handler | None:
        """The handler that has the name of the operationId, or None."""
        for module in self.handlers:
            if (handler := getattr(module, operation_id, None)) is not None:
                return handler  # type: ignore[no-any-return]
        return None


# A function of a module, since it is sent to worker processes by its name.
LoadProduct = Callable[[], Product]
