"""How a broken rule is reported: the contract's own sentence, or one derived from the rule; never what was sent."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.bridge.contract import fill
from openapi.bridge.failures import BadRequest
from openapi.bridge.request.sentences import SpeakingValidator
from openapi.contract import contract
from tests.support.contracts import contract_of, document


def validator(schema: Any, **components: Any) -> SpeakingValidator:
    """A validator of `schema` in a contract with further named schemas."""
    made = contract_of(document(components={"schemas": {"Subject": schema, **components}}))
    return SpeakingValidator(made, "/components/schemas/Subject")


def refusal(schema: Any, value: Any, **components: Any) -> BadRequest:
    """How `value` is refused where `schema` asks for something else."""
    subject = validator(schema, **components)
    assert not subject.is_valid(value)
    return subject.refusal(value)


def sentence(schema: Any, value: Any, **components: Any) -> str:
    """What is said of `value` where `schema` asks for something else."""
    return refusal(schema, value, **components).reason


def of_member(rules: Any, value: Any) -> str:
    """What is said of the member `size` of an object."""
    return sentence({"type": "object", "properties": {"size": rules}}, {"size": value})


@pytest.mark.parametrize(
    ("rules", "value", "expected"),
    [
        ({"type": "string"}, 5, "Size must be a string"),
        ({"type": "integer"}, 1.5, "Size must be an integer"),
        ({"type": "number"}, "1", "Size must be a number"),
        ({"type": "boolean"}, 0, "Size must be true or false"),
        ({"type": "array"}, {}, "Size must be an array"),
        ({"type": "object"}, [], "Size must be an object"),
        ({"type": "null"}, 0, "Size must be null"),
        ({"type": ["string", "null"]}, 1, "Size must be a string or null"),
        ({"minLength": 2}, "a", "Size must be 2 characters or more"),
        ({"minLength": 1}, "", "Size must be 1 character or more"),
        ({"maxLength": 2}, "abc", "Size must be 2 characters or less"),
        ({"pattern": "^a+$"}, "b", "Size must match the pattern ^a+$"),
        ({"pattern": "^[\\w-.]{2}$"}, "b", "Size must match the pattern ^[\\w-.]{2}$"),
        ({"pattern": "^\\<$", "$pattern": "b"}, "b", "Size must match the pattern ^\\<$"),
        ({"pattern": "^[a-z]{1,5000}$"}, "B", "Size must match the pattern ^[a-z]{1,5000}$"),
        ({"format": "uuid"}, "b", "Size must have the format uuid"),
        ({"enum": ["S", "M"]}, "L", "Size must be 'S' or 'M'"),
        ({"enum": [1, None, True, "x"]}, 2, "Size must be 1 or null or true or 'x'"),
        ({"const": "S"}, "M", "Size must be 'S'"),
        ({"const": 4}, 5, "Size must be 4"),
        ({"minimum": 4}, 3, "Size must be 4 or more"),
        ({"maximum": 4}, 5, "Size must be 4 or less"),
        ({"exclusiveMinimum": 4}, 4, "Size must be more than 4"),
        ({"exclusiveMaximum": 4.5}, 4.5, "Size must be less than 4.5"),
        ({"multipleOf": 3}, 4, "Size must be a multiple of 3"),
        ({"minItems": 1}, [], "Size must have 1 item or more"),
        ({"maxItems": 1}, [1, 2], "Size must have 1 item or less"),
        ({"uniqueItems": True}, [1, 1], "Size must not hold the same item twice"),
        ({"contains": {"const": 1}}, [2], "Size must hold an item of the kind that the contract asks for"),
        ({"minProperties": 2}, {}, "Size must have 2 members or more"),
        ({"maxProperties": 0}, {"a": 1}, "Size must have 0 members or less"),
        ({"required": ["unit"]}, {}, "Unit is required"),
        ({"dependentRequired": {"a": ["unit"]}}, {"a": 1}, "Unit is required"),
        ({"additionalProperties": False}, {"a": 1}, "Size must not have members"),
        (
            {"properties": {"a": {}, "b": {}}, "additionalProperties": False},
            {"c": 1},
            "Size must not have members other than 'a' or 'b'",
        ),
        (
            {"allOf": [{"properties": {"b": {}}}], "properties": {"a": {}}, "unevaluatedProperties": False},
            {"c": 1},
            "Size must not have members other than 'a' or 'b'",
        ),
        ({"unevaluatedItems": False}, [1], "Size must not have more items than the contract lists"),
        (False, 1, "Size is not allowed"),
        ({"not": {"const": 1}}, 1, "Size breaks the contract's rule 'not'"),
        ({"anyOf": [{"const": 1}, {"const": 2}]}, 3, "Size breaks the contract's rule 'anyOf'"),
        ({"oneOf": [{}, {}]}, 3, "Size breaks the contract's rule 'oneOf'"),
        ({"if": {"const": 1}, "then": {"type": "null"}}, 1, "Size must be null"),
        ({"dependentSchemas": {"a": {"minProperties": 2}}}, {"a": 1}, "Size must have 2 members or more"),
        ({"dependencies": {"a": {"minProperties": 2}}}, {"a": 1}, "Size must have 2 members or more"),
        ({"dependencies": {"a": ["b"]}}, {"a": 1}, "B is required"),
        ({"items": {"type": "string"}}, ["a", 1], "An item of size must be a string"),
        ({"items": {"items": {"type": "string"}}}, [[1]], "An item of size must be a string"),
        ({"items": {"properties": {"a": {"type": "null"}}}}, [{"a": 1}], "A must be null"),
        ({"prefixItems": [{"const": "a"}]}, ["b"], "An item of size must be 'a'"),
        ({"prefixItems": [{}], "items": False}, [1, 2], "An item of size is not allowed"),
        ({"additionalProperties": {"type": "null"}}, {"a": 1}, "A member of size must be null"),
        ({"patternProperties": {"^a": {"type": "null"}}}, {"a": 1}, "A member of size must be null"),
        (
            {"propertyNames": {"maxLength": 1}},
            {"ab": 1},
            "The name of a member of size must be 1 character or less",
        ),
    ],
)
def test_a_derived_sentence_names_the_field_and_the_rule(rules: Any, value: Any, expected: str) -> None:
    """Where the contract fixes no sentence, one is made of the field's name and the rule's own value."""
    assert expected == of_member(rules, value)


CAT = {"type": "object", "required": ["lives"], "properties": {"lives": {"maximum": 9}}}
BIRD = {"type": "object", "required": ["beak"], "properties": {"kind": {"const": "bird"}}}
FISH = {"type": "object", "required": ["fins"], "properties": {"kind": {"enum": ["carp", "pike"]}}}
NAMED = [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Bird"}]
HINT = {"propertyName": "pet", "mapping": {"kitten": "#/components/schemas/Cat", "cow": "Cow"}}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"anyOf": [CAT, {"type": "null"}]}, {}, "Lives is required"),
        (
            {"oneOf": [{"type": "null"}, {"anyOf": [CAT, {"type": "string"}]}]},
            {"lives": 10},
            "Lives must be 9 or less",
        ),
        (
            {"oneOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}]},
            "ab",
            "The request body must be 1",
        ),
        ({"oneOf": [BIRD, FISH]}, {"kind": "bird"}, "Beak is required"),
        ({"oneOf": [BIRD, FISH]}, {"kind": "pike"}, "Fins is required"),
        ({"oneOf": [BIRD, FISH]}, {"kind": "cow"}, "The request body breaks the contract's rule 'oneOf'"),
        ({"oneOf": [BIRD, FISH]}, 1, "The request body breaks the contract's rule 'oneOf'"),
        ({"oneOf": [CAT, BIRD]}, {}, "The request body breaks the contract's rule 'oneOf'"),
        *(
            (
                {"oneOf": [BIRD, FISH]},
                {"kind": "bird", "eggs": much},
                "The request body breaks the contract's rule 'oneOf'",
            )
            for much in ([1] * 60, "a" * 60_000)
        ),
        ({"oneOf": [CAT, BIRD], "x-messages": {"oneOf": "A pet, please"}}, {"kind": "bird"}, "A pet, please"),
        ({"oneOf": NAMED, "discriminator": HINT}, {"pet": "kitten"}, "Lives is required"),
        ({"oneOf": NAMED, "discriminator": HINT}, {"pet": "Bird"}, "Beak is required"),
        (
            {"oneOf": NAMED, "discriminator": HINT},
            {"pet": "cow"},
            "The request body breaks the contract's rule 'oneOf'",
        ),
        (
            {"oneOf": NAMED, "discriminator": HINT},
            {"pet": 1},
            "The request body breaks the contract's rule 'oneOf'",
        ),
    ],
)
def test_of_a_choice_the_branch_speaks_that_is_meant(schema: Any, value: Any, expected: str) -> None:
    """What is wrong is said by the branch that the discriminator names, or else the only one for the value's type or
    with its fixed values; where there is no such branch, or much to look through, the choice is named."""
    assert sentence(schema, value, Cat=CAT, Bird=BIRD).startswith(expected)


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "object"}, 5, "The request body must be an object"),
        (False, 5, "The request body is not allowed"),
        ({"required": ["a"]}, {}, "A is required"),
        ({"properties": {"properties": {"type": "null"}}}, {"properties": 1}, "Properties must be null"),
        ({"properties": {"$ref": {"type": "null"}}}, {"$ref": 1}, "$ref must be null"),
        (
            {"properties": {"items": {"items": {"type": "null"}}}},
            {"items": [1]},
            "An item of items must be null",
        ),
    ],
)
def test_a_name_that_is_also_a_keyword_is_a_name(schema: Any, value: Any, expected: str) -> None:
    """What no member is concerned with is reported of the whole, and a member called like a keyword by its name."""
    assert expected == sentence(schema, value)


def test_a_type_is_found_through_references() -> None:
    """A rule of a named type is reported with the name of the member that uses the type."""
    schema = {"type": "object", "properties": {"size": {"$ref": "#/components/schemas/Size"}}}
    assert "Size must be 9 or less" == sentence(schema, {"size": 10}, Size={"maximum": 9})


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"$ref": "#/components/schemas/Key"}, "must be 'a' or 'b'"),
        ({"allOf": [{"$ref": "#/components/schemas/Keys"}]}, "must be 'a' or 'b'"),
        ({"$ref": "#/components/schemas/Nothing"}, "breaks the contract's rule 'propertyNames'"),
        (
            {"$id": "https://names.test/", "$defs": {"a": {"maxLength": 1}}, "$ref": "#/$defs/a"},
            "must be 1 character or less",
        ),
        (
            {"anyOf": [{"$ref": "#/components/schemas/Key"}, {"maxLength": 1}]},
            "breaks the contract's rule 'anyOf'",
        ),
        ({"allOf": [{"minLength": 1}, {"minLength": 6}]}, "must be 6 characters or more"),
    ],
)
def test_a_name_that_breaks_a_named_type(rules: Any, expected: str) -> None:
    """Of an object whose names are of a named type, as of `dict[Key, int]` in Python, the wrong name's rule is told."""
    named = {
        "Key": {"enum": ["a", "b"]},
        "Keys": {"$ref": "#/components/schemas/Key", "description": "Either"},
        "Map": {"propertyNames": rules},
        "Nothing": False,
    }
    schema = {
        "properties": {
            "size": {"$ref": "#/components/schemas/Map"},
            "sizes": {"items": {"propertyNames": rules}},
            "others": {"patternProperties": {"^o": {"propertyNames": rules}}},
        }
    }
    assert f"The name of a member of size {expected}" in sentence(schema, {"size": {"other": 1}}, **named)
    assert f"The name of a member of sizes {expected}" in sentence(schema, {"sizes": [{"other": 1}]}, **named)
    nested = {"others": {"of": {"other": 1}}}
    assert f"The name of a member of others {expected}" in sentence(schema, nested, **named)


