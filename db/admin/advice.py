"""What a person reads when PostgreSQL refuses: one line, without the server's words where they may hold values."""

import psycopg2

# A migration raises this SQLSTATE with a sentence that is written for a person.
FOR_A_PERSON = "TODO1"
# By SQLSTATE (appendix A of the PostgreSQL manual), where its name does not already say what to do.
_ADVICE = {
    "25006": "use the address of the primary server",
    "3F000": "create the schema that search_path names, in DATABASE_URL or for the login, or name another",
    "42P06": "restore into a database that has none of the backup's other schemas",
    "42501": "take the login that owns the schema, or make this one its owner (a migration that changes rows also has "
    "to set NO FORCE ROW LEVEL SECURITY)",
    "55P03": "try again when no other migration or long transaction runs",
    "57014": "a step took too long; try again at a quieter time",
}
_CROWDED = "The database has no connection left: let fewer clients connect, or raise its max_connections"
# Of a connection that was refused the driver gives no SQLSTATE, only the server's words or those of TLS.
# The first that fits: with `sslmode=prefer` the words are those of two attempts.
_REFUSALS = {
    "certificate": "The database's certificate is not the one that DATABASE_URL asks for: check the host name, and "
    "that sslrootcert is the path of its authority's certificate",
    "authentication failed": "The database refused the login: check user and password in DATABASE_URL",
    "no password supplied": "The database asks for a password: put one into DATABASE_URL",
    "does not support SSL": "The database has no TLS, which DATABASE_URL asks for: check host and sslmode",
    "too many c": _CROWDED,
    "slots are reserved": _CROWDED,
    "pg_hba.conf": "The database lets nobody in from here with this login: its pg_hba.conf must allow it, and may ask "
    "for TLS (sslmode=require)",
    "does not exist": "The database or the login in DATABASE_URL does not exist: create it, or check the names",
    # The server's own word, whatever comes after it: it is there, and has another reason.
    "FATAL:": "The database answered and refused the connection: its log says why; check what DATABASE_URL asks of it "
    "beside host, port and login",
}
_UNREACHABLE = "The database cannot be reached at {}: check that it runs, and host and port in DATABASE_URL"


def advice(error: psycopg2.Error, place: str) -> str:
    """One line that says why `error` came and, where that is known, what would help.

    Args:
        place: where the database was looked for, without its login.
    """
    if error.pgcode == FOR_A_PERSON:
        return str(error.diag.message_primary)
    if error.pgcode is None:
        return next(
            (line for words, line in _REFUSALS.items() if words in str(error)), _UNREACHABLE.format(place)
        )
    # What is wrong with SQL itself (class 42) names words of a migration, which its author has to find, and so does
    # what the server does not have, an extension for example (classes 0A and 58).
    is_named = error.pgcode.startswith(("0A", "42", "58"))
    words = f": {error.diag.message_primary}" if is_named else ""
    return (
        f"The database refused ({type(error).__name__}, SQLSTATE {error.pgcode}), and nothing has changed"
        f"{remedy(error.pgcode) or words}"
    )


def remedy(sqlstate: str) -> str:
    """What would help, to be put behind a sentence without its full stop; empty where that is not known."""
    return f": {_ADVICE[sqlstate]}" if sqlstate in _ADVICE else ""
