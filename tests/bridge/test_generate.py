"""The generated types: up to date with the contract, and what each kind of schema becomes in Python."""

import datetime
import re
import shutil
import subprocess
import sys
from types import ModuleType
from typing import Any, Literal, get_type_hints

import pytest

from openapi.bridge.document.places import ContractError
from openapi.bridge.python_types import generate
from openapi.contract import CONTRACT_FILE, contract
from tests.support.contracts import Json, contract_of, document, operation


def generated(schemas: Json | None = None, *operations: Json) -> str:
    """The module for a contract with these schemas and operations."""
    paths = {f"/things/{index}": {"post": made} for index, made in enumerate(operations)} or None
    return generate(contract_of(document(paths, components={"schemas": schemas or {}})))


def test_the_file_is_what_the_contract_makes() -> None:
    """`openapi/types.py` is what `make types` would write now."""
    formatter = shutil.which("ruff") or f"{sys.prefix}/bin/ruff"
    formatted = subprocess.run(
        [formatter, "format", "--stdin-filename", "openapi/types.py", "-"],
        input=generate(contract()),
        cwd=CONTRACT_FILE.parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert CONTRACT_FILE.with_name("types.py").read_text(encoding="utf-8") == formatted.stdout


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "str"),
        ({"type": "string", "format": "date-time"}, "datetime"),
        ({"type": "string", "format": "date"}, "date"),
        ({"type": "string", "format": "uuid"}, "str"),
        ({"type": "integer"}, "int"),
        ({"type": "number"}, "float"),
        ({"type": "string", "format": "binary"}, "bytes"),
        ({"type": "boolean"}, "bool"),
        ({"type": "null"}, "None"),
        ({"type": "object"}, "dict[str, Any]"),
        ({"type": "array"}, "list[Any]"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Other"}}, "list[Other]"),
        ({"type": ["string", "null"]}, "str | None"),
        ({"enum": ["a", 1, None, 'say "b"']}, """Literal["a", 1, None, 'say "b"']"""),
        ({"const": "a"}, 'Literal["a"]'),
        ({"const": "a\nb"}, r"Literal['a\nb']"),
        ({"type": "number", "enum": [0, 7.7]}, "float"),
        ({"const": {"a": 1}}, "Any"),
        ({"anyOf": [{"const": "*"}, {"type": "string"}, {"type": "string"}]}, 'Literal["*"] | str'),
        ({"$ref": "#/components/schemas/Other"}, "Other"),
        ({"$ref": "#/components/schemas/Other/items"}, "Any"),
        ({"type": "array", "items": False}, "list[Any]"),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, "list[Any]"),
        ({"type": "object", "properties": {}}, "dict[str, Any]"),
        ({"type": ["object", "null"], "properties": {"a": True}}, "dict[str, Any] | None"),
        (True, "Any"),
        ({}, "Any"),
    ],
)
def test_a_schema_becomes_an_alias(schema: Any, expected: str) -> None:
    """A schema that is no object with members becomes the plain type of its values."""
    schemas = {"Other": {"type": "string", "items": {}}, "Name": schema}
    assert f"\nName = {expected}\n" in generated(schemas)


def test_an_object_becomes_a_typed_dict() -> None:
    """An object's members keep their types and names, and those that may be absent say so."""
    members = {"a": {"type": "string"}, "b": {"$ref": "#/components/schemas/Name"}}
    text = generated({"Name": {"type": "integer"}, "Thing": {"required": ["a"], "properties": members}})
    assert "class Thing(TypedDict):\n    a: str\n    b: NotRequired[Name]\n" in text
    assert "class Loose(TypedDict):\n    a: NotRequired[str]\n" in generated(
        {"Loose": {"properties": {"a": members["a"]}}}
    )


def test_members_of_one_direction() -> None:
    """A member that requests or answers do not have need not be there, though it is required."""
    members = {"id": {"type": "integer", "readOnly": True}, "key": {"type": "string", "writeOnly": True}}
    text = generated({"Thing": {"required": ["id", "key"], "properties": members}})
    assert "class Thing(TypedDict):\n    id: NotRequired[int]\n    key: NotRequired[str]\n" in text