@pytest.mark.parametrize(
    ("messages", "value", "expected"),
    [
        ({"maximum": "Too big: at most {maximum}"}, 10, "Too big: at most 9"),
        ({"maximum": "From {minimum} to {maximum}, say"}, 10, "From 1 to 9, say"),
        ({"maximum": "No {brace} here"}, 10, "No {brace} here"),
        ({"type": "Invalid size"}, "x", "Invalid size"),
        ({"type": "Invalid size", "null": "No size"}, None, "No size"),
        ({"type": "Invalid size"}, None, "Invalid size"),
        ({"minimum": "Too small"}, 10, "Size must be 9 or less"),
    ],
)
def test_the_contract_words_its_rules(messages: Any, value: Any, expected: str) -> None:
    """A sentence in `x-messages` is used for its keyword, with the values of the rules beside it."""
    assert expected == of_member(
        {"type": "integer", "minimum": 1, "maximum": 9, "x-messages": messages}, value
    )


def test_the_use_of_a_type_words_its_rules_anew() -> None:
    """Of the sentences of a type and of the member that uses it, the member's is used."""
    used = {"$ref": "#/components/schemas/Size", "x-messages": {"maximum": "At most {maximum} here"}}
    size = {"maximum": 9, "minimum": 1, "x-messages": {"maximum": "At most nine", "minimum": "At least one"}}
    schema = {"properties": {"size": used}}
    assert "At most 9 here" == sentence(schema, {"size": 10}, Size=size)
    assert "At least one" == sentence(schema, {"size": 0}, Size=size)


