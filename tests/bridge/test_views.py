"""What OpenAPI adds to JSON Schema: formats of numbers, `readOnly` and `writeOnly`, as each direction sees them."""

from typing import Any

import pytest

from openapi.bridge.contract import Contract
from tests.support.contracts import contract_of, document

MEMBERS = {
    "type": "object",
    "required": ["id", "name", "secret"],
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "name": {"type": "string"},
        "secret": {"$ref": "#/components/schemas/Secret"},
    },
}
SCHEMAS = {
    "Plain": MEMBERS,
    "Secret": {"type": "string", "writeOnly": True},
    "Referred": {"$ref": "#/components/schemas/Plain"},
    "Extended": {
        "allOf": [{"$ref": "#/components/schemas/Plain"}, {"required": ["id"], "properties": {"x": {}}}]
    },
    "Closed": {"$ref": "#/components/schemas/Plain", "unevaluatedProperties": False},
    "Chosen": {
        "oneOf": [{"$ref": "#/components/schemas/Plain"}, {"required": ["key"], "properties": {"key": {}}}]
    },
    "Marked": {
        "$ref": "#/components/schemas/Unmarked",
        "properties": {"id": {"readOnly": True}, "secret": {"writeOnly": True}},
    },
    "MarkedApart": {
        "allOf": [{"$ref": "#/components/schemas/Again"}, {"$ref": "#/components/schemas/Marked"}]
    },
    "Again": {"$ref": "#/components/schemas/Unmarked"},
    "Unmarked": {**MEMBERS, "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}},
    "Dependent": {**MEMBERS, "dependentRequired": {"name": ["id"]}},
    "List": {"type": "array", "items": {"$ref": "#/components/schemas/Plain"}},
    "Nested": {"properties": {"inner": {"$ref": "#/components/schemas/List"}}},
    "Number": {"$ref": "#/components/schemas/Plain/properties/id"},
}


def contract(schemas: Any = SCHEMAS) -> Contract:
    """A contract with these named schemas."""
    return contract_of(document(components={"schemas": schemas}))


CONTRACT = contract()


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        *(
            (name, lambda value: value)
            for name in (
                *("Plain", "Referred", "Extended", "Closed", "Chosen", "Dependent"),
                *("Marked", "MarkedApart"),
            )
        ),
        ("List", lambda value: [value]),
        ("Nested", lambda value: {"inner": [value]}),
    ],
)
def test_a_member_of_one_direction_is_none_of_the_other(name: str, wrap: Any) -> None:
    """`readOnly` members are neither required nor taken in requests, `writeOnly` ones in answers, at any depth."""
    sent, answered = {"name": "", "secret": ""}, {"id": 1, "name": ""}
    pointer = f"/components/schemas/{name}"
    for schemas, right in ((CONTRACT.requests, sent), (CONTRACT.answers, answered)):
        validator = schemas.validator(pointer)
        assert validator.is_valid(wrap(right))
        assert not validator.is_valid(wrap({**sent, **answered}))
        assert not validator.is_valid(wrap({**right, "name": 1}))


def test_who_marks_no_member_needs_them_all() -> None:
    """What one schema marks of another that it refers to is not marked for the others that do."""
    validator = CONTRACT.requests.validator("/components/schemas/Unmarked")
    assert [True, False] == [
        validator.is_valid(value)
        for value in ({"id": 1, "name": "", "secret": ""}, {"name": "", "secret": ""})
    ]


def test_a_schema_may_mark_members_of_itself() -> None:
    """What is below has the mark and what is above has not, however deep it goes."""
    parent = {"$ref": "#/components/schemas/Tree", "properties": {"id": {"readOnly": True}}}
    made = contract({"Tree": {"required": ["id"], "properties": {"parent": parent}}})
    validator = made.requests.validator("/components/schemas/Tree")
    assert [True, True, False, False] == [
        validator.is_valid(value)
        for value in (
            {"id": 1, "parent": {}},
            {"id": 1, "parent": {"parent": {}}},
            {"parent": {}},
            {"id": 1, "parent": {"parent": {"id": 1}}},
        )
    ]


def test_what_has_a_uri_is_found_by_it_unchanged() -> None:
    """Who refers by the same `$id`, and marks nothing, needs the members that another does not."""
    named = {"$ref": "https://example.com/named"}
    made = contract(
        {
            "Named": {"$id": "https://example.com/named", "required": ["id"]},
            "Marked": {**named, "properties": {"id": {"readOnly": True}}},
            "Unmarked": named,
        }
    )
    assert [True, False] == [
        made.requests.validator(f"/components/schemas/{name}").is_valid({}) for name in ("Marked", "Unmarked")
    ]


def test_the_schema_of_a_member_stays_what_it_is() -> None:
    """Who refers to a `readOnly` member's own schema uses it for something that may be sent."""
    assert CONTRACT.requests.validator("/components/schemas/Number").is_valid(1)


@pytest.mark.parametrize(
    ("rules", "smallest", "largest"),
    [
        ({"format": "int32"}, -(2**31), 2**31 - 1),
        ({"type": "integer", "format": "int64"}, -(2**63), 2**63 - 1),
        ({"format": "int32", "minimum": 0, "maximum": 2**40}, 0, 2**31 - 1),
    ],
)
def test_integers_have_the_range_of_their_format(rules: Any, smallest: int, largest: int) -> None:
    """`int32` and `int64` are rules, beside narrower ones that the contract sets; a string is none of them."""
    validator = contract({"Size": rules}).requests.validator("/components/schemas/Size")
    assert [True, True, False, False, False] == [
        validator.is_valid(value) for value in (smallest, largest, smallest - 1, largest + 1, 0.5)
    ]
    assert ("type" not in rules) == validator.is_valid("text")


@pytest.mark.parametrize(
    ("format_", "largest"), [("float", 3.4028234663852886e38), ("double", 1.7976931348623157e308)]
)
def test_numbers_have_the_range_of_their_format(format_: str, largest: float) -> None:
    """What a `float` or a `double` cannot hold is none, also where it is written as an integer."""
    validator = contract({"Size": {"format": format_}}).requests.validator("/components/schemas/Size")
    assert [True, True, False, False] == [
        validator.is_valid(value) for value in (largest, -largest, int(largest) * 2, -int(largest) * 2)
    ]


PET = "#/components/schemas/"
KIND = {"properties": {"kind": {"type": "string"}}, "required": ["kind"]}
PETS = {
    "Cat": KIND,
    "Dog": {**KIND, "required": ["kind", "barks"]},
    "Pet": {
        "anyOf": [{"$ref": PET + "Cat"}, {"$ref": PET + "Dog"}],
        "discriminator": {"propertyName": "kind", "mapping": {"dog": PET + "Dog"}},
    },
}


def test_a_discriminator_is_a_hint() -> None:
    """What is valid by a branch is valid whatever its discriminator says (OpenAPI 3.1.1, "Discriminator Object")."""
    made = contract(PETS)
    for schemas in (made.requests, made.answers):
        assert schemas.validator("/components/schemas/Pet").is_valid({"kind": "dog"})
