"""What a service calls its own in a database: the one place for these names, so that services can share a server."""

import re
from dataclasses import dataclass

# Both are written into SQL without quotes, and PostgreSQL cuts a name at 63 bytes.
_SERVICE = re.compile(r"[a-z_][a-z0-9_]{0,49}", re.ASCII)
_SETTING = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*", re.ASCII)


# Each request looks a message up by them, and to compare what they are takes longer than which.
@dataclass(frozen=True, eq=False)
class Names:
    """The names of roles, functions and the setting; the migrations, which are frozen, make what has them.

    Args:
        service: the beginning of every name; two services on one PostgreSQL have two.
        setting: the setting that names the user to the policies; it never outlives a transaction.

    Raises:
        ValueError: if one of them cannot be such a name.
    """

    service: str
    setting: str = "app.user_id"

    def __post_init__(self) -> None:
        if not _SERVICE.fullmatch(self.service) or not _SETTING.fullmatch(self.setting):
            raise ValueError(
                f"Names({self.service!r}, {self.setting!r}): the first must be at most 50 small letters, digits and _, "
                "the second must be two such names with a dot between"
            )

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
