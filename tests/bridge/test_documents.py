"""Documents of other people: all that are right are taken, also split over files, and each fault is named."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import ContractError
from openapi.bridge.mock.answers import ExampleAnswers, Wish
from tests.support.contracts import VECTORS, Json, contract_of, document, operation
from tests.support.running import todo_api

FOLDER = VECTORS / "openapi_3_1"
SKIPPED = pytest.mark.skip("the documents of other people are not there (TEST_VECTORS)")

# What may be refused with the place: a parameter that the template lacks, a reference to the network.
REFUSED = {
    "oaipass-operation-object-example.yaml": "#/paths/~1pets~1{id}/put: the path has the parameters ['id'], but",
    "oaipass-security-scheme-object-examples.yaml": "#/components/securitySchemes/external: the $ref",
}


def documents() -> list[Any]:
    """Every document of other people, or one that is skipped where there are none."""
    found = [*FOLDER.glob("*.*"), *FOLDER.glob("specification/*"), *FOLDER.glob("split/openapi.yaml")]
    taken = [pytest.param(path, id=path.stem) for path in sorted(found) if path.name not in REFUSED]
    return taken or [pytest.param(FOLDER, marks=SKIPPED)]


@pytest.mark.parametrize("path", documents())
def test_a_valid_document_is_taken(path: Path) -> None:
    """What others have published, and what the specification shows, is a contract; so is what we publish of it."""
    contract = Contract.load(path)
    assert contract.operations.keys() == Contract(contract.text).operations.keys()


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the documents of other people are not there (TEST_VECTORS)")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_served_is_named(name: str) -> None:
    """A document that needs more than there is here is refused by the place."""
    with pytest.raises(ContractError) as refused:
        Contract.load(FOLDER / "specification" / name)
    assert refused.value.problems[0].startswith(REFUSED[name])


def test_a_path_that_no_request_can_have() -> None:
    """A path with `#` is named, and the rest is served."""
    contract = Contract(json.dumps(document({"/a#b": {"get": operation()}, "/a": {"get": operation("b")}})))
    assert (["b"], 1) == (list(contract.operations), len(contract.notes))
    assert "#/paths/~1a#b: left out, since no request can have a path with '#' or '?'" == contract.notes[0]


@pytest.mark.parametrize("name", ["{id}", "50%", "a#b", "ä b", "a&b"])
def test_a_reference_may_be_written_as_the_names_are(name: str) -> None:
    """A pointer may hold what a URI would have to encode, such as the braces of a path."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/Thing/properties/{name}"}}}
    made = operation(responses={"200": {"description": "Done", "content": content}})
    things = {"schemas": {"Thing": {"properties": {name: {"const": 5}}}}}
    contract = contract_of(document({"/a": {"get": made}}, components=things))
    pointer = "/paths/~1a/get/responses/200/content/application~1json/schema"
    assert {"const": 5} == contract.schemas.at(pointer).end().node


def test_what_other_tools_say_of_responses() -> None:
    """An extension among the responses is none of them, and one of our names says nothing of a response without one."""
    response = {"description": "Done", "x-message": {"en": "Done"}, "x-max-body-bytes": "1 MB"}
    made = operation(responses={"200": response, "x-foo": {"$ref": "elsewhere.yaml"}})
    assert ["200"] == list(contract_of(document({"/a": {"get": made}})).operations["act"].responses)


def test_a_server_whose_path_nobody_knows() -> None:
    """A variable without a default in a server's path is named, and the paths are served without the server's."""
    servers = [{"url": "https://{host}/v1/{stage}"}]
    contract = Contract(json.dumps(document({"/a": {"get": operation()}}, servers=servers)))
    assert "/a" == contract.operations["act"].path
    assert ["#/servers/0: its path is left out, since a variable in it has no default"] == contract.notes


def test_a_header_that_no_message_can_have() -> None:
    """A header whose name is no token is named, and is neither asked for nor sent."""
    header = {"required": True, "schema": {"type": "string"}}
    responses = {"200": {"description": "Done", "headers": {"X\nY": header, "X-Z": header}}}
    parameter = {"name": "X-Ключ", "in": "header", **header}
    parameters = [parameter, {"$ref": "#/components/parameters/A", "in": "header"}]
    made = operation(parameters=parameters, responses=responses)
    other = {"name": "a", "in": "query", "schema": {}}
    contract = contract_of(document({"/a": {"get": made}}, components={"parameters": {"A": other}}))
    sentence = "is left out, since no message can have this name"
    assert [
        f"#/paths/~1a/get/parameters/0: the header 'X-Ключ' {sentence}",
        f"#/paths/~1a/get/responses/200: the header 'X\\nY' {sentence}",
    ] == contract.notes
    assert ["a"] == [place.node["name"] for place in contract.operations["act"].parameters]
    assert {"X-Z": "text"} == ExampleAnswers(contract).answer(contract.operations["act"], Wish()).headers


