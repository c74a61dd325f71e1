"""What is reported of each request: its id, its line in the log, and what neither ever holds."""

import json
import subprocess
import sys
from hashlib import sha256
from typing import Any, cast
from uuid import UUID

import httpx
import pytest

from server.process.exchange import Exchange
from server.telemetry.observe import Observer, trace_fields
from tests.support.contracts import Json, contract_of, document, operation
from tests.support.raw_http import exchange
from tests.support.running import PROJECT, SECRET, ServeProcess, Service

USER = "somebody@example.com"
TASKS = f"/api/{USER}/tasks"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
REQUESTS = [
    ("listed", USER, "GET", TASKS, 200, "/api/{user_id}/tasks"),
    ("by-head", USER, "HEAD", TASKS, 200, "/api/{user_id}/tasks"),
    ("missing", USER, "GET", f"{TASKS}/77", 404, "/api/{user_id}/tasks/{id}"),
    ("no-number", USER, "PATCH", f"{TASKS}/x/complete", 400, "/api/{user_id}/tasks/{id}/complete"),
    ("forbidden", USER, "GET", "/api/other/tasks", 403, "/api/{user_id}/tasks"),
    ("unauthorized", None, "GET", TASKS, 401, "/api/{user_id}/tasks"),
    ("live", None, "GET", "/health/live", 200, "/health/live"),
    ("page", None, "GET", "/openapi.json", 200, "pages"),
    ("no-page", None, "GET", f"/docs/{USER}", 404, "pages"),
    ("nowhere", None, "GET", f"/{USER}", 404, "none"),
    ("no-method", USER, "PUT", TASKS, 405, "none"),
    ("bad-path", USER, "GET", f"{TASKS}/%zz", 400, "none"),
]


@pytest.fixture(scope="module")
def lines(database_url: str) -> list[dict[str, Any]]:
    """All that a service logs of REQUESTS and of what is not HTTP."""
    settings = {"DATABASE_URL": database_url, "AUTH_JWT_SECRET": SECRET.decode()}
    with ServeProcess(**settings, LOG_LEVEL="info", LOG_FORMAT="json") as process:
        process.wait_until_live()
        service = Service(process.url)
        for name, user, method, path, status, _ in REQUESTS:
            with service.client(user) as client:
                headers = {"X-Request-Id": name, "traceparent": f"00-{TRACE}-{SPAN}-01"}
                assert status == client.request(method, path, headers=headers).status_code
        assert 400 == exchange(service, b"nonsense\r\n\r\n").status
        _, output = process.stop()
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(("name", "user", "method", "path", "status", "route"), REQUESTS)
def test_each_request_is_one_line(
    lines: list[dict[str, Any]], name: str, user: str | None, method: str, path: str, status: int, route: str
) -> None:
    """A request's line has its method, the contract's template for its path, the status, the time and a user's hash."""
    (line,) = [line for line in lines if line["message"] == "answered" and line["request_id"] == name]
    # No token is looked at before there is an operation.
    known = {"user": sha256(user.encode()).hexdigest()[:12]} if user and route.startswith("/api/") else {}

    assert 0 < line.pop("duration_ms") < 60_000
    del line["time"]
    assert {
        "level": "info",
        "logger": "todo_api.access",
        "message": "answered",
        "method": method,
        "route": route,
        "status": status,
        "request_id": name,
        "trace_id": TRACE,
        "span_id": SPAN,
        **known,
    } == line


def test_what_is_not_http_is_one_line(lines: list[dict[str, Any]]) -> None:
    """The refusal of what is not HTTP is a line of its own, with an id that the service has made."""
    (line,) = [line for line in lines if line.get("method") == "none"]

    assert ("none", 400) == (line["route"], line["status"])
    assert 16 == len(line["request_id"])


def test_a_reason_has_the_id_of_its_request(lines: list[dict[str, Any]]) -> None:
    """Whatever else is logged while a request is served has its id and its trace."""
    (reason,) = [line for line in lines if line["message"].startswith("unauthorized: ")]

    assert ("unauthorized", TRACE) == (reason["request_id"], reason["trace_id"])


def test_no_line_holds_a_user_or_a_path(lines: list[dict[str, Any]]) -> None:
    """Neither the user's name nor any path that was asked for is in a line."""
    text = json.dumps(lines)

    assert [] == [secret for secret in (USER, "somebody", "%zz", "openapi.json", "/77") if secret in text]