def test_a_missing_member_is_worded_where_the_member_is_declared() -> None:
    """A `required` sentence stands with the member, not with the object that asks for it."""
    member = {"type": "string", "x-messages": {"required": "Say how big"}}
    assert "Say how big" == sentence({"required": ["size"], "properties": {"size": member}}, {})
    assert "Colour is required" == sentence({"required": ["colour"], "properties": {"size": member}}, {})


def test_a_sentence_of_the_contract_comes_before_a_derived_one() -> None:
    """Of several broken rules the one that the contract words is reported, whichever comes first."""
    member = {"type": "string", "x-messages": {"required": "Say how big"}}
    schema = {"required": ["size"], "properties": {"size": member}, "additionalProperties": False}
    assert "Say how big" == sentence(schema, {"other": 1})


def test_all_violations_are_listed() -> None:
    """Each broken rule has its sentence, its keyword and a JSON pointer (RFC 6901) to where it was broken."""
    schema = {
        "type": "object",
        "required": ["size", "colour"],
        "properties": {"size": {"type": "string", "x-messages": {"required": "Say how big"}}},
        "additionalProperties": {"items": {"type": "integer"}},
        "maxProperties": 1,
    }
    violations = refusal(schema, {"a/b~": [1, "x"], "c": []}).violations()
    expected = [
        ("Say how big", "required", "/size", None),
        ("Colour is required", "required", "/colour", None),
        ("The request body must have 1 member or less", "maxProperties", "", None),
        ("A member of the request body must be an integer", "type", "/a~1b~0/1", None),
    ]
    assert sorted(expected) == sorted(map(tuple, violations))


