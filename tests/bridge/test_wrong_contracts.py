"""A contract that cannot be served stops the start with one line that names the place and the fault."""

from pathlib import Path
from typing import Any

import pytest

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import ContractError
from openapi.bridge.service import ContractService
from openapi.contract import CONTRACT_FILE
from tests.support.contracts import Json, contract_of, document, edited, operation, project_with
from tests.support.running import SECRET, free_port, todo_api

GET_TASK = "#/paths/~1api~1{user_id}~1tasks~1{id}/get"
LIST_TASKS = "#/paths/~1api~1{user_id}~1tasks/get"
STATUS = "$ref: '#/components/schemas/Status'"


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


@pytest.mark.parametrize("version", ["3.0.3", "3.1", "3.2.0", "2.0", "'3.1.'", "three"])
def test_another_version(version: str) -> None:
    """Only OpenAPI 3.1 is served."""
    said = version.strip("'")
    assert f"#/openapi: the version {said} is not supported; it must be 3.1.x" == fault(
        edited(("openapi: 3.1.0", f"openapi: {version}"))
    )
    assert "#/openapi: the version (missing) is not supported; it must be 3.1.x" == fault("info: {}")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  title: todo-api\n", "", '#/info: "title" is a required property'),
        ("  title: todo-api\n", "  title: 5\n", '#/info/title: 5 is not of type "string"'),
        ("\npaths:", "\npaths: []\nx-paths:", '#/paths: [] is not of type "object"'),
        (
            "in: query",
            "in: body",
            f'{LIST_TASKS}/parameters/0/in: "body" is not one of "query", "header" or 2 other candidates',
        ),
        (
            "- name: status\n          in",
            "- in",
            f'{LIST_TASKS}/parameters/0: "name" is a required property',
        ),
        (
            "        '204':\n",
            "        'gone':\n",
            "#/paths/~1api~1{user_id}~1tasks~1{id}/delete/responses: "
            "Unevaluated properties are not allowed ('gone' was unexpected)",
        ),
    ],
)
def test_the_grammar_of_openapi(old: str, new: str, expected: str) -> None:
    """What the OpenAPI Initiative's own schema for 3.1 does not allow is refused by its place."""
    assert expected == fault(edited((old, new)))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "minLength: 1\n      maxLength: 255",
            "minLength: one",
            '#/components/schemas/UserId/minLength: "one" is not of type "integer"',
        ),
        (
            "required: [title]",
            "required: title",
            '#/components/schemas/TaskCreate/required: "title" is not of type "array"',
        ),
        (
            "items:\n                  $ref: '#/components/schemas/Task'",
            "items: [true]",
            f"{LIST_TASKS}/responses/200/content/application~1json/schema/items: "
            '[true] is not of types "boolean", "object"',
        ),
        (
            "minimum: 1\n",
            "exclusiveMinimum: true\n",
            f'{LIST_TASKS}/parameters/3/schema/exclusiveMinimum: true is not of type "number"',
        ),
        (
            r"pattern: '^[^/\u0000]+$'",
            "pattern: '^[^/+$'",
            '#/components/schemas/UserId/pattern: "^[^/+$" is not a "regex"',
        ),
        (
            "https://spec.openapis.org/oas/3.1/dialect/base",
            "http://json-schema.org/draft-07/schema#",
            "#/jsonSchemaDialect: the only dialect is JSON Schema 2020-12, "
            "as https://spec.openapis.org/oas/3.1/dialect/base",
        ),
        (
            "maxLength: Title must be {maxLength} characters or less",
            "maxLength: [Title, 255]",
            "#/components/schemas/Title/x-messages: it must hold sentences by keyword",
        ),
        (
            "x-message: Forbidden",
            "x-message: 403",
            "#/components/responses/Forbidden/x-message: it must be a sentence",
        ),
    ],
)
def test_the_grammar_of_json_schema(old: str, new: str, expected: str) -> None:
    """What JSON Schema 2020-12 does not allow, a pattern that does not compile included, is refused by its place."""
    assert expected == fault(edited((old, new)))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            STATUS,
            "$ref: '#/components/schemas/Nope'",
            "schema: the $ref '#/components/schemas/Nope' leads nowhere",
        ),
        (STATUS, "$ref: '#nope'", "schema: the $ref '#nope' leads nowhere"),
        (
            STATUS,
            "$ref: 'common.yaml#/Status'",
            "schema: the $ref 'common.yaml#/Status' leads out of the document, which is not followed",
        ),
        (
            STATUS,
            "$ref: https://example.com/status",
            "schema: the $ref 'https://example.com/status' leads out of the document, which is not followed",
        ),
        (
            STATUS,
            "$ref: file:///etc/passwd",
            "schema: the $ref 'file:///etc/passwd' leads out of the document, which is not followed",
        ),
        (STATUS, "$ref: '::'", 'schema/$ref: "::" is not a "uri-reference"'),
        (
            STATUS,
            "$ref: '#/components/parameters/TaskId'",
            "schema: the $ref '#/components/parameters/TaskId' leads to what is no schema",
        ),
        (STATUS, "$ref: '#/info/title'", "schema: the $ref '#/info/title' leads to what is no schema"),
        (
            STATUS,
            "$ref: '#/paths/~1api~1%7Buser_id%7D~1tasks/get/parameters/0/schema'",
            "schema: the $ref '#/paths/~1api~1%7Buser_id%7D~1tasks/get/parameters/0/schema' leads back to itself",
        ),
    ],
)
def test_a_reference_between_schemas(old: str, new: str, expected: str) -> None:
    """A `$ref` in a schema that leads nowhere, elsewhere, to no schema or only to itself is refused by its place."""
    assert f"{LIST_TASKS}/parameters/0/{expected}" == fault(edited((old, new)))


