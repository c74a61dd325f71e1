"""A contract that cannot be served stops the start with one line that names the place and the fault."""

from pathlib import Path
from typing import Any

import pytest

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import ContractError, pointer_to
from openapi.bridge.service import ContractService
from openapi.contract import CONTRACT_FILE
from tests.support.contracts import Json, contract_of, document, edited, operation, project_with
from tests.support.running import SECRET, free_port, todo_api


def fault(text: str) -> str:
    """The line with which a contract is refused."""
    with pytest.raises(ContractError) as refused:
        Contract(text)
    line = str(refused.value)
    assert 1 == len(line.splitlines())
    return line


def fault_of(made: Json) -> str:
    """The line with which a document is refused."""
    with pytest.raises(ContractError) as refused:
        contract_of(made)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "line 1: the document is not a mapping"),
        ("- a", "line 1: the document is not a mapping"),
        ("a:\n\t- b", "line 2: this is not YAML: found character that cannot start any token"),
        ("a: [1", "line 2: this is not YAML: did not find expected ',' or ']'"),
        ("a: " + "1" * 5000, f"line 1: '{'1' * 5000}' is no float that JSON can hold"),
        ("a: *b", "line 1: this is not YAML: found undefined alias"),
        ("a: 1\n---\nb: 2", "line 2: this is not YAML: but found another document"),
        ("a: \x00", "this is not YAML: it holds a character that YAML does not allow"),
        ("a:\n  b: 1\n  c: 2\n  b: 3", "line 4: the key 'b' stands twice"),
        ("? [a]\n: 1", "line 1: a key is not a string"),
        ("a: &a\n  b: *a", "line 1: an alias stands within what it stands for"),
        ("a:\n  &a\n  - [*a]", "line 2: an alias stands within what it stands for"),
        ("a: !!int x", "line 1: 'x' is no int that JSON can hold"),
        ("a: !!float .inf", "line 1: '.inf' is no float that JSON can hold"),
        ("a:\n- 1e999", "line 2: '1e999' is no float that JSON can hold"),
        (
            "a: !!timestamp 2026-11-22",
            "line 1: this is not YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:timestamp'",
        ),
        (
            "a: !!python/name:os.system",
            "line 1: this is not YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/name:os.system'",
        ),
    ],
)
def test_what_is_not_the_yaml_of_openapi(text: str, expected: str) -> None:
    """A text that is not YAML, or holds what JSON could not, is refused by its line."""
    assert expected == fault(text)


@pytest.mark.parametrize("version", ["3.0.3", "3.1", "3.2.0", "three"])
def test_another_version(version: str) -> None:
    """Only OpenAPI 3.1 is served."""
    assert f"#/openapi: the version {version} is not supported; it must be 3.1.x" == fault(
        edited(("openapi: 3.1.0", f"openapi: {version}"))
    )
    assert "#/openapi: the version (missing) is not supported; it must be 3.1.x" == fault("info: {}")


ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
NO_NAME = "is no name that HTTP can have (RFC 9110, section 5.6.2)"
QUERY = {"name": "q", "in": "query", "schema": {}}
DONE = {"200": {"description": "Done"}}
THING = "#/paths/~1things~1{id}/get"


def of_operation(**fields: Any) -> Json:
    """A document whose one operation, `GET /things/{id}`, has these fields."""
    return document({"/things/{id}": {"get": {**operation(parameters=[ID]), **fields}}})


