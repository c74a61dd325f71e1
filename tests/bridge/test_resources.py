"""Schemas with an `$id` and dynamic references, as documents in OpenAPI have them."""

import json
from typing import Any

import pytest

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import ContractError
from openapi.bridge.mock.generate import value_of
from tests.support.contracts import Json, document

TEXT = {"type": "string"}
ID = {"$id": "https://example.com/list"}
ANCHOR = {"$dynamicAnchor": "item"}
DEFAULT = {"$defs": {"any": {**ANCHOR, "not": {}}}}
LIST = {"type": "array", "minItems": 1, "items": {"$dynamicRef": "#item"}}


def contract(**schemas: Any) -> Contract:
    """A contract with these schemas."""
    return Contract(json.dumps(document({}, components={"schemas": {"Text": TEXT, **schemas}})))


@pytest.mark.parametrize(
    "template",
    [{**ID, **LIST, **DEFAULT}, {**ID, **LIST, **ANCHOR}, {**LIST, **DEFAULT}, {**ID, **LIST}, LIST],
)
def test_each_schema_binds_a_template_by_itself(template: Json) -> None:
    """A `$dynamicRef` leads to the dynamic anchor of the schema that refers to the template, whether either has an
    `$id` or not; values are made by it, too."""
    binding = {"$ref": "#/components/schemas/List"}
    made = contract(
        List=template,
        Texts={**binding, "$defs": {"item": {**ANCHOR, "$ref": "#/components/schemas/Text"}}},
        Numbers={**binding, "$defs": {"item": {**ANCHOR, "type": "integer"}}},
    )
    for name, valid, invalid in (("Texts", ["a"], [1]), ("Numbers", [1], ["a"])):
        pointer = f"/components/schemas/{name}"
        for schemas in (made.schemas, made.requests, made.answers):
            assert schemas.validator(pointer).is_valid(valid)
            assert not schemas.validator(pointer).is_valid(invalid)
        assert made.answers.validator(pointer).is_valid(value_of(made.answers.at(pointer)))


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({**ID, "items": {"$ref": "#/components/schemas/Text"}}, ["a"], [1]),
        ({**ID, "items": {"$ref": "#text"}}, ["a"], [1]),
        ({**ID, "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}, [1], ["a"]),
        ({"items": {**ID, "items": {"$ref": "#/components/schemas/Text"}}}, [["a"]], [[1]]),
        ({**ANCHOR, "properties": {"a": {"$ref": "#item"}}, "type": "object"}, {"a": {}}, {"a": 1}),
    ],
)
def test_a_reference_may_lead_out_of_what_has_an_id(schema: Json, valid: Any, invalid: Any) -> None:
    """What is not found below an `$id` is looked for in the document, as authors mean it."""
    made = contract(Thing=schema, Text={**TEXT, "$anchor": "text"})
    for schemas in (made.schemas, made.requests):
        validator = schemas.validator("/components/schemas/Thing")
        assert (True, False) == (validator.is_valid(valid), validator.is_valid(invalid))


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"$defs": [], "items": {"$dynamicRef": "#item"}}, "#/components/schemas/Thing/$defs: "),
        ({**ANCHOR, "$ref": "#/components/schemas/No"}, "'#/components/schemas/No' leads nowhere"),
    ],
)
def test_what_is_wrong_beside_a_dynamic_anchor_is_named(schema: Json, expected: str) -> None:
    """A fault in a schema that gets an `$id` is said as its author knows the schema."""
    with pytest.raises(ContractError) as refused:
        contract(Thing=schema, Other=ANCHOR)
    assert any(expected in line and "$id" not in line for line in refused.value.args)
