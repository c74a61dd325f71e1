"""The refusals that are about books and loans; each class has the name of its response in `components.responses`."""

from openapi.bridge.failures import Failure


class BookNotFound(Failure):
    """The library has no such book."""


class LoanNotFound(Failure):
    """The reader has no such loan, be it another reader's or nobody's."""