def with_schema(schema: Any) -> Json:
    """A document whose one operation has a parameter with this schema."""
    return of_operation(parameters=[ID, {**QUERY, "schema": schema}])


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (document(info={"version": "1"}), '#/info: "title" is a required property'),
        (document(info={"title": 5, "version": "1"}), '#/info/title: 5 is not of type "string"'),
        (document(paths=[]), '#/paths: [] is not of type "object"'),
        (
            document({"/a": {"$ref": "#/paths/~1b", "get": 5}, "/b": {}}),
            '#/paths/~1a/get: 5 is not of type "object"',
        ),
        (
            of_operation(parameters=[ID, {**QUERY, "in": "body"}]),
            f'{THING}/parameters/1/in: "body" is not one of "query", "header", "path", "cookie"',
        ),
        (
            of_operation(parameters=[ID, {"in": "query", "schema": {}}]),
            f'{THING}/parameters/1: "name" is a required property',
        ),
        (
            of_operation(parameters=[ID, {"name": "q", "in": "query"}]),
            f'{THING}/parameters/1: "schema" is a required property, or "content" is a required property',
        ),
        (
            of_operation(parameters=[ID, {**QUERY, "content": {"text/plain": {}}}]),
            f'{THING}/parameters/1: "content" and "schema" are not allowed together',
        ),
        (
            document(
                info={"title": "a", "version": "1", "license": {"name": "a", "identifier": "a", "url": "a"}}
            ),
            '#/info/license: "url" is not allowed together with the other members',
        ),
        (
            of_operation(responses={**DONE, "gone": {"description": "Gone"}}),
            f"{THING}/responses: 'gone' is not allowed here",
        ),
    ],
)
def test_the_grammar_of_openapi(made: Json, expected: str) -> None:
    """What the OpenAPI Initiative's own schema for 3.1 does not allow is refused by its place."""
    assert expected == fault_of(made)


# Python makes no number of so many.
DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"minLength": "one"}, '/minLength: "one" is not of type "integer"'),
        ({"required": "title"}, '/required: "title" is not of type "array"'),
        ({"items": [True]}, '/items: [true] is not of types "boolean", "object"'),
        ({"exclusiveMinimum": True}, '/exclusiveMinimum: true is not of type "number"'),
        ({"pattern": "^[^/+$"}, '/pattern: "^[^/+$" is not a "regex"'),
        ({"pattern": "[", "$pattern": "a"}, '/pattern: "[" is not a "regex"'),
        ({"pattern": "^[a-z]{5000}$", "allOf": 5}, '/allOf: 5 is not of type "array"'),
        ({"pattern": f"^.{{{DIGITS}}}$"}, f'/pattern: "^.{{{DIGITS}}}$" is not a "regex"'),
        ({"$ref": "::"}, '/$ref: "::" is not a "uri-reference"'),
        ({"$schema": "a b"}, '/$schema: "a b" is not a "uri"'),
        ({"x-messages": {"type": ["A", 5]}}, "/x-messages: it must hold sentences by keyword"),
        (
            {"discriminator": {"mapping": {}}},
            "/discriminator: it must have a propertyName, and references or names in its mapping",
        ),
    ],
)
def test_the_grammar_of_json_schema(schema: Json, expected: str) -> None:
    """What JSON Schema 2020-12 does not allow, a pattern that does not compile included, is refused by its place."""
    assert f"{THING}/parameters/1/schema{expected}" == fault_of(with_schema(schema))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            document(jsonSchemaDialect="draft-07"),
            "#/jsonSchemaDialect: it must be the URI of a dialect, such as "
            "https://spec.openapis.org/oas/3.1/dialect/base",
        ),
        (
            of_operation(parameters=[ID, {"$ref": "a b"}]),
            f"{THING}/parameters/1/$ref: 'a b' is no URI reference (RFC 3986)",
        ),
        (
            document(components={"responses": {"Forbidden": {"description": "", "x-message": 403}}}),
            "#/components/responses/Forbidden/x-message: it must be a sentence",
        ),
        (
            document(components={"responses": {"Large": {"description": "", "x-max-body-bytes": True}}}),
            "#/components/responses/Large/x-max-body-bytes: it must be a number of bytes",
        ),
        (
            document(**{"x-problem-types": ["a:"]}),
            "#/x-problem-types: it must be the beginning of a URI",
        ),
        (
            document(servers=[{"url": "/"}, {"url": "https://[::1/v1"}]),
            "#/servers/1/url: it is no URL (RFC 3986)",
        ),
        (
            of_operation(servers=[{"url": "https://[::1/v1"}]),
            f"{THING}/servers/0/url: it is no URL (RFC 3986)",
        ),
        (
            document(
                components={"securitySchemes": {"a": {"type": "apiKey", "in": "header", "name": "X Y"}}}
            ),
            f"#/components/securitySchemes/a/name: 'X Y' {NO_NAME}",
        ),
        (
            document(components={"securitySchemes": {"a": {"type": "http", "scheme": "ключ"}}}),
            f"#/components/securitySchemes/a/scheme: 'ключ' {NO_NAME}",
        ),
    ],
)
def test_what_stands_beside_the_grammars(made: Json, expected: str) -> None:
    """What is no URI, no sentence or no name where one must stand is refused by its place."""
    assert expected == fault_of(made)


