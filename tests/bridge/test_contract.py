"""The questions that the service asks its contract: refusals, limits and schemas, however they are written down."""

from typing import Any

import pytest

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import Place, copy_of, look_up, pointer_to
from openapi.bridge.failures import ContentTooLarge, Refusal
from tests.support.contracts import Json, contract_of, document, operation


def refusal(response: Json, status: str = "409", **components: Any) -> Refusal | None:
    """What the contract says of the response component `Conflict`, to which one operation refers."""
    made = operation(
        responses={"200": {"description": ""}, status: {"$ref": "#/components/responses/Conflict"}}
    )
    responses = {"Conflict": response, **components.pop("responses", {})}
    contract = contract_of(
        document({"/things": {"get": made}}, components={"responses": responses, **components})
    )
    return contract.refusals.get("Conflict")


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        ({"description": "Both at once", "x-message": "Try again"}, "Try again"),
        ({"description": "Both at once"}, "Both at once"),
        ({"description": "", "x-message": "At most {x-limit}", "x-limit": 5}, "At most 5"),
        ({"description": "", "x-message": "One of {x-names}", "x-names": ["a", "b"]}, "One of 'a' or 'b'"),
    ],
)
def test_a_refusal_has_the_contracts_words(response: Json, sentence: str) -> None:
    """A refusal says `x-message`, its braces filled from the response, or the description where there is none."""
    assert Refusal(409, sentence) == refusal(response)


@pytest.mark.parametrize(
    "header",
    [
        {"schema": {"const": 5}},
        {"schema": {"$ref": "#/components/schemas/Five"}},
        {"$ref": "#/components/headers/Five"},
    ],
)
def test_a_refusal_has_the_headers_that_are_fixed(header: Json) -> None:
    """A header with a `const`, here or behind references, is sent with every such refusal."""
    others = {
        "X-Any": {"schema": True},
        "X-Text": {"schema": {"type": "string"}},
        "X-Json": {"content": {"text/plain": {}}},
    }
    said = refusal(
        {"description": "No", "headers": {"Retry-After": header, **others}},
        schemas={"Five": {"const": 5}},
        headers={"Five": {"schema": {"$ref": "#/components/schemas/Five"}}},
    )
    assert Refusal(409, "No", {"Retry-After": "5"}) == said


def test_a_refusal_is_one_that_an_operation_can_answer() -> None:
    """A response that no operation refers to, or that has no single status, is no refusal."""
    assert refusal({"description": "No"}, status="default") is None
    assert refusal({"description": "No"}, status="4XX") is None
    assert {} == contract_of(document()).refusals


def test_a_refusal_may_be_known_by_two_names() -> None:
    """A response component that only refers to another is the same refusal under its own name."""
    other = {"description": "No"}
    assert Refusal(409, "No") == refusal({"$ref": "#/components/responses/Other"}, responses={"Other": other})


@pytest.mark.parametrize("limit", [1, 131072])
def test_the_limit_of_bodies_is_read(limit: int) -> None:
    """The largest body is what some response component says."""
    responses = {"Any": {"description": ""}, "TooLarge": {"description": "", "x-max-body-bytes": limit}}
    assert limit == contract_of(document(components={"responses": responses})).max_body_bytes


def test_a_contract_need_not_name_its_refusals() -> None:
    """A document without refusals, limit and headers is served with what the failures say themselves."""
    contract = contract_of(document(components={}))
    sentence = "The request body must be 1048576 bytes or less"
    assert Refusal(413, sentence, {}, "content-too-large") == contract.refusal(ContentTooLarge())


def test_schemas_are_found_by_name() -> None:
    """A named schema is found, and what it refers to in its stead."""
    schemas = {"A": {"$ref": "#/components/schemas/B"}, "B": {"type": "string"}}
    contract = contract_of(document(components={"schemas": schemas}))
    assert {"type": "string"} == contract.schema("A") == contract.schema("B")


def test_operations_say_what_they_are() -> None:
    """An operation has its method, path, first tag and lowest success, and empty ones where nothing is said."""
    responses = {"204": {"description": ""}, "201": {"description": ""}, "400": {"description": ""}}
    made = document(
        {
            "/things": {
                "put": {"operationId": "a", "tags": ["x", "y"], "responses": responses},
                "get": operation("b"),
            }
        }
    )
    operations = contract_of(made).operations
    assert ["b", "a"] == list(operations)
    assert ("PUT", "/things", "x", 201) == (
        operations["a"].method,
        operations["a"].path,
        operations["a"].tag,
        operations["a"].success,
    )
    assert ("", None, None, ()) == (
        operations["b"].tag,
        operations["b"].body,
        operations["b"].owner,
        operations["b"].parameters,
    )


def test_a_place_leads_on() -> None:
    """Places know their pointers, escaped as RFC 6901 has it, and pointers lead back to them."""
    made = {"paths": {"/a~b": [{"x": 1}]}}
    place = Place("", made) / "paths" / "/a~b" / 0
    assert Place("/paths/~1a~0b/0", {"x": 1}) == place
    assert place.node is look_up(made, place.pointer)
    assert "/a~1b/0" == pointer_to("", "a/b", 0)


def test_a_copy_shares_nothing() -> None:
    """A copy of a JSON value is equal, and none of its parts is the original's."""
    value = {"a": [{"b": 1}]}
    copy = copy_of(value)
    copy["a"][0]["b"] = 2
    assert {"a": [{"b": 1}]} == value


def test_the_published_text_is_the_files() -> None:
    """A contract keeps its text, comments and line ends included."""
    text = "# A comment\r\nopenapi: 3.1.0\r\ninfo: {title: t, version: '1'}\r\npaths: {}\r\n"
    assert text == Contract(text).text
