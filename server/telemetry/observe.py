"""The outermost ASGI layer: each request gets an id, a line in the log and, where they are wanted, counts and a span.

The route is the contract's template, so neither lines nor labels nor spans hold what stands in a path.
"""

import logging
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from hashlib import sha256
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from server.pages.site import is_page
from server.settings import Settings
from server.telemetry.logs import request_fields

if TYPE_CHECKING:
    from server.telemetry.metrics import Metrics
    from server.telemetry.tracing import Tracing

log = logging.getLogger("todo_api.access")

REQUEST_ID = "X-Request-Id"
NONE = "none"  # the route of what is no operation and no page, and the method of what is not HTTP
PAGES = "pages"
CLIENT_CLOSED_REQUEST = 499  # nginx's number for a request whose client did not wait for the answer
USER_DIGITS = 12

# W3C Trace Context, section 3.2.2: version, trace, parent and flags; a later version may say more.
_TRACEPARENT = re.compile(
    rb"(?!ff)(?!00.{53}-)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)


class Observer:
    """Where all that is answered is told.

    Args:
        contract: names the routes, and the form of the request ids that are taken from clients.

    Raises:
        ContractError: if the contract has no header component `X-Request-Id`.
    """

    def __init__(
        self, contract: Contract, metrics: "Metrics | None" = None, tracing: "Tracing | None" = None
    ) -> None:
        self._is_request_id = contract.header_validator(REQUEST_ID).is_valid
        self._metrics = metrics
        self.tracing = tracing

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps up what numbers and spans need beside the requests."""
        async with AsyncExitStack() as stack:
            if self._metrics:
                await stack.enter_async_context(self._metrics.sampled())
            if self.tracing:
                await stack.enter_async_context(self.tracing.exported())
            yield

    def request_id(self, headers: Mapping[bytes, bytes] = MappingProxyType({})) -> str:
        """The id that the client has given the request, if it has the form of the contract, or a new one."""
        offered = headers.get(b"x-request-id")
        if offered is not None and self._is_request_id(text := offered.decode("latin-1")):
            return text
        return os.urandom(8).hex()

    def route(self, scope: Scope) -> str:
        """The template of the path that a request was for, as far as routing has come."""
        operation: Operation | None = scope.get("operation")
        if operation is None:
            return PAGES if is_page(scope["path"]) else NONE
        return operation.path

    def answered(self, method: str, route: str, status: int, seconds: float, user: str | None = None) -> None:
        """Counts one answer and writes its line.

        Args:
            seconds: from the request's head to the end of the answer.
            user: the verified token's `sub`, of which the line holds a hash.
        """
        if self._metrics is not None:
            self._metrics.count(method, route, status, seconds)
        if log.isEnabledFor(logging.INFO):
            fields = {
                "method": method,
                "route": route,
                "status": status,
                "duration_ms": round(seconds * 1000, 3),
            }
            if user is not None:
                fields["user"] = user_hash(user)
            # Made by hand, since the logger would look up the line of code from which it is called.
            extra = {"fields": fields}
            log.handle(log.makeRecord(log.name, logging.INFO, "", 0, "answered", (), None, extra=extra))


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
    return Observer(contract, metrics, tracing)


class ObserveMiddleware:
    """Tells an `Observer` of each request, and puts the request's id on its answer."""

    def __init__(self, app: ASGIApp, observer: Observer) -> None:
        self.app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        observer = self._observer
        headers = dict(scope["headers"])
        fields = {"request_id": observer.request_id(headers)}
        span = observer.tracing.start(scope["method"], headers) if observer.tracing else None
        fields.update(span.fields if span else trace_fields(headers))
        request_fields.set(fields)
        answer_field = b"x-request-id", fields["request_id"].encode("ascii")
        status = CLIENT_CLOSED_REQUEST

        def watched_send(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), answer_field]
            return send(message)

        try:
            await self.app(scope, receive, watched_send)
        finally:
            route = observer.route(scope)
            claims = scope.get("claims")
            observer.answered(
                scope["method"], route, status, perf_counter() - started, claims["sub"] if claims else None
            )
            if span:
                span.end(scope["method"], route, status)


def trace_fields(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """What a valid `traceparent` says of the caller's trace and span; empty without one."""
    parent = _TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
    return {"trace_id": parent[1].decode(), "span_id": parent[2].decode()} if parent else {}


@lru_cache(maxsize=1024)
def user_hash(user: str) -> str:
    """What log lines call a user: the first 12 hexadecimal digits of the SHA-256 of the `sub`."""
    return sha256(user.encode()).hexdigest()[:USER_DIGITS]
