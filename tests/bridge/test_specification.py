"""Documents in OpenAPI 3.1 as they are served: paths, methods, servers, references and owners."""

from typing import Any

import pytest

from openapi.bridge.answers import Answer
from openapi.bridge.failures import BadRequest, PathNotFound
from openapi.bridge.routing import check_path_encoding
from tests.support.contracts import Json, contract_of, document
from tests.support.serving import BEARER, operation, parameter, serve, signed_in, told

PRECEDENCE = {
    "/things/{id}": {"get": operation("one", parameters=[parameter("id")])},
    "/{kind}/mine": {"get": operation("mine", parameters=[parameter("kind")])},
    "/{kind}/{id}": {"put": operation("any", parameters=[parameter("kind"), parameter("id")])},
    "/things/mine": {"post": operation("new")},
    "/things/{id}.json": {"get": operation("file", parameters=[parameter("id")])},
}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/things/mine", {"operation": "new"}),
        ("GET", "/things/yours", {"operation": "one", "id": "yours"}),
        ("GET", "/other/mine", {"operation": "mine", "kind": "other"}),
        ("PUT", "/other/yours", {"operation": "any", "kind": "other", "id": "yours"}),
        ("GET", "/things/1.json", {"operation": "file", "id": "1"}),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_the_more_specific_path_is_meant(method: str, path: str, expected: Json, order: int) -> None:
    """A path that is written out is matched before one with parameters, in whatever order they stand."""
    assert expected == told(serve(dict(list(PRECEDENCE.items())[::order]))(method, path))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/1...2.json/c", {"x": "1", "y": "2", "z": "json"}),
        ("/a/v1.0....2.tar.json/c", {"x": "v1.0.", "y": "2.tar", "z": "json"}),
        ("/a/......./c", {"x": ".", "y": ".", "z": "."}),
        ("/a/....../c", None),
        ("/a/1...2./c", None),
        ("/a/1...2.json/d", None),
        pytest.param(f"/a/{30_000 * '.'}/d", None, id="long"),
    ],
)
def test_several_parameters_between_two_slashes(path: str, expected: Json | None) -> None:
    """Of several parameters in a segment the first takes as much as it can, which is found in linear time: the test
    would not end otherwise."""
    names = [parameter(name) for name in "xyz"]
    send = serve({"/a/{x}...{y}.{z}/c": {"get": operation("a", parameters=names)}})
    answer = send("GET", path)
    assert (expected and {"operation": "a", **expected}) == (told(answer) if answer.is_success else None)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/things/mine", "POST"),
        ("PUT", "/things/mine", "POST"),
        ("DELETE", "/things/1", "GET, HEAD"),
        ("PUT", "/things/1", "GET, HEAD"),
        ("POST", "/a/b", "PUT"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_a_path_has_its_own_methods(method: str, path: str, allow: str, order: int) -> None:
    """A method that the matching path does not take is 405 with that path's methods, whatever another would take."""
    response = serve(dict(list(PRECEDENCE.items())[::order]))(method, path)
    assert (405, allow) == (response.status_code, response.headers["Allow"])


@pytest.mark.parametrize(
    "path", ["/things/", "//things/1", "/things/1/", "/nothing", "/", "/things/mine/more"]
)
def test_a_path_is_exact(path: str) -> None:
    """A path with a slash more or less is another path, and nobody is redirected."""
    assert 404 == serve(PRECEDENCE)("GET", path).status_code


def test_head_is_answered_as_get_or_as_declared() -> None:
    """HEAD stands beside GET, unless the contract has an operation for it."""
    beside = serve({"/things": {"get": operation("read")}})
    assert (200, 405) == (beside("HEAD", "/things").status_code, beside("POST", "/things").status_code)
    declared = serve({"/things": {"get": operation("read"), "head": operation("look")}})
    assert "look" == declared("HEAD", "/things").headers["Operation"]
    assert "read" == declared("GET", "/things").headers["Operation"]
    assert "GET, HEAD" == declared("PUT", "/things").headers["Allow"]


def test_head_builds_no_body() -> None:
    """What could not be written as JSON costs GET a fault and HEAD nothing, since nobody would see it."""

    async def read(_: object) -> Answer[object]:
        return Answer(object(), {"Link": "</next>"})

    send = serve({"/things": {"get": operation("read")}}, find=lambda _: read)
    assert (500, 200) == (send("GET", "/things").status_code, send("HEAD", "/things").status_code)
    assert "</next>" == send("HEAD", "/things").headers["Link"]


def test_path_parameters_may_have_hyphens() -> None:
    """A path parameter with a hyphen in its name reaches its handler, and its rules hold."""
    number = parameter("task-id", schema={"type": "integer"})
    send = serve({"/tasks/{task-id}": {"get": operation("act", parameters=[number])}})
    assert {"operation": "act", "task_id": 5} == told(send("GET", "/tasks/5"))
    assert {"error": "Task-id must be an integer"} == send("GET", "/tasks/x").json()


def test_a_path_may_be_percent_encoded_in_the_contract() -> None:
    """A path that the contract writes percent-encoded is the path that it stands for."""
    assert {"operation": "menu"} == told(
        serve({"/caf%C3%A9": {"get": operation("menu")}})("GET", "/caf%C3%A9")
    )


@pytest.mark.parametrize(
    ("fields", "path_fields", "operation_fields", "base"),
    [
        ({}, {}, {}, ""),
        ({"servers": []}, {}, {}, ""),
        ({"servers": [{"url": "/"}]}, {}, {}, ""),
        ({"servers": [{"url": "/v1"}, {"url": "/v2"}]}, {}, {}, "/v1"),
        ({"servers": [{"url": "https://api.example.com/v1/"}]}, {}, {}, "/v1"),
        (
            {
                "servers": [
                    {
                        "url": "/{stage}/{v}",
                        "variables": {"stage": {"default": "live"}, "v": {"default": "1"}},
                    }
                ]
            },
            {},
            {},
            "/live/1",
        ),
        ({"servers": [{"url": "/v1"}]}, {"servers": [{"url": "/v2"}]}, {}, "/v2"),
        ({"servers": [{"url": "/v1"}]}, {"servers": [{"url": "/v2"}]}, {"servers": [{"url": "/v3"}]}, "/v3"),
    ],
)
def test_the_first_server_says_where_the_paths_begin(
    fields: Json, path_fields: Json, operation_fields: Json, base: str
) -> None:
    """The path of the first server, of the operation before that of its path and of the document, leads the path."""
    send = serve({"/things": {"get": operation("read", **operation_fields), **path_fields}}, **fields)
    assert {"operation": "read"} == told(send("GET", f"{base}/things"))
    assert 404 == send("GET", f"{base}/v0/things").status_code


def test_what_is_referred_to_is_served() -> None:
    """Path items, to which a path may add, parameters, bodies and security schemes may stand in the components."""
    components = {
        "pathItems": {
            "Things": {
                "parameters": [{"$ref": "#/components/parameters/Id"}],
                "put": operation(
                    "change",
                    requestBody={"$ref": "#/components/requestBodies/Thing"},
                    security=[{"other": []}],
                    callbacks={"done": {"x-note": 1}},
                ),
            }
        },
        "parameters": {
            "Id": {"$ref": "#/components/parameters/Number"},
            "Number": parameter("id", schema={"$ref": "#/components/schemas/Number"}),
        },
        "requestBodies": {
            "Thing": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Number"}}}}
        },
        "schemas": {"Number": {"type": "integer"}},
        "securitySchemes": {"token": BEARER, "other": {"$ref": "#/components/securitySchemes/token"}},
    }
    item = {"$ref": "#/components/pathItems/Things", "get": operation("look")}
    send = serve({"/things/{id}": item}, components=components)
    assert {"operation": "look", "id": 5} == told(send("GET", "/things/5"))
    assert {"operation": "change", "caller": "alice", "id": 5, "body": 6} == told(
        send("PUT", "/things/5", json=6, headers=signed_in("alice"))
    )
    assert {"error": "Id must be an integer"} == send(
        "PUT", "/things/x", json=6, headers=signed_in("alice")
    ).json()
    assert 401 == send("PUT", "/things/5", json=6).status_code


def test_an_operations_parameter_replaces_the_paths() -> None:
    """Of two parameters with the same name and place, the operation's is meant; elsewhere the name is another's."""
    limit = parameter("limit", "query", schema={"type": "integer", "maximum": 10})
    more = parameter("limit", "query", schema={"type": "integer", "maximum": 20})
    item = {"parameters": [limit], "get": operation("few"), "put": operation("many", parameters=[more])}
    send = serve({"/things": item})
    assert {"error": "Limit must be 10 or less"} == send("GET", "/things?limit=21").json()
    assert {"error": "Limit must be 20 or less"} == send("PUT", "/things?limit=21").json()


def test_a_recursive_schema_is_no_endless_one() -> None:
    """Schemas that refer to themselves work in bodies and parameters, siblings of the reference included."""
    tree = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree", "minProperties": 1}},
            "twin": {"$ref": "#/components/schemas/Twin"},
        },
        "additionalProperties": False,
    }
    twin = {"type": "object", "properties": {"tree": {"$ref": "#/components/schemas/Tree"}}}
    content = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tree"}}}}
    query = {"name": "tree", "in": "query", **content}
    send = serve(
        {"/trees": {"post": operation("plant", requestBody=content, parameters=[query])}},
        components={"schemas": {"Tree": tree, "Twin": twin}},
    )
    planted = {"children": [{"name": "a", "children": []}, {"twin": {"tree": {"name": "b"}}}]}
    assert {"operation": "plant", "body": planted} == told(send("POST", "/trees", json=planted))
    wrong = {"children": [{"twin": {"tree": {"name": 5}}}]}
    assert {"error": "Name must be a string"} == send("POST", "/trees", json=wrong).json()
    assert {"error": "Name must be a string"} == send(
        "POST", "/trees?tree=%7B%22name%22:5%7D", json={}
    ).json()
    bare = {"children": [{}]}
    assert {"error": "An item of children must have 1 member or more"} == send(
        "POST", "/trees", json=bare
    ).json()