def test_a_link_that_leads_to_no_operation() -> None:
    """A link to an operationId that nothing has is named, and the document is served all the same."""
    links = {name: {"operationId": name} for name in ("act", "hook", "gone")}
    made = operation(responses={"200": {"description": "Done", "links": links}})
    webhooks = {"a": {"post": operation("hook")}}
    contract = contract_of(document({"/a": {"get": made}}, webhooks=webhooks))
    place = "#/paths/~1a/get/responses/200/links/gone"
    assert [f"{place}: no operation has the operationId 'gone'"] == contract.notes


def test_references_may_lead_far() -> None:
    """A chain of references is followed however long it is, and what many of them lead to is looked at once."""
    far = {f"A{index}": {"$ref": f"#/components/schemas/A{index + 1}"} for index in range(400)}
    wide = {
        f"B{index}": {"allOf": [{"$ref": f"#/components/schemas/B{index + 1}"}] * 2} for index in range(24)
    }
    ends = {"A400": {"type": "integer"}, "B24": {"type": "string"}}
    contract = contract_of(document(components={"schemas": {**far, **wide, **ends}}))
    schemas = contract.schemas
    assert {"integer"} == schemas.at("/components/schemas/A0").types()
    assert {"string"} == schemas.at("/components/schemas/B0").types()


def test_an_operation_without_a_tag() -> None:
    """An empty list of tags is no tag."""
    assert "" == Contract(json.dumps(document({"/a": {"get": operation(tags=[])}}))).operations["act"].tag


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"openapi": ]', "line 1: this is not JSON: expecting value"),
        ('{"a": 1,\n"a": 2}', 'line 2: the key "a" stands twice'),
        (
            "[1e999]",
            "line 1: this is not strict JSON (RFC 8259, RFC 7493): a number is too large, for example",
        ),
        (
            '["\\ud800"]',
            "line 1: this is not strict JSON (RFC 8259, RFC 7493): a number is too large, for example",
        ),
        (100_000 * "[", "line 1: this is nested deeper than 200 levels"),
        (
            "[" + "1" * 5000 + "]",
            "line 1: this is not JSON that can be read: a number has more than 4300 digits",
        ),
        ("[]", "line 1: the document is not a mapping"),
    ],
    ids=["syntax", "twice", "large", "surrogate", "deep", "digits", "list"],
)
def test_a_file_that_is_not_json(tmp_path: Path, text: str, expected: str) -> None:
    """What is wrong with a file of JSON is said with its line."""
    (tmp_path / "openapi.json").write_text(text)
    with pytest.raises(ContractError) as refused:
        Contract.load(tmp_path / "openapi.json")
    assert str(refused.value).startswith(expected)


def test_a_discriminator_that_leads_nowhere_is_a_hint(tmp_path: Path) -> None:
    """A mapping to a file that is not there, or to what is no address, changes no rule."""
    mapping = {"a": "./nowhere.yaml", "b": "http://[", "c": "Cat"}
    schema = {"oneOf": [True], "discriminator": {"propertyName": "kind", "mapping": mapping}}
    made = document({"/a": {"get": operation()}}, components={"schemas": {"Pet": schema}})
    assert ["act"] == list(Contract.load(written(tmp_path, {"openapi.yaml": made})).operations)


def test_extensions_are_passed_over() -> None:
    """What stands under a name with `x-` is neither a path nor a request that the service sends."""
    sent = {"x-note": {}, "{$request.body#/url}": {"post": {"responses": {"200": {"description": ""}}}}}
    made = document({"x-note": 5, "/a": {"post": operation(callbacks={"done": sent})}})
    assert ["act"] == list(Contract(json.dumps(made)).operations)


