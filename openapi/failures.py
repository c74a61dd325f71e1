"""The refusals that are about tasks; each class has the name of its response in `components.responses`."""

from openapi.bridge.contract import fill
from openapi.bridge.failures import Failure
from openapi.contract import contract


class _OneOfSeveral(Failure):
    """A failure whose response has several sentences in the contract.

    Args:
        case: the name of its sentence in the response's `x-messages`.
    """

    def __init__(self, case: str) -> None:
        response = contract().document["components"]["responses"][type(self).__name__]
        super().__init__(case, facts={"case": fill(response["x-messages"][case], response)})


class TaskNotFound(Failure):
    """The user has no such task, be it another user's or nobody's."""


class PreconditionFailed(_OneOfSeveral):
    """`If-Match` names other states than the task's, or `If-None-Match` names the task's."""


class IdempotencyKeyReused(Failure):
    """The key was used with another body."""


class ChangesGone(Failure):
    """What has changed since then cannot be told any more."""


class QuotaReached(_OneOfSeveral):
    """The user keeps as much as one user may."""