SECURITY = {
    "/inherited": {"get": operation("inherited")},
    "/public": {"get": operation("public", security=[])},
    "/optional": {"get": operation("optional", security=[{}, {"token": []}])},
    "/mine/{user}": {"get": operation("mine", parameters=[parameter("user", **{"x-owner": True})])},
    "/perhaps/{user}": {
        "get": operation(
            "perhaps", parameters=[parameter("user", **{"x-owner": True})], security=[{"token": []}, {}]
        )
    },
}


@pytest.mark.parametrize(
    ("path", "anonymous", "alice"),
    [
        ("/inherited", 401, {"operation": "inherited", "caller": "alice"}),
        ("/public", {"operation": "public"}, {"operation": "public"}),
        ("/optional", {"operation": "optional"}, {"operation": "optional", "caller": "alice"}),
        ("/mine/alice", 401, {"operation": "mine", "caller": "alice"}),
        ("/mine/bob", 401, 403),
        ("/perhaps/alice", 403, {"operation": "perhaps", "caller": "alice"}),
        ("/perhaps/bob", 403, 403),
    ],
)
def test_security_is_the_operations_or_the_documents(path: str, anonymous: Any, alice: Any) -> None:
    """An operation has the document's security unless it has its own, which may ask for nothing or for either."""
    send = serve(SECURITY, security=[{"token": []}])
    for headers, expected in (({}, anonymous), (signed_in("alice"), alice)):
        response = send("GET", path, headers=headers)
        assert expected == (told(response) if isinstance(expected, dict) else response.status_code)


