"""What an edited contract asks of bodies and parameters is kept by the real service, with no change in it.

A case of each kind: every keyword is in `test_sentences.py` and every style in `test_parameters.py`.

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
    ({"pattern": r"^\p{Lu}+$"}, "ÄB", "äb", r"The request body must match the pattern ^\p{Lu}+$"),
    ({"enum": ["a", 1, None]}, None, "b", "The request body must be 'a' or 1 or null"),
    ({"not": {"required": ["a"]}}, {"b": 1}, {"a": 1}, "The request body breaks the contract's rule 'not'"),
    (
        {"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}, "else": {"required": ["c"]}},
        {"a": 2, "c": 3},
        {"a": 1, "c": 3},
        "B is required",
    ),
    (
        {"items": {"multipleOf": 0.1}},
        [0.3, 4],
        [0.35],
        "An item of the request body must be a multiple of 0.1",
    ),
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
    (
        parameter("query", ARRAY, style="spaceDelimited", explode=False),
        ("?value=1%202", {}),
        [1, 2],
        ("?value=1+2+3", {}),
        MANY,
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
        parameter("path", {**INTEGER, "enum": [1, 2]}, **PATH),
        ("/2", {}),
        2,
        ("/3", {}),
        "Value must be 1 or 2",
    ),
    (
        parameter("path", ARRAY, style="matrix", explode=True, **PATH),
        ("/;value=1;value=2", {}),
        [1, 2],
        ("/1", {}),
        "Value must begin with ';value='",
    ),
    (parameter("header", ARRAY), ("", {"value": "1, 2"}), [1, 2], ("", {"value": "1,2,3"}), MANY),
    (
        parameter("cookie", INTEGER),
        ("", {"cookie": "a=b; value=5"}),
        5,
        ("", {"cookie": "value=x"}),
        "Value must be an integer",
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