OUT = "leads out of the document, which is not followed"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("#/components/schemas/Nope", "leads nowhere"),
        ("#nope", "leads nowhere"),
        ("common.yaml#/Status", OUT),
        ("https://example.com/status", OUT),
        ("file:///etc/passwd", OUT),
        ("#/paths/~1things~1%7Bid%7D/get/parameters/0", "leads to what is no schema"),
        ("#/info/title", "leads to what is no schema"),
        ("#/paths/~1things~1%7Bid%7D/get/parameters/1/schema", "leads back to itself"),
    ],
)
def test_a_reference_between_schemas(reference: str, expected: str) -> None:
    """A `$ref` in a schema that leads nowhere, elsewhere, to no schema or only to itself is refused by its place."""
    said = f"{THING}/parameters/1/schema: the $ref {reference!r} {expected}"
    assert said == fault_of(with_schema({"$ref": reference}))


def test_a_reference_below_an_id() -> None:
    """A `$ref` that is meant for the document, but stands below an `$id`, is refused with what it is relative to."""
    schema = {"$id": "https://example.com/a", "items": {"$ref": "#/info"}}
    said = "the $ref '#/info' leads nowhere below the $id https://example.com/a"
    assert f"{THING}/parameters/1/schema/items: {said}" == fault_of(with_schema(schema))


@pytest.mark.parametrize("further", [{"$ref": 5}, {"allOf": [{"$id": []}]}])
def test_a_reference_to_what_is_at_fault(further: Json) -> None:
    """A `$ref` that leads to a schema at fault is not reported beside the fault."""
    made = with_schema({"$ref": "#/components/schemas/Wrong"})
    made["components"] = {"schemas": {"Wrong": further}}
    assert fault_of(made).startswith("#/components/schemas/Wrong/")
    assert 1 == len(fault_of(made).splitlines())


def test_a_reference_to_what_is_no_object() -> None:
    """A `$ref` outside of schemas that leads to what is no object is not reported beside the fault."""
    made = of_operation(parameters=[ID, {"$ref": "#/components/parameters/Wrong"}])
    made["components"] = {"parameters": {"Wrong": 1.5}}
    assert all(
        line.startswith("#/components/parameters/Wrong: 1.5 is ") for line in fault_of(made).splitlines()
    )


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("#/components/responses/Nope", "leads nowhere"),
        ("#/info", "leads to what is not among responses"),
        ("common.yaml#/Gone", OUT),
    ],
)
def test_a_reference_between_other_objects(reference: str, expected: str) -> None:
    """A `$ref` to a response, as to a parameter, leads to one within the document, or is refused by its place."""
    made = of_operation(responses={"200": {"$ref": reference}})
    assert f"{THING}/responses/200: the $ref {reference!r} {expected}" == fault_of(made)


