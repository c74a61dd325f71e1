"""What every answer tells caches, browsers and the curious, whoever gives it: operation, page, CORS or server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from openapi.bridge.document.places import ContractError
from openapi.contract import contract
from tests.support.contracts import contract_of, document
from tests.support.raw_http import JSON, TASK, Answer, exchange, request, signed_in
from tests.support.running import SECRET, ServeProcess, Service, service_in_thread, settings_for

FRONT_END = b"Origin: https://app.example"


@pytest.fixture(scope="module")
def service(database_url: str) -> Iterator[Service]:
    """A service that a front end may call."""
    with service_in_thread(database_url, settings_for(cors_origins=("https://app.example",))) as running:
        yield running


OPERATIONS = {
    "list": (200, "GET", "{tasks}", ()),
    "create": (201, "POST", "{tasks}", (JSON,)),
    "what the client holds": (304, "GET", "{task}", (b"If-None-Match: *",)),
    "delete": (204, "DELETE", "{task}", ()),
    "live": (200, "GET", "/health/live", ()),
    "head": (200, "HEAD", "/health/ready", ()),
    "wrong id": (400, "GET", "{tasks}/abc", ()),
    "no token": (401, "GET", "{tasks}", (b"Authorization: Bearer x",)),
    "another's path": (403, "GET", "/api/another/tasks", ()),
    "no such task": (404, "GET", "{tasks}/9223372036854775807", ()),
    "no such path": (404, "GET", "/nothing", ()),
    "wrong method": (405, "PUT", "{tasks}", ()),
    "stale": (412, "DELETE", "{task}", (b'If-Match: "stale"',)),
    "media type": (415, "POST", "{tasks}", (b"Content-Type: text/plain",)),
    "across origins": (200, "GET", "{tasks}", (FRONT_END,)),
    "preflight": (200, "OPTIONS", "{tasks}", (FRONT_END, b"Access-Control-Request-Method: POST")),
    "refused preflight": (
        400,
        "OPTIONS",
        "{tasks}",
        (b"Origin: null", b"Access-Control-Request-Method: POST"),
    ),
    "no HTTP": (400, "GET", "/health/live", (b"Broken\x00: header",)),
}
PAGES = {
    "to the docs": (302, "GET", "/", ()),
    "docs": (200, "GET", "/docs/", ()),
    "contract": (200, "GET", "/openapi.yaml", ()),
    "no such page": (404, "GET", "/docs/nothing", ()),
    "page method": (405, "POST", "/docs/", ()),
}


def rows(table: dict[str, tuple[int, str, str, tuple[bytes, ...]]]) -> pytest.MarkDecorator:
    values = [pytest.param(*row, id=name) for name, row in table.items()]
    return pytest.mark.parametrize(("status", "method", "path", "headers"), values)


def answer(service: Service, user: str, method: str, path: str, headers: tuple[bytes, ...]) -> Answer:
    """What a request of the user, who has one task, is answered with."""
    identity, tasks = signed_in(service, user), f"/api/{user}/tasks"
    task = exchange(service, request("POST", tasks, identity, JSON, body=TASK)).headers["location"]
    if not any(header.startswith(b"Authorization") for header in headers):
        headers = (identity, *headers)
    body = TASK if method == "POST" else b""
    return exchange(
        service, request(method, path.format(tasks=tasks, task=task), *headers, body=body), method
    )


@rows(OPERATIONS)
def test_every_answer_of_the_api_has_the_contracts_headers(
    service: Service, user: str, status: int, method: str, path: str, headers: tuple[bytes, ...]
) -> None:
    """An answer of the API, a refusal too, has each header of `x-headers` exactly once."""
    given = answer(service, user, method, path, headers)
    assert status == given.status
    assert {name: [value] for name, value in contract().headers.items()} == {
        name: given.headers.get_all(name) for name in contract().headers
    }


@rows(OPERATIONS | PAGES)
def test_every_answer_is_careful(
    service: Service, user: str, status: int, method: str, path: str, headers: tuple[bytes, ...]
) -> None:
    """No answer may be guessed at, framed, run or kept unasked."""
    given = answer(service, user, method, path, headers)
    assert status == given.status
    assert ["nosniff"] == given.headers.get_all("x-content-type-options")
    assert ["no-referrer"] == given.headers.get_all("referrer-policy")
    (policy,) = given.headers.get_all("content-security-policy", [])
    assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    (caching,) = given.headers.get_all("cache-control", [])
    assert {"no-cache", "no-store"} & set(caching.split(", "))


def test_no_answer_says_what_serves_it(database_url: str, tmp_path: Path) -> None:
    """Neither an operation, nor a page, nor a refusal of what is no HTTP names a program or a version."""
    with ServeProcess(cwd=tmp_path, DATABASE_URL=database_url, AUTH_JWT_SECRET=SECRET.decode()) as process:
        process.wait_until_live()
        for path, header in (("/health/live", b"A: b"), ("/docs/", b"A: b"), ("/", b"Broken\x00: header")):
            given = exchange(Service(process.url), request("GET", path, header))
            assert not {"server", "x-powered-by", "via"} & {name.lower() for name in given.headers}


def test_no_shared_cache_may_keep_a_task() -> None:
    """What the contract says of caches leaves a task to the client's own cache, which asks each time (RFC 9111)."""
    assert {"private", "no-cache"} == set(contract().headers["Cache-Control"].split(", "))


def test_the_headers_follow_the_contract() -> None:
    """Other headers in the contract are other headers of the service, and without any there are none."""
    assert {"X-Robots-Tag": "noindex"} == contract_of(
        document(**{"x-headers": {"X-Robots-Tag": "noindex"}})
    ).headers
    assert {} == contract_of(document()).headers


def test_headers_of_another_tool_are_none_of_ours() -> None:
    """ReadMe's list of the same name adds no header, and whoever checks the document reads so."""
    contract = contract_of(document(**{"x-headers": [{"key": "X-A", "value": "a"}]}))
    assert {} == contract.headers
    assert [
        "#/x-headers: left out, since it is a list and not values by the names of headers"
    ] == contract.notes


@pytest.mark.parametrize(
    "headers", ["nosniff", {"X-A": 1}, {"X A": "a"}, {"": "a"}, {"X-A": "a\nb"}, {"X-A": ""}, {"X-A:": "a"}]
)
def test_a_header_that_cannot_be_sent_stops_the_start(headers: object) -> None:
    """What is no header of HTTP is reported with its place."""
    with pytest.raises(ContractError, match=r"^#/x-headers: it must hold values by the names of headers$"):
        contract_of(document(**{"x-headers": headers}))
