"""Refusals in the form that a contract has for errors."""

from typing import Any

import pytest

from tests.support.contracts import Json
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