def test_what_shows_a_request_by_chance_shows_nothing_of_it() -> None:
    """What runs a callback, or an application, may write a request's methods into its own line when they fail."""
    headers = [(b"authorization", b"Bearer secret")]
    request = Exchange(cast("Any", None), {"path": TASKS}, dict(headers), True, False, False)

    assert [] == [secret for secret in ("Bearer", "somebody") if secret in f"{request!r} {request.send!r}"]


@pytest.mark.parametrize("given", ["x", "a" * 128, "0190b2b4-7d4b-7a51-9a3b-3b1f6b1e0c11", "A.b_c~d-1"])
def test_an_id_of_the_right_form_is_kept(client: httpx.Client, tasks: str, given: str) -> None:
    """A request id that the contract allows comes back on the answer."""
    assert given == client.get(tasks, headers={"X-Request-Id": given}).headers["X-Request-Id"]


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", 'a"b', "a\tb", "<script>", "ü", "a\u0085b"])
def test_an_id_of_another_form_is_replaced(client: httpx.Client, tasks: str, given: str) -> None:
    """A request id that could forge or flood the log gives way to a new one."""
    answered = client.get(tasks, headers={"X-Request-Id": given.encode()}).headers.get_list("X-Request-Id")

    assert [16] == [len(value) for value in answered]
    assert int(answered[0], 16) >= 0


IDENTIFIED = {"X-Request-ID": {"schema": {"type": "string", "format": "uuid"}}}


@pytest.mark.parametrize(
    "asking",
    [
        document({}, components={"headers": IDENTIFIED}),
        document(
            {
                "/": {
                    "get": operation(
                        responses={
                            "200": {
                                "description": "",
                                "headers": {"X-Request-Id": {"content": {"text/plain": {}}}},
                            },
                            "201": {"description": "", "headers": IDENTIFIED},
                        }
                    )
                }
            }
        ),
    ],
)
def test_a_new_id_has_the_form_of_the_contract(asking: Json) -> None:
    """Where the contract asks for a UUID, in a component or in a response alone, a new id is one."""
    observer = Observer(contract_of(asking))
    given = "0190b2b4-7d4b-7a51-9a3b-3b1f6b1e0c11"

    assert given == observer.request_id({b"x-request-id": given.encode()})
    assert 36 == len(str(UUID(observer.request_id({b"x-request-id": b"x"}))))


def test_every_answer_has_an_id_of_its_own(service: Service, client: httpx.Client, tasks: str) -> None:
    """Two answers to the same request differ in their ids, and refusals, pages and what is not HTTP have one too."""
    answers = [client.get(path) for path in (tasks, tasks, "/nowhere", "/docs/", "/docs/nothing")]
    answers.append(client.delete(tasks))
    identifiers = [answer.headers["X-Request-Id"] for answer in answers]
    identifiers.append(exchange(service, b"nonsense\r\n\r\n").headers["X-Request-Id"])

    assert 7 == len(set(identifiers))


@pytest.mark.parametrize(
    ("traceparent", "taken"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", True),
        (f"cc-{TRACE}-{SPAN}-01-what-a-later-version-adds", True),
        (f"00-{TRACE}-{SPAN}-01-more", False),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}", False),
        (f"00-{TRACE}-{SPAN}-01\n", False),
        ("", False),
    ],
)
def test_a_traceparent_is_taken_as_the_w3c_has_it(traceparent: str, taken: bool) -> None:
    """Trace and parent come from a valid `traceparent` (W3C Trace Context, section 3.2), and from no other."""
    fields = {"trace_id": TRACE, "span_id": SPAN} if taken else {}
    assert fields == trace_fields({b"traceparent": traceparent.encode()})


def test_what_is_off_is_not_even_imported() -> None:
    """Neither Prometheus's library nor OpenTelemetry's SDK is loaded without its setting, nor Flask without a page."""
    script = (
        "import sys\nfrom server.app import create_app\nfrom server.todo import todo\n"
        "from tests.support.running import settings_for\n"
        "create_app(todo(), settings_for(), 'postgresql://')\nprint(*sys.modules)"
    )
    command = [sys.executable, "-W", "ignore", "-c", script]
    modules = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()

    assert "server.telemetry.observe" in modules
    assert [] == [name for name in modules if name in ("flask", "opentelemetry.sdk", "prometheus_client")]
