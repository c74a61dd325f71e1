"""What a service calls its own in a database: the one place for these names, so that services can share a server."""

from typing import NamedTuple


class Names(NamedTuple):
    """The names of roles, functions and the setting; the migrations, which are frozen, make what has them.

    Args:
        service: the beginning of every name; two services on one PostgreSQL have two.
        setting: the setting that names the user to the policies; it never outlives a transaction.
    """

    service: str
    setting: str = "app.user_id"

    @property
    def tenant(self) -> str:
        """The role of every request, which row level security binds."""
        return f"{self.service}_tenant"

    @property
    def purger(self) -> str:
        """The role that reaches only what has expired, of all users."""
        return f"{self.service}_purger"

    @property
    def enter(self) -> str:
        """The function that puts a transaction into the role of a request, for one user."""
        return f"{self.service}_enter"

    @property
    def enter_purger(self) -> str:
        """The function that puts a transaction into the role of a purge."""
        return f"{self.service}_enter_purger"
