"""Cross-origin requests: who may call, with which methods and headers, and what a refused preflight is told."""

from collections.abc import Iterator

import httpx
import pytest

from openapi.contract import contract
from tests.support.raw_http import exchange, request
from tests.support.running import Service, service_in_thread, settings_for

FRONT_END = "https://app.example"
OTHER = "https://elsewhere.example"


@pytest.fixture(scope="module")
def open_service(database_url: str) -> Iterator[Service]:
    """A service that one front end may call."""
    with service_in_thread(
        database_url,
        settings_for(cors_origins=(FRONT_END, "http://localhost:3000", "https://*.preview.example")),
    ) as service:
        yield service


def preflight(
    service: Service, origin: str, method: str = "PUT", headers: str = "authorization"
) -> httpx.Response:
    """The answer to what a browser asks before it sends a request across origins."""
    with service.client() as client:
        return client.options(
            "/api/demo/tasks/1",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": headers,
            },
        )


@pytest.mark.parametrize("origin", [FRONT_END, "http://localhost:3000", "https://pr-42.preview.example"])
def test_a_named_origin_may_call(open_service: Service, origin: str) -> None:
    """A preflight of an origin in CORS_ORIGINS is answered 200 and names that origin."""
    response = preflight(open_service, origin)

    assert 200 == response.status_code
    assert origin == response.headers["access-control-allow-origin"]
    assert "origin" in response.headers["vary"].lower()


@pytest.mark.parametrize("method", sorted({operation.method for operation in contract().operations.values()}))
def test_every_method_of_the_contract_is_allowed(open_service: Service, method: str) -> None:
    """Whatever method an operation has, a front end may use it."""
    response = preflight(open_service, FRONT_END, method)

    assert 200 == response.status_code
    assert method in response.headers["access-control-allow-methods"].split(", ")


@pytest.mark.parametrize(
    "header",
    [
        "authorization",
        "content-type",
        "if-match",
        "if-none-match",
        "idempotency-key",
        "x-request-id",
        "traceparent, baggage, sentry-trace",
    ],
)
def test_every_header_is_allowed(open_service: Service, header: str) -> None:
    """A front end may send any header, since what opens something is the token alone."""
    answer = preflight(open_service, FRONT_END, headers=header)
    assert (200, header) == (answer.status_code, answer.headers["access-control-allow-headers"])


@pytest.mark.parametrize(
    ("origin", "method", "headers", "disallowed"),
    [
        (OTHER, "PUT", "authorization", "origin"),
        ("null", "PUT", "authorization", "origin"),
        (f"{FRONT_END}.evil.example", "PUT", "authorization", "origin"),
        (FRONT_END, "TRACE", "authorization", "method"),
        ("https://a.b.preview.example", "PUT", "authorization", "origin"),
        ("https://preview.example", "PUT", "authorization", "origin"),
        ("http://a.preview.example", "PUT", "authorization", "origin"),
        (OTHER, "TRACE", "x-surprise", "origin, method"),
    ],
)
def test_a_refused_preflight_is_told_why(
    open_service: Service, origin: str, method: str, headers: str, disallowed: str
) -> None:
    """A preflight that asks for too much is 400 with the error envelope, and names no origin but one that may call."""
    response = preflight(open_service, origin, method, headers)

    assert 400 == response.status_code
    assert "application/json" == response.headers["content-type"]
    sentence = (
        f"Disallowed CORS {disallowed}: CORS_ORIGINS names the origins that may call this API, "
        "and /openapi.yaml the methods and headers"
    )
    assert {"error": sentence} == response.json()
    named = None if "origin" in disallowed else FRONT_END
    assert named == response.headers.get("access-control-allow-origin")


def test_answers_to_a_named_origin_may_be_read(open_service: Service) -> None:
    """An answer, a refusal too, lets the named origin read it and the headers of the contract."""
    for user, status in (("alice", 200), ("bob", 403), (None, 401)):
        with open_service.client(user) as client:
            response = client.get("/api/alice/tasks", headers={"Origin": FRONT_END})

        assert status == response.status_code
        assert FRONT_END == response.headers["access-control-allow-origin"]
        assert "Origin" in response.headers["vary"]
        exposed = response.headers["access-control-expose-headers"].split(", ")
        assert {
            "Accept",
            "Accept-Encoding",
            "Accept-Patch",
            "Allow",
            "ETag",
            "Link",
            "Location",
            "Retry-After",
            "WWW-Authenticate",
            "X-Request-Id",
            "X-Total-Count",
        } == set(exposed)


def test_a_refusal_of_the_server_itself_may_be_read(open_service: Service) -> None:
    """What is refused before there is a request lets the named origin read it as any other answer does."""
    for broken, status in ((b"no colon", 400), (b"X: " + 70_000 * b"a", 431)):
        content = request("GET", "/health/live", b"Origin: " + FRONT_END.encode(), broken)
        answer = exchange(open_service, content)

        assert status == answer.status
        assert FRONT_END == answer.headers["access-control-allow-origin"]


def test_answers_to_other_origins_may_not_be_read(open_service: Service) -> None:
    """A request of another origin is answered, as it may come from no browser, but no browser lets it be read."""
    with open_service.client("alice") as client:
        response = client.get("/api/alice/tasks", headers={"Origin": OTHER})

    assert 200 == response.status_code
    assert "access-control-allow-origin" not in response.headers


def test_cookies_have_no_part_in_it(open_service: Service) -> None:
    """No browser is told to send credentials of its own along."""
    assert "access-control-allow-credentials" not in preflight(open_service, FRONT_END).headers


def test_every_origin_may_call_where_the_settings_say_so(database_url: str) -> None:
    """With `*` any origin may call, which is safe because a token is never sent by a browser on its own."""
    with service_in_thread(database_url, settings_for(cors_origins=("*",))) as service:
        response = preflight(service, OTHER)
        unnamed = exchange(service, request("GET", "/health/live"))

    assert 200 == response.status_code
    assert "*" == response.headers["access-control-allow-origin"]
    # There is no `Vary`, so a cache may give the one answer for the other.
    assert "*" == unnamed.headers["access-control-allow-origin"]


def test_without_the_setting_there_is_no_cors(service: Service) -> None:
    """Where CORS_ORIGINS is not set, OPTIONS is a method like any other that no path takes."""
    response = preflight(service, FRONT_END)

    assert 405 == response.status_code
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_options_that_are_no_preflight_are_refused(open_service: Service) -> None:
    """OPTIONS without the headers of a preflight is 405, as the contract has no such operation."""
    with open_service.client() as client:
        response = client.options("/api/demo/tasks", headers={"Origin": FRONT_END})

    assert 405 == response.status_code
    assert "DELETE, GET, HEAD, POST" == response.headers["allow"]
