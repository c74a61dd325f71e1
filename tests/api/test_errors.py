"""The one table of failures: each is the contract's status, sentence and headers, in the one envelope."""

import asyncio
import json
import logging
from datetime import datetime
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import openapi.failures
from openapi.bridge import failures
from openapi.bridge.answers import AnswerWriter
from openapi.bridge.failures import (
    BadRequest,
    ContentTooLarge,
    Failure,
    Forbidden,
    InternalError,
    MethodNotAllowed,
    PathNotFound,
    RequestTimeout,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    Violation,
)
from openapi.bridge.service import ContractService
from openapi.contract import contract
from openapi.failures import IdempotencyKeyReused, PreconditionFailed, TaskNotFound
from server.todo import todo

AWAY = "The service is temporarily unavailable. Try again shortly"
ALWAYS = {name.lower(): value for name, value in contract().headers.items()}
FAULT = "Something went wrong on our side. The fault has been logged"


class Sent:
    """What an application sends."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        """Takes one message."""
        self.messages.append(message)

    @property
    def status(self) -> int:
        """The status."""
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        """The headers by name."""
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(message["body"] for message in self.messages[1:])


async def nothing() -> Message:
    """The messages of a request that nobody reads."""
    return {}


def service_before(app: ASGIApp) -> ContractService:
    """A service of the contract with `app` beyond it."""
    return ContractService(contract(), todo().find_handler, lambda claims: claims, {"bearer": dict}, app)


def answer_to(
    error: BaseException, scope_type: str = "http", started: bool = False, accept: bytes = b"*/*"
) -> Sent:
    """What a client sees where `error` is raised below the middleware."""
    answer = Sent()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    headers = [(b"accept", accept)]
    scope = {"type": scope_type, "method": "GET", "path": "/", "raw_path": b"/", "headers": headers}
    asyncio.run(service_before(app)(scope, nothing, answer.send))
    return answer


def written(body: Any, **headers: str) -> Sent:
    """What is sent of an answer with this body."""
    answer = Sent()
    asyncio.run(AnswerWriter(contract()).write(200, body, headers).send(answer.send))
    return answer


@pytest.mark.parametrize(
    ("error", "status", "sentence", "headers"),
    [
        (BadRequest("Title is required"), 400, "Title is required", {}),
        (Unauthorized("expired"), 401, "Unauthorized", {"www-authenticate": "Bearer"}),
        (Forbidden(), 403, "Forbidden", {}),
        (PathNotFound(), 404, "Not found. The paths of this API are listed in /openapi.yaml", {}),
        (TaskNotFound(), 404, "Task not found", {}),
        (
            MethodNotAllowed("GET, HEAD"),
            405,
            "Method not allowed. The Allow header lists the methods that this path takes",
            {"allow": "GET, HEAD"},
        ),
        (
            PreconditionFailed("changed"),
            412,
            "The task has changed since. Read it again and retry with its new ETag",
            {},
        ),
        (
            RequestTimeout(),
            408,
            "The request took too long to arrive. Send it again on a new connection",
            {},
        ),
        (ContentTooLarge(), 413, "The request body must be 131072 bytes or less", {}),
        (
            UnsupportedMediaType("application/json"),
            415,
            "The request body must be application/json in UTF-8, without Content-Encoding",
            {"accept": "application/json"},
        ),
        (
            IdempotencyKeyReused(),
            422,
            "This Idempotency-Key was used with another body. Use a new key for a new task",
            {},
        ),
        (InternalError("details"), 500, FAULT, {}),
        (
            Unavailable("the database is away"),
            503,
            AWAY,
            {"retry-after": "1"},
        ),
        (ValueError("secret"), 500, FAULT, {}),
        (asyncio.CancelledError(), 503, AWAY, {"retry-after": "1"}),
    ],
)
def test_every_failure_is_the_envelope(
    error: BaseException, status: int, sentence: str, headers: dict[str, str]
) -> None:
    """Whatever is raised becomes `{"error": <sentence>}` with the contract's status and headers, and nothing else."""
    answer = answer_to(error)
    content = json.dumps({"error": sentence}, separators=(",", ":")).encode() + b"\n"
    assert (status, content) == (answer.status, answer.body)
    common = {"content-type": "application/json", "content-length": str(len(content))}
    assert {**ALWAYS, **common, **headers} == answer.headers


def test_every_refusal_of_the_contract_has_a_failure() -> None:
    """Every response component of the contract that refuses a request has a failure of its name."""
    names = {
        each.__name__
        for module in (failures, openapi.failures)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Failure)
    }
    assert set() == contract().refusals.keys() - names


PROBLEM = b"application/json;q=0.5, Application/Problem+JSON ; q=0.1"


def test_who_names_the_problem_media_type_gets_it() -> None:
    """A client that names application/problem+json gets RFC 9457: the same status, sentence and headers, and a kind."""
    answer = answer_to(Unauthorized("expired"), accept=PROBLEM)
    assert {
        "type": "urn:todo-api:problem:unauthorized",
        "title": "Unauthorized",
        "status": 401,
        "detail": "Unauthorized",
    } == json.loads(answer.body)
    assert ("application/problem+json", "Bearer") == (
        answer.headers["content-type"],
        answer.headers["www-authenticate"],
    )


