"""Refusals in the form that a contract has for errors."""

from typing import Any

import pytest

from openapi.bridge.failures import (
    BadRequest,
    ContentTooLarge,
    Failure,
    Forbidden,
    InternalError,
    MethodNotAllowed,
    PathNotFound,
    RequestHeaderFieldsTooLarge,
    RequestTimeout,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from tests.support.contracts import Json, contract_of, document
from tests.support.serving import operation, serve

SENTENCE = "Unknown query parameter. Known here: none"
OURS: Json = {"error": SENTENCE}


def refused(responses: Json, path: str = "/things?no=1", **schemas: Any) -> Any:
    """The media type and body of a refusal by a document with these responses of its one operation."""
    act = operation("act")
    act["responses"] |= responses
    answer = serve({"/things": {"get": act}}, components={"schemas": schemas})("GET", path)
    return answer.headers["Content-Type"], answer.json()


def response(schema: Json, media_type: str = "application/json") -> Json:
    """A response of this schema."""
    return {"description": "No", "content": {media_type: {"schema": schema}}}


def fields(**types: str) -> Json:
    """The schema of an object with these members, all required."""
    properties = {name: {"type": kind} for name, kind in types.items()}
    return {
        "type": "object",
        "properties": properties,
        "required": list(types),
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (fields(error="string"), OURS),
        (fields(code="integer", message="string"), {"code": 400, "message": SENTENCE}),
        (fields(code="string", detail="string"), {"code": "bad-request", "detail": SENTENCE}),
        (fields(status="string", errors="array", ok="boolean", id="null"), OURS),
        ({"type": "object", "properties": {"message": {"type": "string"}}}, {"message": SENTENCE}),
        (
            {"required": ["error"], "properties": {"error": fields(code="number", message="string")}},
            {"error": {"code": 400, "message": SENTENCE}},
        ),
        (
            {
                "allOf": [
                    fields(message="string") | {"additionalProperties": True},
                    {"properties": {"kind": {"const": "x"}}, "required": ["kind"]},
                ]
            },
            {"message": SENTENCE, "kind": "x"},
        ),
        (
            {
                "properties": {"type": {"enum": ["invalid", "other"]}, "title": {"type": "string"}},
                "required": ["type"],
            },
            {"type": "invalid", "title": SENTENCE},
        ),
        (
            {
                "type": "object",
                "required": ["when"],
                "properties": {"when": {"type": "integer", "maximum": 5}},
            },
            OURS,
        ),
        ({}, OURS),
        ({"type": "object"}, OURS),
        ({"type": "string"}, SENTENCE),
    ],
)
def test_a_refusal_has_the_form_that_the_contract_gives_it(schema: Json, body: Json) -> None:
    """The members of the response's schema are filled by names and types; ours is sent where that is not valid."""
    assert ("application/json", body) == refused({"400": response(schema)})


def test_the_nearest_response_decides() -> None:
    """The status comes before its range, that before `default`, and any error of the contract after them."""
    by_number, by_range, by_default = (
        response(fields(**{name: "string"})) for name in ("message", "reason", "detail")
    )
    assert {"message": SENTENCE} == refused({"default": by_default, "4XX": by_range, "400": by_number})[1]
    assert {"reason": SENTENCE} == refused({"default": by_default, "4XX": by_range})[1]
    assert {"detail": SENTENCE} == refused({"default": by_default})[1]
    assert {"message": "Not Found"} == refused({"409": by_number}, path="/nothing")[1]
    assert OURS == refused({"400": {"description": "No"}, "409": by_number})[1]


def test_the_media_type_is_the_contracts() -> None:
    """A form that the contract has as another JSON type is sent as that; one that is no JSON is not ours to fill."""
    form = fields(title="string", status="integer")
    assert ("application/vnd.error+json", {"title": SENTENCE, "status": 400}) == refused(
        {"400": response(form, "application/vnd.error+json")}
    )
    assert ("application/json", OURS) == refused({"400": response(form, "application/xml")})


def test_a_problem_is_one_of_rfc_9457() -> None:
    """Where the contract's form is a problem it is sent to everybody, with its violations where there is room."""
    problem = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": SENTENCE}
    form = fields(type="string", title="string", status="integer", detail="string")
    media_type = "application/problem+json"
    assert (media_type, problem) == refused({"400": response(form, media_type)})
    errors = [{"parameter": "no", "code": "unknown", "detail": SENTENCE}]
    assert (media_type, {**problem, "errors": errors}) == refused({"400": response({}, media_type)})
    assert (media_type, {"code": 400}) == refused({"400": response(fields(code="integer"), media_type)})


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (BadRequest("No"), (400, "No", {})),
        (Unauthorized(), (401, "Unauthorized", {})),
        (Forbidden(), (403, "Forbidden", {})),
        (PathNotFound(), (404, "Not Found", {})),
        (
            MethodNotAllowed("GET"),
            (
                405,
                "Method not allowed. The Allow header lists the methods that this path takes",
                {"Allow": "GET"},
            ),
        ),
        (
            RequestTimeout(),
            (408, "The request took too long to arrive. Send it again on a new connection", {}),
        ),
        (ContentTooLarge(), (413, "The request body must be 1048576 bytes or less", {})),
        (
            UnsupportedMediaType("a/b"),
            (415, "The request body must be a/b in UTF-8, without Content-Encoding", {"Accept": "a/b"}),
        ),
        (
            UnsupportedMediaType("a/b", "PATCH", is_encoded=True),
            (
                415,
                "The request body must be a/b in UTF-8, without Content-Encoding",
                {"Accept": "a/b", "Accept-Patch": "a/b", "Accept-Encoding": "identity"},
            ),
        ),
        (
            TooManyRequests(),
            (
                429,
                "You have too many requests under way. Wait for their answers, then try again",
                {"Retry-After": "1"},
            ),
        ),
        (RequestHeaderFieldsTooLarge(), (431, "The request's headers are longer than the service reads", {})),
        (InternalError(), (500, "Something went wrong on our side. The fault has been logged", {})),
        (
            Unavailable(retry_after=9),
            (503, "The service is temporarily unavailable. Try again shortly", {"Retry-After": "9"}),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_contract_does_not_word_has_words_of_its_own(
    failure: Failure, expected: tuple[int, str, Json]
) -> None:
    """A failure that no response of the contract is named after has a status, a sentence and headers nevertheless."""
    assert expected == contract_of(document(components={})).refusal(failure)[:3]


def test_refusals_are_joined() -> None:
    """What two checks found is listed together; the second is made when somebody asks."""

    def check() -> None:
        raise BadRequest("Second")

    first = BadRequest("First")
    for second, sentences in ((check, ["First", "Second"]), (lambda: None, ["First"])):
        joined = first.joined_by(second)
        assert ("First", sentences) == (joined.reason, [each.sentence for each in joined.violations()])
