"""Schemas in older drafts of JSON Schema mean what they mean there."""

import json
from typing import Any

import pytest

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import ContractError
from tests.support.contracts import Json, document

TEXT = {"type": "string"}


def thing(schema: Json, **fields: Any) -> Contract:
    """A contract with the schema `Thing`."""
    components = {"schemas": {"Thing": schema, "Text": TEXT}, **fields.pop("components", {})}
    return Contract(json.dumps(document({}, components=components, **fields)))


@pytest.mark.parametrize(
    ("draft", "schema", "valid", "invalid"),
    [
        ("draft-04", {"minimum": 1, "exclusiveMinimum": True, "exclusiveMaximum": False, "maximum": 2}, 2, 1),
        ("draft-04", {"id": "urn:t", "allOf": [{"$ref": "#/definitions/n"}], "definitions": {"n": TEXT}}, "a", 1),
        ("draft-06", {"allOf": [{"$ref": "#n"}], "definitions": {"n": {"$id": "#n", **TEXT}}}, "a", 1),
        ("draft-07", {"items": [TEXT], "additionalItems": False}, ["a"], ["a", "b"]),
        ("draft-07", {"items": [TEXT]}, ["a", 1], [1]),
        ("draft-07", {"items": TEXT, "additionalItems": False}, ["a", "b"], [1]),
        ("draft-07", {"$ref": "#/components/schemas/Text", "maxLength": 1}, "ab", 1),
        ("draft/2019-09", {"$ref": "#/components/schemas/Text", "maxLength": 1}, "a", "ab"),
        ("draft/2019-09", {"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, {"a": 1, "b": 1}, {"c": 1}),
        ("draft/2020-12", {"exclusiveMinimum": 1}, 2, 1),
        ("draft/2020-12", {"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, {"a": 1, "b": 1}, {"c": 1}),
        ("draft/2020-12", {"dependencies": {"a": []}, "dependentRequired": {"a": ["c"]}}, {"a": 1, "c": 1}, {"a": 1}),
    ],
)  # fmt: skip
def test_an_older_draft(draft: str, schema: Json, valid: Any, invalid: Any) -> None:
    """The document names the dialect of its schemas, and a schema that of its own and of what it holds."""
    dialect = f"http://json-schema.org/{draft}/schema#"
    for contract in (
        thing(schema, jsonSchemaDialect=dialect),
        thing(
            {"properties": {"a": {"$schema": dialect, **schema}}}, jsonSchemaDialect="https://example.com/x"
        ),
    ):
        pointer = "/components/schemas/Thing" + ("/properties/a" if contract.notes else "")
        validator = contract.requests.validator(pointer)
        assert (True, False) == (validator.is_valid(valid), validator.is_valid(invalid))


@pytest.mark.parametrize("content", [5, {"text/plain": 5}])
def test_what_is_wrong_is_left_for_the_checks(content: Any) -> None:
    """A document that is not of its form is refused by its place, and not by what is made of it before."""
    parameter = {"name": "a", "in": "query", "content": content}
    with pytest.raises(ContractError, match=r"^#/components/parameters/A/content"):
        thing(TEXT, components={"parameters": {"A": parameter}})


@pytest.mark.parametrize("keyword", ["dependencies", "dependentRequired"])
def test_dependencies_of_no_form_are_left_for_the_checks(keyword: str) -> None:
    """What is no object is refused by its name, in `dependencies` and in the words that these become."""
    with pytest.raises(ContractError, match=f"^#/components/schemas/Thing/{keyword}: 5 is not of type"):
        thing({"dependencies": {"a": ["b"]}, keyword: 5})


@pytest.mark.parametrize(
    ("schema", "is_taken"),
    [
        ({"type": "string", "nullable": True}, True),
        ({"type": "string", "nullable": True, "enum": ["a"]}, False),
        ({"type": "string", "nullable": True, "enum": ["a", None]}, True),
        ({"type": "null", "nullable": True, "enum": [None]}, True),
        ({"type": "string", "nullable": False}, False),
        ({"$ref": "#/components/schemas/Text", "nullable": True}, True),
        ({"type": "string", "nullable": True, "allOf": [{"$ref": "#/components/schemas/Text"}]}, True),
        ({"nullable": True, "oneOf": [{"$ref": "#/components/schemas/Text"}, {"const": "a"}]}, True),
        ({"$ref": "#/components/schemas/Text", "nullable": False}, False),
    ],
)
def test_nullable_means_what_it_meant(schema: Json, is_taken: bool) -> None:
    """OpenAPI 3.1 has no `nullable` any more; it allows null, as it did in 3.0, beside all but an `enum`
    that leaves it out (OAI's proposal of 2019-10-31)."""
    assert is_taken == thing(schema).requests.validator("/components/schemas/Thing").is_valid(None)


def test_a_dialect_that_nobody_knows() -> None:
    """It is read as JSON Schema 2020-12, and that is said."""
    contract = thing({"$schema": "urn:x", "type": "string"})
    sentence = "this dialect is not known, so it is read as JSON Schema 2020-12"
    assert [f"#/components/schemas/Thing/$schema: {sentence}"] == contract.notes
