"""The refusals that are about tasks; each class has the name of its response in `components.responses`."""

from openapi.bridge.failures import Failure


class TaskNotFound(Failure):
    """The user has no such task, be it another user's or nobody's."""


class PreconditionFailed(Failure):
    """`If-Match` names an older state."""


class IdempotencyKeyReused(Failure):
    """The key was used with another body."""