@pytest.mark.parametrize(
    ("components", "references"),
    [
        (
            {
                "parameters": {
                    "A": {"$ref": "#/components/parameters/B"},
                    "B": {"$ref": "#/components/parameters/A"},
                }
            },
            {
                "/parameters/A": "#/components/parameters/B",
                "/parameters/B": "#/components/parameters/A",
            },
        ),
        (
            {
                "schemas": {
                    "A": {"allOf": [{"$ref": "#/components/schemas/B"}]},
                    "B": {"if": {"dependentSchemas": {"x": {"$ref": "#/components/schemas/A"}}}},
                }
            },
            {
                "/schemas/A/allOf/0": "#/components/schemas/B",
                "/schemas/B/if/dependentSchemas/x": "#/components/schemas/A",
            },
        ),
    ],
)
def test_references_in_a_circle(components: Json, references: Json) -> None:
    """References that only lead to each other mean nothing, and are refused instead of followed for ever."""
    expected = {
        f"#/components{place}: the $ref {reference!r} leads back to itself"
        for place, reference in references.items()
    }
    assert expected == set(fault_of(document(components=components)).splitlines())


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            document({"/a": {"get": operation()}, "/b": {"put": operation()}}),
            "#/paths/~1b/put: the operationId 'act' stands at #/paths/~1a/get too",
        ),
        (of_operation(parameters=[]), f"{THING}: the path has the parameters ['id'], but [] are declared"),
        (
            of_operation(parameters=[ID, {**ID, "name": "nr"}]),
            f"{THING}: the path has the parameters ['id'], but ['id', 'nr'] are declared",
        ),
        (
            document({"/{id}/{id}": {"get": operation(parameters=[ID])}}),
            "#/paths/~1{id}~1{id}/get: the path has the parameters ['id', 'id'], but ['id'] are declared",
        ),
        (
            document({"/{}": {"get": operation()}}),
            "#/paths/~1{}/get: the path has a parameter without a name",
        ),
        (
            document({"/a/{b": {"get": operation()}}),
            "#/paths/~1a~1{b/get: the path has a brace that stands alone",
        ),
        (
            of_operation(parameters=[ID, QUERY, QUERY]),
            f"{THING}/parameters/2: the query parameter 'q' stands at {THING}/parameters/1 too",
        ),
        (
            of_operation(parameters=[ID, {**QUERY, "in": "header"}, {**QUERY, "in": "header", "name": "Q"}]),
            f"{THING}/parameters/2: the header parameter 'Q' stands at {THING}/parameters/1 too",
        ),
        (
            document(
                {
                    "/{a}": {"get": operation("a", parameters=[{**ID, "name": "a"}])},
                    "/{b}": {"put": operation("b", parameters=[{**ID, "name": "b"}])},
                }
            ),
            "#/paths/~1{b}: the same path stands at #/paths/~1{a} too",
        ),
    ],
)
def test_an_operation_that_cannot_be_served(made: Json, expected: str) -> None:
    """An operation without the parameters of its path, or with what another has, is refused by its place."""
    assert expected == fault_of(made)


BEARER = {"type": "http", "scheme": "Bearer"}


def test_security_that_is_not_declared() -> None:
    """A security requirement without a scheme of its name is refused, not passed over."""
    made = document({"/things": {"get": operation(security=[{"nope": []}])}})
    said = "the security requirement 'nope' is not among components.securitySchemes"
    assert f"#/paths/~1things/get: {said}" == fault_of(made)


TOKEN = {"components": {"securitySchemes": {"token": BEARER}}, "security": [{"token": []}]}


@pytest.mark.parametrize(
    ("template", "fields"),
    [
        ("/things/{id}", {"parameters": [{**ID, "x-owner": True}], "security": []}),
        ("/things/{id}/{k}", {"parameters": [{**ID, "name": name, "x-owner": True} for name in ("id", "k")]}),
    ],
)
def test_an_owner_must_be_one_who_is_known(template: str, fields: Json) -> None:
    """`x-owner` on two parameters, or where no token is asked for, is refused."""
    made = document({template: {"get": operation(**fields)}}, **TOKEN)
    said = "x-owner is for one path parameter of an operation with security"
    assert f"#{pointer_to('/paths', template, 'get')}: {said}" == fault_of(made)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        *(({"parameters": [{**ID, "x-owner": said}]}, "/parameters/0") for said in ("true", "Yes", "on", 1)),
        ({"parameters": [ID, {**QUERY, "x-owner": True}]}, "/parameters/1"),
        ({"parameters": [{**ID, "schema": {"x-owner": True}}]}, "/parameters/0/schema"),
        ({"parameters": [{"$ref": "#/components/parameters/Id", "x-owner": True}]}, "/parameters/0"),
        ({"parameters": [ID], "x-owner": True}, ""),
    ],
)
def test_an_owner_that_would_protect_nobody(fields: Json, place: str) -> None:
    """What means that a path is its owner's alone, and says so in another place or in another word than `true`, is
    refused: nobody would notice that the path is open."""
    made = document({"/things/{id}": {"get": operation(**fields)}}, **TOKEN)
    made["components"] = {**made["components"], "parameters": {"Id": ID}}
    assert f"{THING}{place}/x-owner: it must be true, and stand on a path parameter" == fault_of(made)


def no_caller(*_: object) -> Any:
    """What no operation gets to call."""
    raise NotImplementedError


