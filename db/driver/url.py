"""The database's address: which URLs are taken, what of them is left out, and what a connection is opened with."""

import asyncio
import re
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

CONNECT_TIMEOUT_SECONDS = 3

_PLACE = r"(?:\[[^\]/?@]*\]|[^\[\]:,/?@]*)(?::[0-9]*)?"
# User and password may hold what RFC 3986 would have encoded, an @ too: taken for a host, its rest would be shown. An @
# that no login can be meant by stands behind hosts, ports and the name of a parameter.
_URL = re.compile(
    r"postgres(?:ql)?(?:\+\w+)?://"
    rf"(?:(?!{_PLACE}(?:,{_PLACE})*(?:/[^?@]*)?\?\w+=)"
    r"(?P<user>[^:/?]*?)(?::(?P<password>.*?))?@)?(?P<place>[^?@]*)(?:\?(?P<query>.*))?",
    re.DOTALL,
)
# What other tools read from the same URL and the server never sees: Prisma, Supabase, node-postgres, postgres.js,
# JDBC, pgx, lib/pq, asyncpg, Rails, Doctrine. Nothing here needs them.
_OF_OTHER_TOOLS = frozenset(
    """
    binary_parameters charset command_timeout connection_limit default_query_exec_mode encoding fetch_types
    idle_timeout max max_connection_lifetime max_idle_connection_lifetime max_lifetime pgbouncer pool
    pool_health_check_period pool_max_conn_idle_time pool_max_conn_lifetime pool_max_conns pool_min_conns pool_mode
    pool_size pool_timeout prepare prepareThreshold prepared_statement_cache_size prepared_statements query_timeout
    reconnect serverVersion single_use_connections socket_timeout sslaccept sslidentity statement-cache-capacity
    statement_cache_capacity statement_cache_size supa timeout uselibpqcompat workaround
    """.split()  # noqa: SIM905 - a list literal would take a line for each
)
# They would have the tables elsewhere, so only the value that changes nothing is left out.
_SCHEMAS = {"schema", "currentSchema", "search_path"}
_SSL_MODES = {
    "ssl": {**dict.fromkeys(("", "true", "1", "no-verify"), "require"), "false": "prefer", "0": "prefer"},
    # What node-postgres calls a connection with TLS whose certificate is not looked at.
    "sslmode": {"no-verify": "require"},
}
_PLACES = {"host", "hostaddr", "port", "service", "servicefile"}
# libpq reads these no earlier than it needs them.
_NUMBERS = {
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
}
URL_RULE = (
    "must look like postgresql://user:password@host:5432/database; in the password, all but letters and digits is "
    "percent-encoded"
)


def libpq_parameters(url: str) -> dict[str, str]:
    """What libpq takes from `url`, as providers, libpq, SQLAlchemy and other tools write it.

    Raises:
        ValueError: for any other URL; the message says what it must be or has too much, and holds no value of it.
    """
    parts = _URL.fullmatch(url.strip())
    if parts is None:
        raise ValueError(URL_RULE)
    kept, _ = _sorted_out(parts["query"])
    try:
        login = quote(parts["user"] or "", safe="%")
        if parts["password"] is not None:
            login += f":{quote(parts['password'], safe='%')}"
        text = f"postgresql://{f'{login}@' if login else ''}{parts['place']}?{'&'.join(kept)}"
        found: dict[str, str] = parse_dsn(text)
        _, ports = _places(found)
        # Python would take 54_32 too, and the digits of any script.
        if not all(re.fullmatch("[0-9]+", port) and 0 < int(port) < 65536 for port in filter(None, ports)):
            raise ValueError
    except (psycopg2.Error, ValueError):
        raise ValueError(URL_RULE) from None
    for name, value in found.items():
        _check_value(name, value)
    return found


def ignored_parameters(url: str) -> list[str]:
    """The names of the parameters in `url` that are other tools' and are left out."""
    parts = _URL.fullmatch(url.strip())
    return _sorted_out(parts["query"])[1] if parts else []


def address(url: str) -> str:
    """Where the database of `url` is looked for, for a person: host and port, or the socket's folder; no login."""
    places = zip(*_places(libpq_parameters(url)), strict=True)
    return ", ".join(f"{host or 'the local socket'} port {port or 5432}" for host, port in places)