@pytest.mark.parametrize(
    ("rules", "value", "expected"),
    [
        (
            {"minLength": 1, "pattern": "x", "x-messages": dict.fromkeys(("minLength", "pattern"), "Say it")},
            "",
            "Say it",
        ),
        ({"not": {"pattern": "x"}, "enum": ["a"], "type": "string"}, 5, "Size must be a string"),
        (
            {"not": {"pattern": "x"}, "type": "string", "x-messages": {"not": "No x"}},
            None,
            "Size must be a string",
        ),
        ({"allOf": [{"type": "string"}, {"type": "string", "minLength": 2}]}, 5, "Size must be a string"),
    ],
)
def test_one_mistake_is_listed_once(rules: Any, value: Any, expected: str) -> None:
    """A sentence is listed once for a place, and of a value of the wrong type nothing else is said."""
    refused = refusal({"properties": {"size": rules}}, {"size": value})
    assert (expected, [(expected, "/size")]) == (
        refused.reason,
        [(each.sentence, each.pointer) for each in refused.violations()],
    )


def test_a_violation_within_names_of_the_clients_is_short() -> None:
    """A pointer ends where it would be longer than a sentence, since a client chooses the names of members."""
    schema = {"additionalProperties": {"additionalProperties": {"type": "null"}}}
    [violation] = refusal(schema, {"a": {"b" * 600: 1}}).violations()
    assert "/a" == violation.pointer


def test_of_a_large_value_only_the_first_broken_rule_is_found() -> None:
    """Beyond 1,000 parts no second violation is looked for: in a large array there may be as many as items."""
    schema = {"items": {"type": "string", "x-messages": {"minLength": "Say something"}, "minLength": 1}}
    assert "Say something" == sentence(schema, [1, *("a" for _ in range(400)), ""])
    assert "An item of the request body must be a string" == sentence(schema, [1] * 1000 + [""])
    assert 1 == len(list(refusal(schema, [1] * 2000).violations()))
    assert 400 == len(list(refusal(schema, [1] * 400).violations()))


def test_a_very_long_rule_is_not_repeated() -> None:
    """A rule whose value would fill a page is reported by its keyword, so that an answer stays a sentence."""
    assert "Size breaks the contract's rule 'pattern'" == of_member({"pattern": "a" * 600}, "b")
    assert "Size must match the pattern " + "a" * 400 == of_member({"pattern": "a" * 400}, "b")