def test_what_needs_a_token_is_told() -> None:
    """An operation is secured unless it asks for nothing, or makes the token a matter of choice."""
    contract = contract_of(
        document(
            SECURITY,
            security=[{"token": []}],
            components={"securitySchemes": {"token": BEARER}},
        )
    )
    secured = {identifier for identifier, operation in contract.operations.items() if operation.secured}
    assert {"inherited", "mine"} == secured


@pytest.mark.parametrize("path", [b"/a%20b", b"/%41", b"/caf%C3%A9", b"/%25", b"/%2e%2e", b"/%00", b"/%0Aa"])
def test_an_encoded_path_passes(path: bytes) -> None:
    """Percent-encoded UTF-8 that keeps its segments is a path like any other."""
    check_path_encoding(path)


@pytest.mark.parametrize("path", [b"/%", b"/%2", b"/%zz", b"/a%ffb", b"/%C3", b"/%ED%A0%80", b"/%\xc3\xa9"])
def test_a_broken_encoding_is_told(path: bytes) -> None:
    """A broken escape, or escapes that are not UTF-8, is 400."""
    with pytest.raises(BadRequest) as refused:
        check_path_encoding(path)
    assert "The path must be percent-encoded UTF-8" == refused.value.reason


@pytest.mark.parametrize("path", [b"/a%2Fb", b"/a%2fb"])
def test_an_encoded_separator_is_no_part_of_a_path(path: bytes) -> None:
    """A slash that is encoded would be taken for a separator, so there is no such path."""
    with pytest.raises(PathNotFound):
        check_path_encoding(path)


def test_a_line_break_at_the_end_belongs_to_the_last_parameter() -> None:
    """An encoded line break at the end is the parameter's, as it is within; after a written-out path it is no path."""
    identifier = parameter("id", "path", required=True, schema={"type": "string"})
    send = serve(
        {
            "/things": {"get": operation("list")},
            "/things/{id}": {"get": operation("read", parameters=[identifier])},
            "/things/{id}/parts": {"get": operation("parts", parameters=[identifier])},
        }
    )
    assert "a\n" == send("GET", "/things/a%0A").json()["id"]
    assert [404, 404] == [send("GET", path).status_code for path in ("/things%0A", "/things/a/parts%0A")]


def test_all_that_is_wrong_with_a_request_is_listed() -> None:
    """Who names `application/problem+json` gets the violations of all parameters and the body together (RFC 9457)."""
    body = {"content": {"application/json": {"schema": {"type": "object", "required": ["name"]}}}}
    parameters = [parameter(name, "query", schema={"type": "integer"}) for name in ("a", "b")]
    send = serve({"/things": {"post": operation("act", parameters=parameters, requestBody=body)}})
    accept = {"Accept": "application/problem+json"}
    problem = send("POST", "/things?a=x&b=y&c=z", json={}, headers=accept).json()
    unknown = "Unknown query parameter. Known here: 'a', 'b'"
    assert unknown == problem["detail"]
    assert [
        {"parameter": "c", "code": "unknown", "detail": unknown},
        {"parameter": "a", "code": "type", "detail": "A must be an integer"},
        {"parameter": "b", "code": "type", "detail": "B must be an integer"},
        {"pointer": "/name", "code": "required", "detail": "Name is required"},
    ] == problem["errors"]
