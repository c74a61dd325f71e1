"""OpenTelemetry: one span for each request, sent to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names.

Needs the extra `otel`. The SDK's own instrumentation of ASGI would send paths, and with them the users' names.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# The SDK would write what is wrong with a client's `tracestate` to the log, word for word.
logging.getLogger("opentelemetry.trace").setLevel(logging.ERROR)

# A collector that is away must not hold up the end of the server.
EXPORT_SECONDS = 2


class Tracing:
    """Makes the spans of one worker.

    Args:
        endpoint: the collector's base address; spans go to `/v1/traces` below it (OTLP over HTTP).
        version: of the service, as the spans name it.
    """

    def __init__(self, endpoint: str, version: str) -> None:
        self._endpoint = f"{endpoint.rstrip('/')}/v1/traces"
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "todo-api", "service.version": version}).merge(
                # What OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say wins.
                OTELResourceDetector().detect()
            ),
            shutdown_on_exit=False,
        )
        self._tracer = self._provider.get_tracer("todo_api", version)
        self._propagator = TraceContextTextMapPropagator()

    @asynccontextmanager
    async def exported(self) -> AsyncIterator[None]:
        """Sends the spans, from a thread and in batches, while the context lasts; the last of them at its end."""
        exporter = OTLPSpanExporter(self._endpoint, timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        try:
            yield
        finally:
            await asyncio.to_thread(self._provider.shutdown)

    def start(self, method: str, headers: Mapping[bytes, bytes]) -> tuple[Span, dict[str, str]]:
        """The span of a request, below the caller's where a `traceparent` names it, and what log lines say of it."""
        carrier = {
            name: headers[name.encode()].decode("latin-1")
            for name in self._propagator.fields
            if name.encode() in headers
        }
        parent = self._propagator.extract(carrier)
        span = self._tracer.start_span(method, parent, SpanKind.SERVER)
        context = span.get_span_context()
        fields = {
            "trace_id": format_trace_id(context.trace_id),
            "span_id": format_span_id(context.span_id),
        }
        return span, fields

    def end(self, span: Span, method: str, route: str, status: int) -> None:
        """Ends a request's span, named as the semantic conventions for HTTP have it."""
        span.update_name(f"{method} {route}")
        span.set_attributes(
            {"http.request.method": method, "http.route": route, "http.response.status_code": status}
        )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            span.set_status(StatusCode.ERROR)
        span.end()
