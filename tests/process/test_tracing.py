"""OpenTelemetry's spans, as a collector gets them: their names and parents, and what they never hold."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.support.running import SECRET, ServeProcess, Service, free_port

pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry, the extra `otel`, is not installed")
collector_pb2 = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")

USER = "somebody@example.com"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes OTLP over HTTP and keeps what it gets."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    @contextmanager
    def listening(self) -> Iterator[str]:
        """The collector's base address."""
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert "/v1/traces" == self.path
                requests.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_address[1]}"
            server.shutdown()

    def spans(self) -> Iterator[tuple[dict[str, str], Any]]:
        """Each span, with the attributes of the service that sent it."""
        for content in self.requests:
            request = collector_pb2.ExportTraceServiceRequest.FromString(content)
            for sender in request.resource_spans:
                service = {item.key: item.value.string_value for item in sender.resource.attributes}
                yield from ((service, span) for scope in sender.scope_spans for span in scope.spans)


@pytest.fixture(scope="module")
def collector(database_url: str) -> Collector:
    """What a service has sent that served three requests and was stopped."""
    collector = Collector()
    settings = {"DATABASE_URL": database_url, "AUTH_JWT_SECRET": SECRET.decode()}
    with (
        collector.listening() as endpoint,
        ServeProcess(
            **settings,
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_RESOURCE_ATTRIBUTES="service.name=tasks,deployment.environment.name=tests",
        ) as process,
    ):
        process.wait_until_live()
        with Service(process.url).client(USER) as client:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "Forged line"}
            assert 200 == client.get(f"/api/{USER}/tasks?limit=7", headers=headers).status_code
            assert 404 == client.get(f"/{USER}").status_code
        status, output = process.stop()
        assert (0, False) == (status, "Forged" in output)
    return collector


def test_a_request_is_a_span_named_by_its_route(collector: Collector) -> None:
    """Each request is one span of the kind server, named by method and template, with the status."""
    found = {span.name: span for _, span in collector.spans()}

    assert {"GET /api/{user_id}/tasks", "GET none", "GET /health/live"} == set(found)
    span = found["GET /api/{user_id}/tasks"]
    attributes = {item.key: item.value for item in span.attributes}
    assert ["http.request.method", "http.response.status_code", "http.route"] == sorted(attributes)
    assert 200 == attributes["http.response.status_code"].int_value
    assert span.SPAN_KIND_SERVER == span.kind


def test_a_span_stands_below_its_callers(collector: Collector) -> None:
    """A valid `traceparent` makes the request a part of the caller's trace; without one it begins its own."""
    traces = {span.name: (span.trace_id.hex(), span.parent_span_id.hex()) for _, span in collector.spans()}

    assert (TRACE, PARENT) == traces["GET /api/{user_id}/tasks"]
    assert TRACE != traces["GET none"][0]
    assert "" == traces["GET none"][1]


def test_the_spans_name_the_service_and_no_user(collector: Collector) -> None:
    """Spans name the service as the operator does, and its version; no user, path or query is in what is sent."""
    names = ("service.name", "service.version", "deployment.environment.name")
    services = {tuple(service[name] for name in names) for service, _ in collector.spans()}

    assert {("tasks", "1.0.0", "tests")} == services
    assert [] == [word for word in (b"somebody", b"limit") if word in b"".join(collector.requests)]


def test_a_collector_that_is_away_holds_nothing_up(database_url: str) -> None:
    """Without its collector the service answers, and still ends soon and with 0."""
    settings = {"DATABASE_URL": database_url, "AUTH_JWT_SECRET": SECRET.decode()}
    endpoint = f"http://127.0.0.1:{free_port()}"
    with ServeProcess(**settings, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as process:
        process.wait_until_live()
        with Service(process.url).client(USER) as client:
            assert 200 == client.get(f"/api/{USER}/tasks").status_code
        begun = time.monotonic()
        status, output = process.stop()

    assert (0, False) == (status, "Traceback" in output)
    assert time.monotonic() - begun < 10
