"""From what the database driver raises to a failure of the service: by SQLSTATE, never by a message or a name."""

import psycopg2

from openapi.bridge.failures import BadRequest, Failure, InternalError, Unavailable

# Appendix A of the PostgreSQL manual. Each is trouble that passes without a change of ours.
_TEMPORARY = {
    "08": "connection exception",
    "25006": "read-only transaction",
    "40": "transaction rollback (serialisation, deadlock)",
    "53": "insufficient resources (disk, memory, connections)",
    "55P03": "lock not available in time",
    "57014": "statement timed out",
    "57P": "the server is shutting down, starting or was stopped",
    "58": "system error",
    "TODO2": "the message came after its time was over",
}

NOT_STORABLE = "The request must not hold U+0000 or another character that cannot be stored"

_FOREIGN_KEY = "23503"
# U+0000 in JSON (PostgreSQL's manual, section 8.14), or what the encoding of the database does not have.
_NOT_STORABLE = "22P05"
# Faults of a statement, whose words name tables, columns and functions, and no value.
_OF_STATEMENTS = {
    "42501",
    "42702",
    "42703",
    "42704",
    "42725",
    "42803",
    "42804",
    "42846",
    "42883",
    "42P10",
    "42P18",
}


class ConstraintError(InternalError):
    """What was to be stored breaks a constraint of the tables, by which a handler may know what to refuse.

    Args:
        error: as the driver raises it; its details quote rows, and are left out.
    """

    def __init__(self, error: psycopg2.Error) -> None:
        self.constraint = error.diag.constraint_name
        """The constraint's name."""
        self.is_foreign_key = error.pgcode == _FOREIGN_KEY
        super().__init__(f"database: {type(error).__name__} of {self.constraint} (SQLSTATE {error.pgcode})")


def failure_of(error: psycopg2.Error) -> Failure:
    """Unavailable for trouble that passes, ConstraintError for rows that the tables do not take, BadRequest for text
    that PostgreSQL cannot hold, else InternalError for what should not happen; the reason is for the log."""
    state = error.pgcode or ""
    if not state and is_disconnect(error):
        return Unavailable("the connection to the database failed or was lost")
    if not state and isinstance(error, psycopg2.ProgrammingError):
        return InternalError(f"the driver refused to send a statement: {error}")
    for prefix, meaning in _TEMPORARY.items():
        if state.startswith(prefix):
            return Unavailable(f"database: {meaning} ({state})")
    if state == _NOT_STORABLE:
        return BadRequest(NOT_STORABLE)
    if state.startswith("23"):
        return ConstraintError(error)
    words = f", {error.diag.message_primary}" if state in _OF_STATEMENTS else ""
    return InternalError(f"database: {type(error).__name__} (SQLSTATE {error.pgcode}){words}")


def is_disconnect(error: psycopg2.Error) -> bool:
    """Whether the connection, not the statement, is what failed."""
    state = error.pgcode
    if state is None:
        return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
    return state.startswith(("08", "57P"))


def is_undone(error: psycopg2.Error) -> bool:
    """Whether PostgreSQL has undone a whole message so that another could go on, and asks for it once more."""
    return error.pgcode in ("40001", "40P01")


def is_unprepared(error: psycopg2.Error) -> bool:
    """Whether a prepared statement is not there, or is there although it should not be: behind a pooler."""
    return error.pgcode in ("26000", "42P05")


def is_outdated(error: psycopg2.Error) -> bool:
    """Whether what was prepared answers other columns by now: after a migration.

    PostgreSQL gives it no SQLSTATE of its own, so the place in its source tells it from what is not supported.
    """
    return error.pgcode == "0A000" and error.diag.source_function == "RevalidateCachedQuery"


def is_missing(error: psycopg2.Error) -> bool:
    """Whether what was asked for is not there, or not for the role of the session."""
    return (error.pgcode or "").startswith(("42", "3F"))


def is_too_late(error: psycopg2.Error) -> bool:
    """Whether the database has refused a message, because its time was over by the database's clock."""
    return error.pgcode == "TODO2"
