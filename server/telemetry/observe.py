"""What is reported of each request: an id, a line in the log and, where they are wanted, counts and a span; and what
lines of the log look like.

The route is the contract's template, so neither lines nor labels nor spans hold what stands in a path.
"""

import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from random import getrandbits
from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from starlette.types import Scope

from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from server.pages.paths import is_page
from server.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from server.telemetry.metrics import Metrics
    from server.telemetry.tracing import Tracing

REQUEST_ID = "X-Request-Id"
NONE = "none"  # the route of what is no operation and no page, and the method of what is not HTTP
PAGES = "pages"
CLIENT_CLOSED_REQUEST = 499  # nginx's number for a request whose client did not wait for the answer
USER_DIGITS = 12

NO_FIELDS: Mapping[str, str] = MappingProxyType({})

request_fields: ContextVar[Mapping[str, str]] = ContextVar("request_fields", default=NO_FIELDS)
"""What every line that is logged while a request is served says of it: its id and, where known, its trace."""

# W3C Trace Context, section 3.2.2: version, trace, parent and flags; a later version may say more.
_TRACEPARENT = re.compile(
    rb"(?!ff)(?!00.{53}-)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339), level, logger, message, fields and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields_of(record)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return self.line(record.created, record.levelname, record.name, record.getMessage(), fields)

    def line(self, created: float, level: str, logger: str, message: str, fields: Mapping[str, Any]) -> str:
        """The line of what happened at `created`, in epoch seconds."""
        line = {
            "time": datetime.fromtimestamp(created, UTC),
            "level": level.lower(),
            "logger": logger,
            "message": message,
            **fields,
        }
        # ASCII only, so that no text can break a line or the encoding. orjson, ten times as fast, cannot escape more
        # than it must, and refuses lone surrogates.
        try:
            return orjson.dumps(line, option=orjson.OPT_UTC_Z).decode("ascii")
        except (TypeError, UnicodeDecodeError):
            return json.dumps(line, ensure_ascii=True, default=_rfc3339)


def _rfc3339(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


class TextFormatter(logging.Formatter):
    """Time, level, logger and message, and the fields as `name=value`; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging calls it so
        return self.line(record.created, record.levelname, record.name, record.message, _fields_of(record))

    def line(self, created: float, level: str, logger: str, message: str, fields: Mapping[str, Any]) -> str:
        """The line of what happened at `created`, in epoch seconds."""
        time = datetime.fromtimestamp(created).isoformat(" ", "milliseconds").replace(".", ",")
        return f"{time} {level:7} {logger}: {message}" + "".join(f" {name}={fields[name]}" for name in fields)


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    return {**getattr(record, "fields", NO_FIELDS), **request_fields.get()}


# By LOG_FORMAT.
FORMATTERS: Mapping[str, type[JSONFormatter | TextFormatter]] = {"text": TextFormatter, "json": JSONFormatter}


class RequestLog:
    """The line of each request: as `logging` would write it, but past it, since a record takes a seventh of a read."""

    def __init__(self, formatter: JSONFormatter | TextFormatter) -> None:
        self._line = formatter.line
        self._logger = logging.getLogger("todo_api.access")

    def write(self, method: str, route: str, status: int, seconds: float, user: str | None) -> None:
        """Tells of a request that was answered, at the level INFO; what cannot be written is lost."""
        if not (sys.stderr and self._logger.isEnabledFor(logging.INFO)):
            return
        fields = {
            "method": method,
            "route": route,
            "status": status,
            "duration_ms": round(seconds * 1000, 3),
            **({} if user is None else {"user": user_hash(user)}),
            **request_fields.get(),
        }
        line = self._line(time(), "INFO", self._logger.name, "answered", fields)
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n")


def _digits() -> str:
    return f"{getrandbits(64):016x}"


def _uuid() -> str:
    return str(UUID(int=getrandbits(128), version=4))


class Observer:
    """Where every answer is reported.

    Args:
        contract: names the routes, and the form of the request ids that are taken from clients.
    """

    def __init__(
        self,
        contract: Contract,
        log: RequestLog | None = None,
        metrics: "Metrics | None" = None,
        tracing: "Tracing | None" = None,
    ) -> None:
        self._is_request_id = contract.header_rule(REQUEST_ID)
        asks_for_uuid = self._is_request_id(_uuid()) and not self._is_request_id(_digits())
        self._new_request_id = _uuid if asks_for_uuid else _digits
        self._log = log
        self._metrics = metrics
        self._tracing = tracing

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps up what numbers and spans need beside the requests."""
        async with AsyncExitStack() as stack:
            if self._metrics:
                await stack.enter_async_context(self._metrics.sampled())
            if self._tracing:
                await stack.enter_async_context(self._tracing.exported())
            yield

    def request_id(self, headers: Mapping[bytes, bytes] = MappingProxyType({})) -> str:
        """The id that the client has given the request, if it has the form of the contract, or a new one."""
        offered = headers.get(b"x-request-id")
        if offered is not None and self._is_request_id(text := offered.decode("latin-1")):
            return text
        return self._new_request_id()

    def route(self, scope: Scope) -> str:
        """The template of the path that a request was for, as far as routing has come."""
        operation: Operation | None = scope.get("operation")
        if operation is None:
            return PAGES if is_page(scope["path"]) else NONE
        return operation.path

    def begin(self, method: str, headers: Mapping[bytes, bytes]) -> tuple[dict[str, str], "Span | None"]:
        """What every line that is logged while a request is served says of it, and its span where there are spans."""
        fields = {"request_id": self.request_id(headers)}
        if self._tracing is None:
            if b"traceparent" in headers:
                fields.update(trace_fields(headers))
            return fields, None
        span, trace = self._tracing.start(method, headers)
        fields.update(trace)
        return fields, span

    def end(self, scope: Scope, status: int, seconds: float, span: "Span | None") -> None:
        """Counts a request, writes its line and ends its span.

        Args:
            status: the answer's, or CLIENT_CLOSED_REQUEST.
            seconds: from the request's head to the end of the answer.
        """
        route = self.route(scope)
        claims = scope.get("claims")
        self._report(scope["method"], route, status, seconds, claims["sub"] if claims else None)
        if self._tracing is not None and span is not None:
            self._tracing.end(span, scope["method"], route, status)

    def refused(self, status: int) -> bytes:
        """Counts and logs the refusal of what is no request; returns the id that it was given, for its answer."""
        request_id = self.request_id()
        # Taken back, since this is no task of its own, which would end with the request.
        token = request_fields.set({"request_id": request_id})
        self._report(NONE, NONE, status, 0)
        request_fields.reset(token)
        return request_id.encode("ascii")

    def _report(self, method: str, route: str, status: int, seconds: float, user: str | None = None) -> None:
        if self._metrics is not None:
            self._metrics.count(method, route, status, seconds)
        if self._log is not None:
            self._log.write(method, route, status, seconds, user)


def create_observer(
    settings: Settings, contract: Contract, readings: Mapping[str, Callable[[], float]]
) -> Observer:
    """The observer that the settings ask for; what they do not ask for is not even imported.

    Args:
        readings: what tells the values of the gauges of `server.telemetry.metrics`, by name.
    """
    metrics = tracing = None
    if settings.metrics_port:
        from server.telemetry.metrics import Metrics

        metrics = Metrics(
            readings,
            (
                (operation.method, operation.path, int(status))
                for operation in contract.operations.values()
                for status in operation.responses
                if status.isdecimal()
            ),
        )
    if settings.otel_exporter_otlp_endpoint:
        from server.telemetry.tracing import Tracing

        tracing = Tracing(settings.otel_exporter_otlp_endpoint, contract.document["info"]["version"])
    return Observer(contract, RequestLog(FORMATTERS[settings.log_format]()), metrics, tracing)


def trace_fields(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """What a valid `traceparent` says of the caller's trace and span; empty without one."""
    parent = _TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
    return {"trace_id": parent[1].decode(), "span_id": parent[2].decode()} if parent else {}


@lru_cache(maxsize=1024)
def user_hash(user: str) -> str:
    """What log lines call a user: the first 12 hexadecimal digits of the SHA-256 of the `sub`."""
    return sha256(user.encode()).hexdigest()[:USER_DIGITS]