def binding(made: Json, **handlers: Any) -> str:
    """The line with which a document is refused when its handlers are looked for."""
    with pytest.raises(ContractError) as refused:
        ContractService(contract_of(made), handlers.get, no_caller, {"bearer": no_caller}, no_caller)
    return str(refused.value)


def refusing(*names: str) -> Json:
    """The responses of an operation that answers 200 and refers to these refusals."""
    refusals = {
        str(400 + index): {"$ref": f"#/components/responses/{name}"} for index, name in enumerate(names)
    }
    return {**DONE, **refusals}


ALWAYS = ("BadRequest", "MethodNotAllowed", "InternalError")


def test_an_operation_without_a_handler() -> None:
    """An operation whose operationId no handler has is refused."""
    made = of_operation(responses=refusing(*ALWAYS))
    assert "GET /things/{id}: no handler has the name of the operationId 'act'" == binding(made)
    made["paths"]["/things/{id}"]["get"]["operationId"] = "get-it"
    expected = (
        "GET /things/{id}: no handler has the name of the operationId 'get-it', which is get_it in Python"
    )
    assert expected == binding(made)
    del made["paths"]["/things/{id}"]["get"]["operationId"]
    expected = "GET /things/{id}: it has no operationId, and no handler is called GET__things__id_"
    assert expected == binding(made)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (lambda caller: None, "got an unexpected keyword argument 'nr'"),
        (lambda nr: None, "multiple values for argument 'nr'"),
        (lambda caller, nr, more: None, "missing a required argument: 'more'"),
        (lambda **arguments: None, "too many positional arguments"),
    ],
)
def test_a_handler_that_cannot_take_the_parameters(handler: Any, reason: str) -> None:
    """A handler with other parameters than the operation is refused with both."""
    number = {**QUERY, "name": "nr"}
    made = document({"/things": {"get": operation(parameters=[number], responses=refusing(*ALWAYS))}})
    assert f"GET /things: the handler act cannot be called with (caller, nr): {reason}" == binding(
        made, act=handler
    )


def test_a_handler_that_would_block() -> None:
    """A handler that is not an async function, and so would hold up every other request, is refused."""
    made = of_operation(responses=refusing(*ALWAYS))
    assert "GET /things/{id}: the handler act must be an async function" == binding(
        made, act=lambda caller, **arguments: None
    )


def test_the_command_says_it_in_one_line(tmp_path: Path, database_url: str) -> None:
    """`todo-api serve` ends at once with the line on standard error, without a traceback."""
    project = project_with(edited(("operationId: get_task", "operationId: fetch_task")), tmp_path)
    expected = "GET /api/{user_id}/tasks/{id}: no handler has the name of the operationId 'fetch_task'"
    settings = {"DATABASE_URL": database_url, "AUTH_JWT_SECRET": SECRET.decode(), "PORT": str(free_port())}
    ended = todo_api("serve", cwd=project, PYTHONPATH=str(project), **settings)
    assert (1, "", f"error: openapi.yaml: {expected}\n") == (ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"title: \xe9"])
def test_a_contract_that_is_no_text(tmp_path: Path, content: bytes) -> None:
    """A file that is not UTF-8 is refused."""
    file = tmp_path / "openapi.yaml"
    file.write_bytes(content)
    with pytest.raises(ContractError, match=r"^the file is not UTF-8 text$"):
        Contract.load(file)


def test_a_contract_that_cannot_be_read(tmp_path: Path) -> None:
    """Of a file that is missing, or is a folder, the system's reason is given."""
    for file, reason in (
        (tmp_path / "openapi.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(ContractError, match=f"^the file cannot be read: {reason}$"):
            Contract.load(file)


def test_a_contract_without_end(tmp_path: Path) -> None:
    """Of a file that is larger than any contract no more is read than shows that."""
    file = tmp_path / "openapi.yaml"
    with file.open("wb") as written:
        written.truncate(2**40)
    with pytest.raises(ContractError, match=r"^the file is larger than \d+ bytes$"):
        Contract.load(file)


def test_the_contract_of_the_service_is_right() -> None:
    """The service's own contract passes, and is published as it is in the file."""
    assert CONTRACT_FILE.read_bytes() == Contract.load(CONTRACT_FILE).text.encode()