async def connection_arguments(parameters: Mapping[str, str]) -> dict[str, Any]:
    """What `psycopg2.connect` takes, the names of hosts looked up already unless the parameters have addresses.

    libpq would look them up itself, and nothing else would run on the event loop meanwhile.

    Raises:
        OSError: if there is no host of any of the names.
    """
    addresses: dict[str, str] = {}
    if "hostaddr" not in parameters and parameters.get("host"):
        hosts, ports = _places(parameters)
        found = await asyncio.gather(*map(_look_up, hosts), return_exceptions=True)
        places = [
            (host, address, port)
            for host, known, port in zip(hosts, found, ports, strict=True)
            if not isinstance(known, BaseException)
            for address in known
        ]
        if not places:
            # A name that is too long, or has an empty part, is no OSError by itself.
            raise socket.gaierror("there is no host of any of these names")
        # The name stays beside each address, since TLS verifies it.
        host, hostaddr, port = map(",".join, zip(*places, strict=True))
        addresses = {"host": host, "hostaddr": hostaddr, "port": port}
    return {
        "application_name": "todo-api",
        "client_encoding": "utf8",
        # A peer that vanished without a word is noticed in about 20 seconds instead of two hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        **parameters,
        **addresses,
    }


def _places(parameters: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The hosts with the port of each, as libpq reads them.

    Raises:
        ValueError: if there are neither as many ports as hosts nor one for all.
    """
    hosts, ports = (parameters.get(name, "").split(",") for name in ("host", "port"))
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts):
        raise ValueError
    return hosts, ports


def _sorted_out(query: str | None) -> tuple[list[str], list[str]]:
    """Each parameter of libpq with its value, as libpq reads it, and the names of those that are other tools'.

    `sslmode` wins over `ssl`, which says less.

    Raises:
        ValueError: if libpq and the other tools know none of that name, or it would have the tables elsewhere.
    """
    kept, ignored = [], []
    pairs = [text.partition("=") for text in filter(None, (query or "").split("&"))]
    has_mode = any(unquote(name) == "sslmode" for name, *_ in pairs)
    for name, equals, value in pairs:
        # libpq has a second `=` encoded.
        name, value = unquote(name), value.replace("=", "%3D")
        if name == "client_encoding":
            continue  # Texts are UTF-8 on their way, whatever other programs want.
        if name in _OF_OTHER_TOOLS or (name in _SCHEMAS and value == "public"):
            ignored.append(name)
        elif name in _SCHEMAS:
            raise ValueError(
                f"has the parameter {name}, which must be public or absent: the tables are in that schema"
            )
        elif name in ("ssl", "sslmode"):
            if name == "sslmode" or not has_mode:
                kept.append(f"sslmode={_SSL_MODES[name].get(value, value)}")
        elif _is_of_libpq(name):
            kept.append(f"{name}{equals}{value}")
        else:
            is_plain = re.fullmatch(r"[\w.\[\]-]{1,60}", name, re.ASCII)
            shown = f"the parameter {name}" if is_plain else "a parameter"
            raise ValueError(f"has {shown}, which PostgreSQL does not know: remove it")
    return kept, ignored


def _is_of_libpq(name: str) -> bool:
    try:
        return bool(re.fullmatch(r"[a-z_]+", name)) and bool(parse_dsn(f"{name}=x"))
    except psycopg2.ProgrammingError:
        return False


def _check_value(name: str, value: str) -> None:
    """Raises a ValueError if libpq knows the parameter but not the value. It looks before it opens a socket."""
    if name in _PLACES:
        return
    try:
        if name in _NUMBERS and not value.strip().isdecimal():
            raise psycopg2.OperationalError("invalid integer value")
        psycopg2.connect(make_dsn(host="/dev/null", **{name: value}), async_=True)
    except psycopg2.OperationalError as error:
        if str(error).startswith("invalid"):
            raise ValueError(f"has the parameter {name} with a value that PostgreSQL does not know") from None


async def _look_up(host: str) -> list[str]:
    """The addresses of a host; one that is empty where libpq has nothing to look up."""
    # What is looked up would lose the link of an address (RFC 4007, section 11).
    if not host or host.startswith(("/", "@")) or "%" in host:
        return [""]
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
