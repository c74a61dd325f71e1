"""Every keyword and style that an edited contract may use is kept by the real service, with no change in it.

The copy of the service has operations of a test's own beside the others: their handler answers what it is given.
"""

import json
from typing import Any

import httpx
import pytest

from tests.support import contracts
from tests.support.contracts import Json, Start, contract_with, refusing
from tests.support.running import Service

start = contracts.start

INTEGER = {"type": "integer"}
STRING = {"type": "string"}

# A body's schema, a body that it allows, one that it does not, and what is said of that.
BODIES: list[tuple[Any, Any, Any, str]] = [
    ({"type": "string", "minLength": 2}, "ab", "a", "The request body must be 2 characters or more"),
    ({"maxLength": 2}, "😀😀", "abc", "The request body must be 2 characters or less"),
    ({"pattern": r"^\p{Lu}+$"}, "ÄB", "äb", r"The request body must match the pattern ^\p{Lu}+$"),
    ({"format": "date"}, "2026-11-22", "22.11.2026", "The request body must have the format date"),
    ({"enum": ["a", 1, None]}, None, "b", "The request body must be 'a' or 1 or null"),
    ({"const": {"a": [1]}}, {"a": [1.0]}, {"a": [2]}, 'The request body must be {"a": [1]}'),
    ({"not": {"required": ["a"]}}, {"b": 1}, {"a": 1}, "The request body breaks the contract's rule 'not'"),
    ({"dependentRequired": {"a": ["b"]}}, {"a": 1, "b": 2}, {"a": 1}, "B is required"),
    (
        {"dependentSchemas": {"a": {"properties": {"b": STRING}}}},
        {"b": 1},
        {"a": 1, "b": 1},
        "B must be a string",
    ),
    (
        {"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}, "else": {"required": ["c"]}},
        {"a": 2, "c": 3},
        {"a": 1, "c": 3},
        "B is required",
    ),
    (
        {
            "allOf": [{"properties": {"a": INTEGER}}],
            "properties": {"b": True},
            "unevaluatedProperties": False,
        },
        {"a": 1, "b": 2},
        {"a": 1, "c": 2},
        "The request body must not have members other than 'b' or 'a'",
    ),
    (
        {"prefixItems": [INTEGER, STRING], "items": False},
        [1, "a"],
        [1, 2],
        "An item of the request body must be a string",
    ),
    (
        {"items": {"multipleOf": 0.1}},
        [0.3, 4],
        [0.35],
        "An item of the request body must be a multiple of 0.1",
    ),
    (
        {"contains": STRING, "maxContains": 1},
        [1, "a"],
        ["a", "a"],
        "The request body breaks the contract's rule 'maxContains'",
    ),
    ({"uniqueItems": True}, [1, True], [1, 1.0], "The request body must not hold the same item twice"),
    ({"exclusiveMinimum": 5}, 5.5, 5, "The request body must be more than 5"),
    ({"type": ["integer", "null"]}, None, "1", "The request body must be an integer or null"),
    ({"oneOf": [INTEGER, {"minimum": 5}]}, 4, 6, "The request body breaks the contract's rule 'oneOf'"),
    (
        {"$ref": "#/components/schemas/TaskId", "maximum": 9, "x-messages": {"maximum": "At most {maximum}"}},
        9,
        10,
        "At most 9",
    ),
    (
        {"$defs": {"size": {"maximum": 3}}, "$id": "https://example.com/size", "$ref": "#/$defs/size"},
        3,
        4,
        "The request body must be 3 or less",
    ),
    (
        {"$anchor": "tree", "properties": {"child": {"$ref": "#tree"}}, "maxProperties": 1},
        {"child": {}},
        {"child": {"a": 1, "b": 2}},
        "Child must have 1 member or less",
    ),
    (
        {"propertyNames": {"pattern": "^x"}},
        {"x": 1},
        {"y": 1},
        "The name of a member of the request body must match the pattern ^x",
    ),
    (
        {"patternProperties": {"^n": INTEGER}},
        {"n1": 1, "s": ""},
        {"n1": ""},
        "A member of the request body must be an integer",
    ),
    (
        {"properties": {"a": False, "b": {"contentMediaType": "application/json"}}},
        {"b": "{"},
        {"a": 1},
        "A is not allowed",
    ),
]


def parameter(where: str, schema: Any = STRING, name: str = "value", **fields: Any) -> Json:
    """A parameter object."""
    return {"name": name, "in": where, "schema": schema, **fields}


ARRAY = {"type": "array", "items": INTEGER, "maxItems": 2}
OBJECT = {"type": "object", "properties": {"a": INTEGER, "b": STRING}, "additionalProperties": False}
PATH = {"required": True}
MANY = "Value must have 2 items or less"

# A parameter, a request that it allows, the value of that, a request that it does not allow, and what is said.
# A request is what stands behind the path, and headers.
PARAMETERS: list[tuple[Json, tuple[str, Json], Any, tuple[str, Json], str]] = [
    (parameter("query", ARRAY), ("?value=1&value=2", {}), [1, 2], ("?value=1&value=2&value=3", {}), MANY),
    (parameter("query", ARRAY, explode=False), ("?value=1,2", {}), [1, 2], ("?value=1,2,3", {}), MANY),
    (
        parameter("query", ARRAY, explode=False),
        ("?value=1%2C2", {}),
        [1, 2],
        ("?value=1,x", {}),
        "An item of value must be an integer",
    ),
    (
        parameter("query", ARRAY, style="spaceDelimited", explode=False),
        ("?value=1%202", {}),
        [1, 2],
        ("?value=1+2+3", {}),
        MANY,
    ),
    (
        parameter("query", ARRAY, style="pipeDelimited", explode=False),
        ("?value=1|2", {}),
        [1, 2],
        ("?value=1%7C2%7C3", {}),
        MANY,
    ),
    (parameter("query", OBJECT), ("?a=1&b=x", {}), {"a": 1, "b": "x"}, ("?a=x", {}), "A must be an integer"),
    (
        parameter("query", OBJECT, explode=False),
        ("?value=a,1,b,x", {}),
        {"a": 1, "b": "x"},
        ("?value=a", {}),
        "Value must be pairs of a name and a value",
    ),
    (
        parameter("query", OBJECT, style="deepObject"),
        ("?value[a]=1", {}),
        {"a": 1},
        ("?value[c]=1", {}),
        "Value must not have members other than 'a' or 'b'",
    ),
    (
        parameter("query", {"type": "object", "additionalProperties": INTEGER}),
        ("?x=1&y=2", {}),
        {"x": 1, "y": 2},
        ("?x=y", {}),
        "A member of value must be an integer",
    ),
    (
        parameter("query", {"type": "boolean", "default": True}),
        ("", {}),
        True,
        ("?value=1", {}),
        "Value must be true or false",
    ),
    (parameter("query", STRING, required=True), ("?value=", {}), "", ("", {}), "Value is required"),
    (
        parameter("query", {"type": "number", "exclusiveMaximum": 1}),
        ("?value=0.5", {}),
        0.5,
        ("?value=1", {}),
        "Value must be less than 1",
    ),
    (
        parameter("path", {**INTEGER, "enum": [1, 2]}, **PATH),
        ("/2", {}),
        2,
        ("/3", {}),
        "Value must be 1 or 2",
    ),
    (parameter("path", ARRAY, **PATH), ("/1,2", {}), [1, 2], ("/1,2,3", {}), MANY),
    (
        parameter("path", ARRAY, style="label", explode=True, **PATH),
        ("/.1.2", {}),
        [1, 2],
        ("/1.2", {}),
        "Value must begin with '.'",
    ),
    (
        parameter("path", ARRAY, style="matrix", explode=True, **PATH),
        ("/;value=1;value=2", {}),
        [1, 2],
        ("/1", {}),
        "Value must begin with ';value='",
    ),
    (
        parameter("path", OBJECT, explode=True, **PATH),
        ("/a=1,b=x", {}),
        {"a": 1, "b": "x"},
        ("/a=x", {}),
        "A must be an integer",
    ),
    (parameter("header", ARRAY), ("", {"value": "1, 2"}), [1, 2], ("", {"value": "1,2,3"}), MANY),
    (
        parameter("header", OBJECT, explode=True),
        ("", {"value": "a=1"}),
        {"a": 1},
        ("", {"value": "c=1"}),
        "Value must not have members other than 'a' or 'b'",
    ),
    (
        parameter("header", {"format": "uuid"}, required=True),
        ("", {"value": "7f8ad2c4-6a1b-4d43-9d7e-1a2b3c4d5e6f"}),
        "7f8ad2c4-6a1b-4d43-9d7e-1a2b3c4d5e6f",
        ("", {}),
        "Value is required",
    ),
    (
        parameter("cookie", INTEGER),
        ("", {"cookie": "a=b; value=5"}),
        5,
        ("", {"cookie": "value=x"}),
        "Value must be an integer",
    ),
    (
        parameter("cookie", ARRAY, explode=False),
        ("", {"cookie": "value=1,2"}),
        [1, 2],
        ("", {"cookie": "value=1,2,3"}),
        MANY,
    ),
    (
        {"name": "value", "in": "query", "content": {"application/json": {"schema": OBJECT}}},
        ("?value=%7B%22a%22:1%7D", {}),
        {"a": 1},
        ("?value=%7B%7D%7D", {}),
        "Value must be valid JSON",
    ),
    ({"$ref": "#/components/parameters/Shared"}, ("?value=1", {}), 1, ("?value=2", {}), "One at most"),
]


@pytest.fixture(scope="module")
def client(start: Start) -> Any:
    """A client of the service with an operation for each of these bodies and parameters."""
    document = json.loads(contract_with({}))
    shared = {"maximum": 1, "x-messages": {"maximum": "One at most"}}
    document["components"]["parameters"]["Shared"] = parameter("query", {**INTEGER, **shared})
    handlers = ["", "async def _echo(_caller, **arguments):", "    return Answer(arguments)", ""]
    paths = {}
    for number, (schema, *_) in enumerate(BODIES):
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        paths[f"/bodies/{number}"] = {"post": echo(f"body_{number}", requestBody=body)}
        handlers.append(f"body_{number} = _echo")
    for number, (declared, *_) in enumerate(PARAMETERS):
        behind = "/{value}" if declared.get("in") == "path" else ""
        # Half of them stand with the path.
        item = {"get": echo(f"read_{number}", **({"parameters": [declared]} if number % 2 else {}))}
        paths[f"/parameters/{number}{behind}"] = item if number % 2 else {**item, "parameters": [declared]}
        handlers.append(f"read_{number} = _echo")
    service: Service = start(
        json.dumps({**document, "paths": {**document["paths"], **paths}}), "\n".join(handlers)
    )
    with service.client() as client:
        yield client


def echo(identifier: str, **fields: Any) -> Json:
    """An operation without security that answers what it was given."""
    return {
        "operationId": identifier,
        "security": [],
        "responses": {"200": {"description": "What was given"}, **refusing()},
        **fields,
    }


@pytest.mark.parametrize(("number", "case"), list(enumerate(BODIES)))
def test_a_body_is_held_to_its_schema(
    client: httpx.Client, number: int, case: tuple[Any, Any, Any, str]
) -> None:
    """A body that the edited schema allows reaches its handler, and another is refused with the rule."""
    _, good, bad, sentence = case
    headers = {"Content-Type": "application/json"}
    assert {"body": good} == client.post(
        f"/bodies/{number}", content=json.dumps(good), headers=headers
    ).json()
    refused = client.post(f"/bodies/{number}", content=json.dumps(bad), headers=headers)
    assert (400, {"error": sentence}) == (refused.status_code, refused.json())


@pytest.mark.parametrize(("number", "case"), list(enumerate(PARAMETERS)))
def test_a_parameter_is_read_as_declared(client: httpx.Client, number: int, case: tuple[Any, ...]) -> None:
    """A parameter is taken apart and typed as the edited contract says, and refused with the rule that it breaks."""
    _, (good, headers), value, (bad, bad_headers), sentence = case
    assert {"value": value} == client.get(f"/parameters/{number}{good}", headers=headers).json()
    refused = client.get(f"/parameters/{number}{bad}", headers=bad_headers)
    assert (400, {"error": sentence}) == (refused.status_code, refused.json())