def test_members_need_not_be_identifiers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object with a member that no Python class could have is one all the same, whose types may stand below it."""
    members = {"created-at": {"$ref": "#/components/schemas/Time"}, "class": {"const": "a"}}
    schemas = {"Thing": {"required": ["class"], "properties": members}, "Time": {"type": "integer"}}
    monkeypatch.setitem(sys.modules, "made", made := ModuleType("made"))
    exec(generated(schemas), vars(made))
    assert {"created-at": int, "class": Literal["a"]} == get_type_hints(made.Thing)


def test_schemas_may_stand_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """A type may name others that stand below it, and itself, and stays a type that Python can make another one of."""
    to = {name: {"$ref": f"#/components/schemas/{name}"} for name in ("Trees", "Tree", "Nest", "Time")}
    schemas = {
        "Either": {"anyOf": [to["Trees"], to["Nest"], to["Time"]]},
        "Nest": {"anyOf": [{"type": "null"}, {"type": "array", "items": to["Nest"]}]},
        "Trees": {"type": "array", "items": to["Tree"]},
        "Tree": {"properties": {"trees": to["Trees"], "time": to["Time"], "tree": to["Tree"]}},
        "Time": {"type": "integer"},
    }
    monkeypatch.setitem(sys.modules, "made", made := ModuleType("made"))
    exec(generated(schemas), vars(made))
    assert {"trees": list[made.Tree], "time": int, "tree": made.Tree} == get_type_hints(made.Tree)
    assert made.Trees | made.Nest | int == made.Either


def test_names_that_python_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations and parameters whose names are no identifiers have the nearest ones, and the module is Python."""
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("from", "X-Size")]
    text = generated({}, operation("get-it", parameters=parameters), operation("class"))
    monkeypatch.setitem(sys.modules, "made", made := ModuleType("made"))
    exec(text, vars(made))
    assert "def get_it(self, caller: Caller, /, *, from_: str | None, x_size: str | None)" in text
    assert "def class_(self" in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("My-Thing", "My_Thing"), ("a.b", "a_b"), ("class", "class_"), ("1st", "_1st"), ("__x", "_x")),
        *((name, f"{name}_") for name in ("Answer", "Any", "Caller", "date", "dict", "Literal", "str")),
    ],
)
@pytest.mark.parametrize("schema", [{"properties": {"size": {"type": "integer"}}}, {"enum": ["a"]}])
def test_a_schema_that_no_type_can_be_named_after(
    name: str, expected: str, schema: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schema whose name is no identifier, or another thing's in the module, has the nearest name that is free."""
    members = {"own": {"$ref": f"#/components/schemas/{name}"}, "due": {"type": "string", "format": "date"}}
    schemas = {"User": {"required": ["own", "due"], "properties": members}, name: schema}
    monkeypatch.setitem(sys.modules, "made", made := ModuleType("made"))
    exec(generated(schemas), vars(made))
    assert {"own": getattr(made, expected), "due": datetime.date} == get_type_hints(made.User)


def test_schemas_that_would_have_one_name() -> None:
    """Two schemas of one name in Python are refused in a line that names the second."""
    sentence = "#/components/schemas/a-b: another schema is a_b in Python too"
    with pytest.raises(ContractError, match=f"^{re.escape(sentence)}$"):
        generated({"a.b": {"type": "string"}, "a-b": {"type": "string"}})


ANCHORED = {"$anchor": "time", "type": "string", "format": "date-time"}
CONTENT = {
    "multipart/form-data": {"schema": {"type": "object"}},
    "application/json": {"schema": {"type": "object"}},
    "image/*": {"schema": {"format": "binary", "type": "string"}},
    "application/xml": {"schema": {"type": "object"}},
    "text/csv": {},
    "text/plain": {"schema": {"type": "integer"}},
}


@pytest.mark.parametrize(
    ("fields", "signature"),
    [
        ({}, "(self, caller: Caller, /) -> Answer[None]"),
        (
            {
                "parameters": [
                    {"name": name, "in": "query", "schema": {"type": "null"}} for name in ("self", "caller")
                ]
            },
            "(self, caller: Caller, /, *, self_2: None, caller_2: None) -> Answer[None]",
        ),
        (
            {"parameters": [{"name": "X-Size", "in": "header", "schema": {"type": "integer"}}]},
            "(self, caller: Caller, /, *, x_size: int | None) -> Answer[None]",
        ),
        (  # A handler gets the text, which the contract has checked.
            {
                "parameters": [
                    {"name": "day", "in": "query", "schema": {"type": "string", "format": "date"}},
                    {"name": "since", "in": "query", "schema": {"$ref": "#/components/schemas/Time"}},
                ]
            },
            "(self, caller: Caller, /, *, day: str | None, since: str | None) -> Answer[None]",
        ),
        (
            {
                "parameters": [
                    {"name": "any", "in": "query", "schema": True},
                    {
                        "name": "anchored",
                        "in": "query",
                        "schema": {"$ref": "#time", "$defs": {"a": ANCHORED}},
                    },
                    {"name": "size", "in": "query", "schema": {"allOf": [{"default": 1}]}},
                ]
            },
            "(self, caller: Caller, /, *, any: Any | None, anchored: Any | None, size: Any) -> Answer[None]",
        ),
        (
            {"parameters": [{"name": "size", "in": "query", "schema": {"type": "integer", "default": 1}}]},
            "(self, caller: Caller, /, *, size: int) -> Answer[None]",
        ),
        (
            {
                "parameters": [
                    {"name": "size", "in": "query", "required": True, "schema": {"type": "integer"}}
                ]
            },
            "(self, caller: Caller, /, *, size: int) -> Answer[None]",
        ),
        (
            {
                "parameters": [
                    {
                        "name": "size",
                        "in": "query",
                        "content": {"application/json": {"schema": {"type": "array"}}},
                    }
                ]
            },
            "(self, caller: Caller, /, *, size: list[Any] | None) -> Answer[None]",
        ),
        (
            {"requestBody": {"content": {"application/json": {"schema": {"type": "string"}}}}},
            "(self, caller: Caller, /, *, body: str | None) -> Answer[None]",
        ),
        (
            {"requestBody": {"content": {"application/json": {"schema": {"type": "string", "default": ""}}}}},
            "(self, caller: Caller, /, *, body: str) -> Answer[None]",
        ),
        (
            {"requestBody": {"required": True, "content": CONTENT}},
            "(self, caller: Caller, /, *, body: dict[str, Any] | bytes | str | int) -> Answer[None]",
        ),
        (
            {
                "responses": {
                    "200": {
                        "description": "",
                        "content": {"application/json": {"schema": {"type": "string"}}},
                    },
                    "304": {"description": ""},
                }
            },
            "(self, caller: Caller, /) -> Answer[str | None]",
        ),
        (
            {"responses": {"200": {"description": "", "content": {"application/xml": {}}}}},
            "(self, caller: Caller, /) -> Answer[bytes]",
        ),
        (
            {
                "responses": {
                    "200": {"description": "", "content": {"application/xml": {}, "no media type": {}}}
                }
            },
            "(self, caller: Caller, /) -> Answer[Any]",
        ),
    ],
)
def test_an_operation_becomes_a_method(fields: Json, signature: str) -> None:
    """An operation's handler takes its parameters and body by name, and answers what its success says."""
    schemas = {"Time": {"type": "string", "format": "date-time"}}
    assert f"    async def act{signature}: ..." in generated(schemas, {**operation(), **fields})


def test_tags_that_would_have_one_name() -> None:
    """Each tag has a protocol of its own, whose name no schema has."""
    tagged = [operation(tag, tags=[tag]) for tag in ("One-Two", "One Two", "Three")]
    text = generated({"ThreeHandlers": {"type": "string"}}, *tagged)
    expected = ["OneTwoHandlers", "OneTwoHandlers_2", "ThreeHandlers_2"]
    assert expected == re.findall(r"class (\w+)\(Protocol", text)


def test_a_tag_becomes_a_protocol() -> None:
    """The operations of one tag are the methods of one protocol; an owner is no argument of theirs."""
    text = generated({}, operation("first", tags=["my things"]), operation("second", tags=["my things"]))
    assert "class MyThingsHandlers(Protocol[Caller]):\n    async def first(" in text
    assert text.index("def first(") < text.index("def second(")
    assert "class _1StHandlers(" in generated({}, operation(tags=["1st"]))
    assert "\nfrom typing import Protocol, TypeVar\n" in generated({}, operation())
    assert "user_id" not in generate(contract()).partition("class TasksHandlers")[2]