@pytest.mark.parametrize(
    ("paths", "schemas", "expected"),
    [
        ({"/a": {"get": 5}}, {}, ['#/paths/~1a/get: 5 is not of type "object"']),
        (
            {
                "/a": {
                    "get": operation(parameters=[{"name": "q", "in": "query", "schema": {}, "examples": 5}])
                }
            },
            {},
            ['#/paths/~1a/get/parameters/0/examples: 5 is not of type "object"'],
        ),
        (
            {},
            {"A": {"$ref": "#/components/schemas/B"}, "B": {"allOf": [{"$ref": "#/nothing"}]}},
            ["#/components/schemas/B/allOf/0: the $ref '#/nothing' leads nowhere"],
        ),
    ],
)
def test_a_fault_is_named_once(paths: Json, schemas: Json, expected: list[str]) -> None:
    """What depends on something at fault says nothing more of it."""
    with pytest.raises(ContractError) as refused:
        Contract(json.dumps(document(paths, components={"schemas": schemas})))
    assert expected == list(refused.value.problems)


STRING = {"type": "string"}
ROOT = document({"/a": {"$ref": "paths/a.yaml"}, "/b": {"$ref": "./all%20paths.json#/b~1c"}})
FILES: dict[str, Any] = {
    "openapi.yaml": ROOT,
    "paths/a.yaml": {
        "parameters": [{"$ref": "../common.json#/Limit"}],
        "get": {
            "responses": {
                "200": {"$ref": "../common.json#/Done"},
                "4XX": {"$ref": "../openapi.yaml#/components/responses/BadRequest"},
            }
        },
    },
    "all paths.json": {
        "b/c": {
            "put": operation(
                requestBody={"content": {"application/json": {"schema": {"$ref": "schemas/Tree.yaml"}}}}
            )
        }
    },
    "common.json": {
        "Limit": {"name": "limit", "in": "query", "schema": {"$ref": "#/types/Limit"}},
        "types": {"Limit": {"type": "integer"}},
        "Done": {
            "description": "Done",
            "content": {
                "application/json": {
                    "schema": {"$ref": "schemas/Tree.yaml"},
                    "examples": {"leaf": {"$ref": "leaf.yaml"}},
                }
            },
        },
    },
    "leaf.yaml": {"value": {"$ref": "this is data"}},
    # Two files that refer to each other, and one of them to a place in itself and to an anchor.
    "schemas/Tree.yaml": {
        "properties": {"fruit": {"$ref": "Fruit.yaml"}, "name": {"$ref": "#/$defs/name"}},
        "$defs": {"name": {**STRING, "$anchor": "name"}},
    },
    "schemas/Fruit.yaml": {"properties": {"tree": {"$ref": "Tree.yaml"}, "name": {"$ref": "Tree.yaml#name"}}},
}


def written(folder: Path, files: dict[str, Any]) -> Path:
    """The first of the files, which are all written below `folder`."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder / next(iter(files))


def test_yaml_may_have_braces(tmp_path: Path) -> None:
    """A file that begins like JSON but is named otherwise may be YAML."""
    text = "{openapi: 3.1.0, info: {title: Things, version: '1'}, paths: {/a: {get: {operationId: read}}}}"
    assert ["read"] == list(Contract.load(written(tmp_path, {"openapi.yaml": text})).operations)


def test_a_document_may_be_split(tmp_path: Path) -> None:
    """References to files, to places in them and back are followed, and what is published is one document."""
    contract = Contract.load(written(tmp_path, FILES))
    for whole in (contract, Contract(contract.text)):
        read, change = whole.operations.values()
        assert ("GET /a", "limit", "Done") == (
            read.id,
            read.parameters[0].node["name"],
            read.responses["200"].node["description"],
        )
        assert change.body is not None
        validator = whole.schemas.validator(f"{change.body.pointer}/content/application~1json/schema")
        assert validator.is_valid({"fruit": {"tree": {"name": "oak"}, "name": "acorn"}})
        assert not validator.is_valid({"fruit": {"tree": {"name": 5}}})
        assert not validator.is_valid({"fruit": {"name": 5}})
    assert {"value": {"$ref": "this is data"}} == contract.document["components"]["examples"]["leaf"]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("../outside.yaml", "leads out of the document's folder, which is not followed"),
        ("/etc/passwd", "leads out of the document's folder, which is not followed"),
        ("link.yaml", "leads out of the document's folder, which is not followed"),
        ("nothing.yaml", "leads to no file"),
        ("folder", "leads to no file"),
        ("%00.yaml", "leads out of the document's folder, which is not followed"),
        ("other.yaml#/nothing", "leads nowhere"),
        ("other.yaml#nothing", "leads nowhere"),
        ("other.yaml#/text", "leads to what is not among parameters"),
        ("broken.json", "leads to a file at fault: broken.json: line 1: this is not JSON: expecting value"),
        ("twice.json", 'leads to a file at fault: twice.json: line 1: the key "a" stands twice'),
        ("http://127.0.0.1:9/x.yaml", "leads out of the document, which is not followed"),
        ("//127.0.0.1:9/x.yaml", "leads out of the document, which is not followed"),
    ],
)
def test_a_reference_that_is_not_followed(tmp_path: Path, reference: str, expected: str) -> None:
    """Nothing is read over the network or outside of the document's folder, and what is not there is named."""
    (tmp_path / "outside.yaml").write_text("name: q\nin: query\nschema: {}")
    files = {
        "openapi.yaml": document({"/a": {"get": operation(parameters=[{"$ref": reference}])}}),
        "other.yaml": {"text": "text"},
        "broken.json": '{"a": }',
        "twice.json": '{"a": 1, "a": 2}',
        "folder/file.yaml": {},
    }
    root = written(tmp_path / "contract", files)
    os.symlink(tmp_path / "outside.yaml", root.parent / "link.yaml")
    with pytest.raises(ContractError) as refused:
        Contract.load(root)
    place = f"#/paths/~1a/get/parameters/0: the $ref {reference!r}"
    assert refused.value.problems[0].startswith(f"{place} {expected}")