@pytest.mark.parametrize(
    ("old", "new", "place", "expected"),
    [
        ("parameters/UserId'", "parameters/Nope'", "parameters/0", "leads nowhere"),
        ("parameters/UserId'", "schemas/UserId'", "parameters/0", "leads to what is not among parameters"),
        ("responses/BadRequest'", "responses/Nope'", "get/responses/400", "leads nowhere"),
        (
            "responses/BadRequest'",
            "schemas/Refusal'",
            "get/responses/400",
            "leads to what is not among responses",
        ),
    ],
)
def test_a_reference_between_other_objects(old: str, new: str, place: str, expected: str) -> None:
    """A `$ref` to a parameter or response leads to one, and is refused by its place where it does not."""
    reference = f"#/components/{new.rstrip(chr(39))}"
    assert f"#/paths/~1api~1{{user_id}}~1tasks/{place}: the $ref {reference!r} {expected}" == fault(
        edited((f"#/components/{old}", f"#/components/{new}"))
    )


def test_a_reference_out_of_the_document() -> None:
    """A `$ref` to a parameter in another file is refused rather than fetched."""
    text = edited(("'#/components/parameters/UserId'", "'common.yaml#/UserId'"))
    place = "#/paths/~1api~1{user_id}~1tasks/parameters/0"
    said = "the $ref 'common.yaml#/UserId' leads out of the document, which is not followed"
    assert f"{place}: {said}" == fault(text)


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


def of_operation(**fields: Any) -> Json:
    """A document whose one operation, `GET /things/{id}`, has these fields."""
    return document({"/things/{id}": {"get": {**operation(parameters=[ID]), **fields}}})


ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
QUERY = {"name": "q", "in": "query", "schema": {}}
DONE = {"200": {"description": "Done"}}
THING = "#/paths/~1things~1{id}/get"


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
        (
            of_operation(servers=[{"url": "/{stage}"}]),
            f"{THING}/servers/0: the variable 'stage' has no default",
        ),
        (
            document(servers=[{"url": "/{stage}"}]),
            "#/servers/0: the variable 'stage' has no default",
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


@pytest.mark.parametrize(
    "fields",
    [
        {"parameters": [{**ID, "x-owner": True}]},
        {"parameters": [ID, {**QUERY, "x-owner": True}], "security": [{"token": []}]},
        {"parameters": [{**ID, "x-owner": True}, {**QUERY, "x-owner": True}], "security": [{"token": []}]},
    ],
)
def test_an_owner_must_be_one_who_is_known(fields: Json) -> None:
    """`x-owner` on what is no path parameter, on two, or where no token is asked for, is refused."""
    made = document(
        {"/things/{id}": {"get": operation(**fields)}}, components={"securitySchemes": {"token": BEARER}}
    )
    assert f"{THING}: x-owner is for one path parameter of an operation with security" == fault_of(made)


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


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "operationId: get_task",
            "operationId: fetch_task",
            "GET /api/{user_id}/tasks/{id}: no handler has the name of the operationId 'fetch_task'",
        ),
        (
            "- name: status\n          in: query",
            "- name: state\n          in: query",
            "GET /api/{user_id}/tasks: the handler list_tasks cannot be called with "
            "(caller, state, q, sort, limit, cursor): missing a required argument: 'status'",
        ),
        (
            "operationId: get_task",
            "operationId: list_tasks",
            f"{GET_TASK}: the operationId 'list_tasks' stands at {LIST_TASKS} too",
        ),
        ("\ninfo:", "\ninfo: [", "line 6: this is not YAML: did not find expected ',' or ']'"),
    ],
)
def test_the_command_says_it_in_one_line(
    tmp_path: Path, database_url: str, old: str, new: str, expected: str
) -> None:
    """`todo-api serve` ends at once with the line on standard error, without a traceback."""
    project = project_with(edited((old, new)), tmp_path)
    settings = {"DATABASE_URL": database_url, "AUTH_JWT_SECRET": SECRET.decode(), "PORT": str(free_port())}
    ended = todo_api("serve", cwd=project, PYTHONPATH=str(project), **settings)
    assert (1, "", f"error: openapi.yaml: {expected}\n") == (ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"title: \xe9"])
def test_a_contract_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    """A file that is missing or is not UTF-8 is told by its name."""
    file = tmp_path / "openapi.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ContractError, match=r"^the file cannot be read as UTF-8 text$"):
        Contract.load(file)


def test_the_contract_of_the_service_is_right() -> None:
    """The service's own contract passes, and is published as it is in the file."""
    assert CONTRACT_FILE.read_bytes() == Contract.load(CONTRACT_FILE).text.encode()
