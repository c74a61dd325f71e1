"""What the contract says of answers: `writeOnly` members are left out, and all else can be checked."""

import logging
from typing import Any

import httpx
import pytest

from openapi.bridge.answers import Answer
from tests.support.contracts import Json
from tests.support.serving import operation, serve

USER = {
    "type": "object",
    "required": ["name", "password"],
    "properties": {
        "name": {"type": "string"},
        "password": {"type": "string", "writeOnly": True},
        "friends": {"type": "array", "items": {"$ref": "#/components/schemas/User"}},
    },
    "additionalProperties": {"$ref": "#/components/schemas/User"},
}
RESPONSES = {
    "200": {
        "description": "Done",
        "headers": {
            "X-Count": {"required": True, "schema": {"type": "integer", "maximum": 9}},
            "X-Pairs": {"schema": {"type": "object"}},
            "X-List": {"schema": {"type": "array", "items": {"type": "integer"}}},
        },
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/User"}}},
    },
    "4XX": {"description": "Refused"},
}
RIGHT = {"X-Count": "9", "X-List": "1, 2"}


def answered(
    answer: Answer[Any], responses: Json = RESPONSES, validate: bool = True, accept: str = "*/*"
) -> httpx.Response:
    """What a client gets where a handler gives this answer."""

    async def handle(_caller: object) -> Answer[Any]:
        return answer

    send = serve(
        {"/things": {"get": {**operation("act"), "responses": responses}}},
        find=lambda _name: handle,
        validate_answers=validate,
        components={"schemas": {"User": USER}},
    )
    return send("GET", "/things", headers={"Accept": accept})


@pytest.mark.parametrize("validate", [True, False])
def test_what_is_write_only_is_never_answered(validate: bool) -> None:
    """A `writeOnly` member is taken out of an answer wherever it stands, also in production."""
    body = {"name": "a", "password": "s", "friends": [{"name": "b", "password": "s"}]}
    response = answered(Answer({**body, "x": dict(body)}, RIGHT), validate=validate)
    left = {"name": "a", "friends": [{"name": "b"}]}
    assert (200, {**left, "x": left}) == (response.status_code, response.json())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer({"name": "a"}, RIGHT, 201), "the status 201 is not in the contract"),
        (Answer({"name": "a"}), "the header X-Count is required"),
        (Answer({"name": "a"}, {"X-Count": "10"}), "the header X-Count breaks its schema"),
        (Answer({"name": "a"}, {**RIGHT, "X-List": "x"}), "the header X-List breaks its schema"),
        (
            Answer({"name": "a"}, {**RIGHT, "X-Pairs": "a"}),
            "the header X-Pairs cannot be read: X-Pairs must be pairs of a name and a value",
        ),
        (Answer({"name": 1}, RIGHT), "the body at '/name' breaks the rule /$ref/properties/name/type"),
        (Answer(None, RIGHT), "the contract has no body of the media type '' for this status"),
        (Answer(5, {}, 404), "the contract has no body of the media type 'application/json' for this status"),
    ],
)
def test_an_answer_that_the_contract_does_not_have(
    answer: Answer[Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One that breaks the contract is a 500 and a line in the log where answers are validated, else it is sent."""
    caplog.set_level(logging.ERROR)
    assert 500 == answered(answer).status_code
    assert f"an answer is not in the contract: {reason}" == caplog.messages[0]
    assert (answer.status or 200) == answered(answer, validate=False).status_code


def test_answers_that_the_contract_has() -> None:
    """A status may be declared by its class, and content that is not JSON is not looked into."""
    assert 404 == answered(Answer(None, {}, 404)).status_code
    content = {"no media type": {}, "*/*": {}}
    text = Answer(b"text", media_type="text/plain")
    assert 200 == answered(text, {"default": {"description": "", "content": content}}).status_code


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (["text/csv", "application/vnd.a+json", "application/json"], "application/vnd.a+json"),
        (["application/json; charset=utf-8"], "application/json; charset=utf-8"),
        (["*/*", "application/*+json"], "application/json"),
        (["text/*", "text/csv", "text/plain"], "text/csv"),
    ],
)
def test_a_handler_need_not_name_the_media_type(declared: list[str], expected: str) -> None:
    """The first of JSON that the contract declares for the status is sent, or else the first, unless the handler names
    another."""
    responses = {"2XX": {"description": "Done", "content": {name: {} for name in declared}}}
    assert expected == answered(Answer({}), responses).headers["content-type"]
    assert (
        "text/csv" == answered(Answer(b"", media_type="text/csv"), responses, False).headers["content-type"]
    )


@pytest.mark.parametrize("media_type", ["text/csv", "text/plain; charset=utf-8"])
def test_a_text_is_sent_as_it_is(media_type: str) -> None:
    """A text that is not JSON is not put into quotation marks."""
    responses = {"200": {"description": "Done", "content": {media_type: {"schema": {"type": "string"}}}}}
    assert (media_type, "ä\n") == (
        (found := answered(Answer("ä\n"), responses)).headers["content-type"],
        found.content.decode(),
    )
    of_json = {"200": {"description": "Done", "content": {"application/json": {}}}}
    assert b'"a"\n' == answered(Answer("a"), of_json).content


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("application/json;q=0.5, text/*", "text/csv"),
        ("image/png", "application/json"),
        ("", "application/json"),
    ],
)
def test_a_client_chooses_the_media_type(accept: str, expected: str) -> None:
    """Of the bodies that a handler offers the one is made that `Accept` prefers, and caches are told that it counts."""
    contents = {"application/json": b'["a"]\n', "text/csv": b"a\n"}
    responses = {"200": {"description": "Done", "content": {name: {} for name in contents}}}
    found = answered(Answer(["a"], others={"text/csv": lambda: "a\n"}), responses, accept=accept)
    assert (expected, contents[expected]) == (found.headers["content-type"], found.content)
    assert "Accept" == found.headers["vary"]


@pytest.mark.parametrize("name", ["Vary", "vary"])
def test_a_choice_is_one_of_what_an_answer_varies_by(name: str) -> None:
    """What a handler says that its answer depends on stands beside `Accept` (RFC 9110, section 12.5.5)."""
    responses = {"200": {"description": "Done", "content": {"application/json": {}, "text/csv": {}}}}
    offered = Answer([], {name: "Accept-Language"}, others={"text/csv": lambda: ""})
    assert "Accept-Language, Accept" == answered(offered, responses).headers["vary"]