def test_a_fault_in_another_file_is_named_there(tmp_path: Path) -> None:
    """The place of a fault is the file that its author has written."""
    files = {
        "openapi.yaml": document({"/a": {"$ref": "a.yaml"}}),
        "a.yaml": {"get": operation(parameters=[{"$ref": "b.yaml#/Q"}])},
        "b.yaml": {"Q": {"name": "q", "in": "query", "schema": {"minimum": "5"}}},
    }
    with pytest.raises(ContractError) as refused:
        Contract.load(written(tmp_path, files))
    assert ('b.yaml#/Q/schema/minimum: "5" is not of type "number"',) == refused.value.problems


@pytest.mark.parametrize("section", [None, [], "text"])
def test_components_that_are_no_mapping(tmp_path: Path, section: Any) -> None:
    """Components of another form are named, also where something of another file would be one of them."""
    parameters = [{"$ref": "other.yaml#/Q"}]
    made = document({"/a": {"get": operation(parameters=parameters)}}, components={"parameters": section})
    other = {"Q": {"name": "q", "in": "query", "schema": {}}}
    with pytest.raises(ContractError) as refused:
        Contract.load(written(tmp_path, {"openapi.yaml": made, "other.yaml": other}))
    assert refused.value.problems[0].startswith("#/components/parameters: ")


WRONG: Json = {
    "openapi": "3.1.0",
    "info": {"title": "Many faults"},
    "paths": {
        "/a": {"get": operation(), "put": operation(parameters=[{"in": "query", "schema": {}}])},
        "/b/{id}": {"get": operation("b", security=[{"nobody": []}])},
        "/c": {"get": operation("c", parameters=[{"$ref": "#/components/parameters/Nope"}])},
    },
    "components": {"schemas": {"A": {"type": "text"}, "B": {"pattern": "["}, "C": {"$ref": "#/nowhere"}}},
}


def test_every_fault_is_named() -> None:
    """One fault does not hide another, and none is named that only follows from it."""
    with pytest.raises(ContractError) as refused:
        Contract(json.dumps(WRONG))
    assert [
        "#/components/schemas/A/type",
        "#/components/schemas/B/pattern",
        "#/components/schemas/C",
        "#/info",
        "#/paths/~1a/put",
        "#/paths/~1a/put/parameters/0",
        "#/paths/~1b~1{id}/get",
        "#/paths/~1b~1{id}/get",
        "#/paths/~1c/get/parameters/0",
    ] == sorted(problem.partition(": ")[0] for problem in refused.value.problems)


def test_the_command_checks(tmp_path: Path) -> None:
    """`todo-api contract check` says that a document is sound, or names each fault in a line, without a traceback."""
    sound = todo_api("contract", "check", str(written(tmp_path, FILES)), cwd=tmp_path)
    assert (0, f"{tmp_path}/openapi.yaml: sound, 2 operations\n", "") == (
        sound.returncode,
        sound.stdout,
        sound.stderr,
    )
    wrong = todo_api("contract", "check", str(written(tmp_path, {"wrong.json": WRONG})), cwd=tmp_path)
    assert (2, "", 9) == (wrong.returncode, wrong.stdout, len(wrong.stderr.splitlines()))
    assert all(line.startswith(f"error: {tmp_path}/wrong.json: #/") for line in wrong.stderr.splitlines())