def test_a_problem_lists_the_violations() -> None:
    """With 400 every broken rule stands in `errors`, at most 50, and each says where it was broken."""
    violations = [
        Violation("Title is required", "required", pointer="/title"),
        *(Violation(f"p{number} must be 1", "const", parameter=f"p{number}") for number in range(60)),
    ]
    errors = json.loads(answer_to(BadRequest("No", lambda: violations), accept=PROBLEM).body)["errors"]
    assert {"pointer": "/title", "code": "required", "detail": "Title is required"} == errors[0]
    assert {"parameter": "p48", "code": "const", "detail": "p48 must be 1"} == errors[-1]
    assert 50 == len(errors)


@pytest.mark.parametrize(
    "accept", [b"", b"application/json", b"application/problem+json;q=0", b"x/application/problem+json"]
)
def test_who_does_not_name_it_gets_the_envelope(accept: bytes) -> None:
    """Any other `Accept` leaves the answer as it is by default."""
    assert b'{"error":"Forbidden"}\n' == answer_to(Forbidden(), accept=accept).body


def test_a_failure_that_the_contract_does_not_know_is_a_fault() -> None:
    """A failure without a response in the contract is an unexpected fault, not a crash of the middleware."""

    class Teapot(Failure):
        pass

    assert (500, FAULT) == (answer_to(Teapot()).status, json.loads(answer_to(Teapot()).body)["error"])


def test_a_status_is_told_to_connexion() -> None:
    """Connexion picks the most specific of several failures by `status_code`."""
    assert (401, 503) == (Unauthorized("expired").status_code, Unavailable("no keys").status_code)


def test_faults_are_logged_with_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected fault is one error in the log, with its traceback."""
    answer_to(ValueError("details"))
    record = caplog.records[-1]
    assert ("openapi.bridge.refusals", logging.ERROR) == (record.name, record.levelno)
    assert "ValueError: details" in caplog.text


@pytest.mark.parametrize(
    ("error", "level", "message"),
    [
        (Unavailable("the pool is empty"), logging.WARNING, "unavailable: the pool is empty"),
        (Unauthorized("the token has expired"), logging.INFO, "unauthorized: the token has expired"),
        (ClientDisconnect(), logging.INFO, "the client went away before its request was answered"),
    ],
)
def test_trouble_is_logged_in_one_line(
    caplog: pytest.LogCaptureFixture, error: BaseException, level: int, message: str
) -> None:
    """Trouble elsewhere, a refused token and a client that left are one line each, with the precise reason."""
    caplog.set_level(logging.INFO, "openapi.bridge")
    answer_to(error)
    assert [(level, message, None)] == [(r.levelno, r.getMessage(), r.exc_info) for r in caplog.records]


@pytest.mark.parametrize("error", [BadRequest("No"), Forbidden(), TaskNotFound(), PathNotFound()])
def test_a_clients_mistake_is_not_logged(caplog: pytest.LogCaptureFixture, error: Failure) -> None:
    """A refused request is the client's business alone."""
    caplog.set_level(logging.DEBUG, "openapi.bridge")
    answer_to(error)
    assert [] == caplog.records


def test_who_is_gone_gets_no_answer() -> None:
    """Nothing is sent to a client that has left."""
    assert [] == answer_to(ClientDisconnect()).messages


def test_an_answer_that_has_begun_is_not_mended() -> None:
    """A fault after the first part of an answer is raised, so that the server breaks the connection off."""
    with pytest.raises(ValueError, match="details"):
        answer_to(ValueError("details"), started=True)


def test_only_http_is_answered() -> None:
    """What is no request passes as if nothing stood there, so that a fault in the start is the server's to see."""
    sent = []

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        sent.append("started")

    asyncio.run(service_before(app)({"type": "lifespan"}, nothing, Sent().send))
    assert ["started"] == sent
    with pytest.raises(ValueError, match="details"):
        answer_to(ValueError("details"), scope_type="lifespan")


def test_an_answer_is_json_with_its_length() -> None:
    """An answer is compact JSON in UTF-8 and ends its line, its times in UTC with `Z` and microseconds."""
    answer = written({"title": "Grüße", "created_at": datetime(2026, 11, 22, 10, 0, 0, 125000)}, ETag='"1"')
    expected = '{"title":"Grüße","created_at":"2026-11-22T10:00:00.125000Z"}\n'.encode()
    assert (200, expected) == (answer.status, answer.body)
    assert {
        **ALWAYS,
        "etag": '"1"',
        "content-type": "application/json",
        "content-length": str(len(expected)),
    } == answer.headers


def test_an_answers_own_header_comes_first() -> None:
    """A header that the answer has itself stands in place of the one that every answer carries."""
    pairs = AnswerWriter(contract()).write(200, None, {"cache-Control": "no-store"}).fields
    assert [b"no-store"] == [value for name, value in pairs if name == b"cache-control"]


def test_no_body_is_no_content() -> None:
    """An answer without a body says nothing of its type and length, as 204 and 304 must not."""
    answer = written(None, ETag='"1"')
    assert (b"", {"etag": '"1"', **ALWAYS}) == (answer.body, answer.headers)