def test_a_rule_is_found_behind_a_dynamic_reference() -> None:
    """A rule that a `$dynamicRef` leads to is reported like any other, the `$id`s on the way followed."""
    schema = {
        "$id": "https://example.com/strict",
        "$dynamicAnchor": "node",
        "$ref": "tree",
        "properties": {"strict": {"maximum": 3}},
        "$defs": {
            "tree": {
                "$id": "tree",
                "$dynamicAnchor": "node",
                "properties": {"data": {"type": "integer"}, "child": {"$dynamicRef": "#node"}},
            }
        },
    }
    assert "Data must be an integer" == sentence(schema, {"data": "x"})
    assert "Strict must be 3 or less" == sentence(schema, {"child": {"strict": 4}})


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "The request body is required"),
        ({"$ref": "#/components/schemas/Size"}, "Say how big"),
        ({"$ref": "#/components/schemas/Size", "x-messages": {"required": "Well?"}}, "Well?"),
    ],
)
def test_what_is_missing_altogether(schema: Any, expected: str) -> None:
    """A value that must be given and is not is reported in the contract's words where there are any."""
    size = {"x-messages": {"required": "Say how big"}}
    missing = validator(schema, Size=size).missing()
    assert (expected, "required") == (missing.reason, next(missing.violations()).code)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=30).map(
    lambda text: f"secret{text}"
)
values = st.recursive(
    names, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
)
SCHEMAS = sorted(contract().document["components"]["schemas"])


@given(
    st.sampled_from(SCHEMAS),
    values | st.fixed_dictionaries({"title": values, "status": values, "description": values}),
)
def test_no_sentence_repeats_what_was_sent(schema: str, value: Any) -> None:
    """Whatever is sent for a schema of the contract, the sentence holds nothing of it."""
    subject = SpeakingValidator(contract(), f"/components/schemas/{schema}")
    assert subject.is_valid(value) or "secret" not in subject.refusal(value).reason


def test_a_sentence_names_the_members_that_may_be_given() -> None:
    """`{properties}` is the list of the rule's own members, without those that a request may not have."""
    messages = {"minProperties": "At least one field ({properties}) must be provided"}
    members = {"a": {}, "b": {}, "id": {"readOnly": True}, "c": {}}
    schema = {"minProperties": 1, "x-messages": messages, "properties": members}
    assert "At least one field (a, b or c) must be provided" == sentence(schema, {})
    assert "At least one field (a) must be provided" == sentence({**schema, "properties": {"a": {}}}, {})


def test_braces_take_lists_and_scalars() -> None:
    """A brace takes the value of a rule, a list as alternatives, and stays where there is no such rule."""
    assert "'a' or 2 or null, 3, {c}" == fill("{a}, {b}, {c}", {"a": ["a", 2, None], "b": 3})


CHOICE = {"oneOf": [{"items": {"const": number}} for number in range(50)], "x-messages": {"oneOf": "Choose"}}


def test_nothing_is_listed_of_the_branches_of_a_broken_choice() -> None:
    """Nobody reads what is wrong by each branch, which for a large value takes minutes to list."""
    made = contract_of(document(components={"schemas": {"Subject": CHOICE}}))
    error = next(made.faults.validator("/components/schemas/Subject").iter_errors(["x"] * 9))
    assert [1] == [len(branch) for branch in error.kind.as_dict()["context"]]


@pytest.mark.parametrize("value", [["x"], ["x"] * 1500])
def test_a_broken_choice_is_named_as_the_contract_has_it(value: Any) -> None:
    """A choice has its own sentence, wherever it stands, and whatever stands beside it or leads into it."""
    choice = {"allOf": [{"type": "array"}], **CHOICE}
    assert "Choose" == sentence(choice, value)
    assert "Choose" == sentence({"if": True, "then": choice}, value)
    assert "Choose" == sentence({"if": False, "else": CHOICE}, value)
    inner = {"$ref": "#/components/schemas/Subject/oneOf/0"}
    assert "Choose" == sentence({**choice, "properties": {"a": inner}}, value)


@pytest.mark.parametrize("reference", ["#/oneOf/0", "https://example.com/it#/oneOf/0", "#/$defs/it/oneOf/0"])
def test_a_broken_choice_is_named_where_a_reference_within_an_id_leads_into_it(reference: str) -> None:
    """What a reference that is relative to an `$id` leads to is found where faults are looked for too."""
    schema = {**CHOICE, "$id": "https://example.com/it", "properties": {"a": {"$ref": reference}}}
    assert "Choose" == sentence({**schema, "$defs": {"it": CHOICE}}, ["x"])
