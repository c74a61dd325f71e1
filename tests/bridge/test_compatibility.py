"""What a change of the contract means to its clients: to those who send, and to those who read."""

from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.bridge.diff.compatibility import Difference, differences
from openapi.bridge.diff.narrowing import NEW_MEMBER, Effect, changes
from openapi.bridge.document.schemas import Schema, Schemas
from openapi.contract import contract
from tests.support.contracts import Json, contract_of, document, operation

BREAKING, COMPATIBLE = True, False
BOTH, SENDERS, READERS, NOBODY = (True, True), (True, False), (False, True), (False, False)
TEXT = {"type": "string"}
JSON, FORM, OBJECT = "application/json", "application/x-www-form-urlencoded", {"type": "object"}
READ_ONLY, WRITE_ONLY = {"a": {"readOnly": True}}, {"a": {"writeOnly": True}}
CANNOT_TELL = "is another, and what that means cannot be told"


def effects(old: Any, new: Any) -> list[tuple[Effect, str]]:
    """What the change of one schema means; both may refer to `Named`, which is a text of up to 9 characters."""
    sides = (
        Schemas(
            {
                "components": {
                    "schemas": {"It": schema, "Named": {"type": "string", "maxLength": 9, "title": title}}
                }
            }
        ).at("/components/schemas/It")
        for schema, title in ((old, "before"), (new, "after"))
    )
    return [tuple(change) for change in changes(*sides)]


@pytest.mark.parametrize(
    ("old", "new", "breaks", "sentence"),
    [
        ({"maxLength": 9}, {"maxLength": 8}, SENDERS, "maxLength was 9, is 8"),
        ({"maxLength": 8}, {"maxLength": 9}, READERS, "maxLength was 8, is 9"),
        ({}, {"maximum": 0}, SENDERS, "maximum was none, is 0"),
        ({"minimum": 1.5}, {"minimum": 2}, SENDERS, "minimum was 1.5, is 2"),
        ({"exclusiveMinimum": 1}, {}, READERS, "exclusiveMinimum was 1, is none"),
        ({}, {"minItems": 1}, SENDERS, "minItems was 0, is 1"),
        ({}, {"pattern": "^a"}, SENDERS, 'pattern was none, is "^a"'),
        ({"format": "date"}, {}, READERS, 'format was "date", is none'),
        ({"pattern": "^a"}, {"pattern": "^b"}, BOTH, 'pattern was "^a", is "^b"'),
        ({"surprise": 1}, {"surprise": 2}, BOTH, "surprise was 1, is 2"),
        ({"default": 1}, {"default": 2}, SENDERS, "default was 1, is 2"),
        (TEXT, {"type": ["string", "null"]}, READERS, "the types were string; now null, string"),
        ({"type": "number"}, {"type": "integer"}, SENDERS, "the types were integer, number; now integer"),
        (TEXT, {"type": "null"}, BOTH, "the types were string; now null"),
        ({"enum": [1]}, {"enum": [1, 2]}, READERS, "the values were 1; now 1, 2"),
        ({"enum": [1, 2]}, {"const": 1}, SENDERS, "the values were 1, 2; now 1"),
        ({"enum": [1]}, {}, READERS, "the values were 1; now any"),
        ({"required": ["a"]}, {}, READERS, "a: is not required any more"),
        ({}, {"required": ["a"]}, SENDERS, "a: is required now"),
        ({"items": TEXT}, {"items": {"type": "null"}}, BOTH, "[]: the types were string; now null"),
        ({"not": TEXT}, {"not": {"type": "null"}}, BOTH, f"not {CANNOT_TELL}"),
        ({"anyOf": [TEXT]}, {"anyOf": [True]}, BOTH, f"anyOf {CANNOT_TELL}"),
        ({"anyOf": [TEXT]}, {"anyOf": [TEXT, True]}, READERS, "anyOf has more schemas"),
        ({"anyOf": [TEXT, True]}, {"anyOf": [TEXT]}, SENDERS, "anyOf has fewer schemas"),
        ({"oneOf": [TEXT]}, {"oneOf": [TEXT, True]}, BOTH, f"oneOf {CANNOT_TELL}"),
        ({"readOnly": True}, {}, SENDERS, "readOnly was true, is none"),
        ({}, {"writeOnly": True}, READERS, "writeOnly was none, is true"),
        (True, False, SENDERS, "is not allowed any more"),
        (False, {}, READERS, "is allowed now"),
        ({"properties": {"a": TEXT}}, {"properties": {}}, BOTH, "a: is gone"),
        ({"properties": {}}, {"properties": {"a": TEXT}}, SENDERS, "a: is new"),
        ({"properties": {"a": TEXT}}, {}, BOTH, "a: is gone"),
        ({}, {"properties": {"a": TEXT}}, SENDERS, "a: is new"),
        (
            {"properties": READ_ONLY},
            {"properties": READ_ONLY, "required": ["a"]},
            NOBODY,
            "a: is required now",
        ),
        (
            {"properties": WRITE_ONLY, "required": ["a"]},
            {"properties": WRITE_ONLY},
            NOBODY,
            "a: is not required any more",
        ),
        (
            {"additionalProperties": TEXT, "unevaluatedProperties": False},
            {"additionalProperties": TEXT},
            BOTH,
            f"unevaluatedProperties {CANNOT_TELL}",
        ),
        (
            {"additionalProperties": TEXT, "unevaluatedProperties": False, "properties": {}},
            {"unevaluatedProperties": False, "properties": {}},
            BOTH,
            f"additionalProperties {CANNOT_TELL}",
        ),
        (
            {"unevaluatedItems": False},
            {"items": TEXT, "unevaluatedItems": False},
            BOTH,
            f"items {CANNOT_TELL}",
        ),
        (
            {"contentSchema": {"$ref": "#/components/schemas/Named"}},
            {"contentSchema": TEXT},
            BOTH,
            f"contentSchema {CANNOT_TELL}",
        ),
        (
            {"properties": {}, "additionalProperties": False},
            {"properties": {"a": TEXT}, "additionalProperties": False},
            NOBODY,
            "a: is new",
        ),
        ({"additionalProperties": False}, {"additionalProperties": TEXT}, NOBODY, "*: is allowed now"),
        ({"additionalProperties": TEXT}, {"additionalProperties": True}, READERS, "*: the types were string; now any"),
        (
            {"properties": {"a": {"properties": {"b": TEXT}}}},
            {"properties": {"a": {"properties": {"b": {**TEXT, "minLength": 1}}}}},
            SENDERS,
            "a.b: minLength was 0, is 1",
        ),
        ({"$ref": "#/components/schemas/Named"}, {**TEXT, "maxLength": 8}, SENDERS, "maxLength was 9, is 8"),
    ],
)  # fmt: skip
def test_each_rule_has_a_direction(old: Any, new: Any, breaks: tuple[bool, bool], sentence: str) -> None:
    """A tighter rule breaks who sends, a looser one who reads, and one that cannot be judged both."""
    assert [(Effect(*breaks), sentence)] == effects(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"$ref": "#/components/schemas/Named"}, {"type": "string", "maxLength": 9}),
        ({"maxLength": 9, "minLength": 0}, {"allOf": [{"maxLength": 9}, {"maxLength": 10}]}),
        ({"description": "a", "x-messages": {"type": "b"}}, {"title": "c", "examples": [1]}),
        ({"properties": {"a": {"$ref": "#/components/schemas/It"}}},) * 2,
        ({"enum": [1]}, {"const": 1}),
        (False, False),
        ({"type": "object"}, {"type": "object", "additionalProperties": True, "properties": {}}),
        ({}, {"readOnly": False, "uniqueItems": False, "nullable": False, "definitions": {"a": True}}),
    ],
)
def test_what_means_the_same_is_no_difference(old: Any, new: Any) -> None:
    """Neither texts for people nor the way in which rules are laid together make a difference."""
    assert [] == effects(old, new)


def test_a_keyword_counts_beside_its_neighbours() -> None:
    """What moves from one part of an `allOf` to another may mean another thing there."""

    def found(keyword: str, neighbour: Json) -> list[tuple[Effect, str]]:
        first, second = {keyword: {"maxLength": 1}}, {keyword: {"maxLength": 2}}
        old, new = {"allOf": [first | neighbour, second]}, {"allOf": [first, second | neighbour]}
        return effects(old, new)

    assert [(BOTH, f"prefixItems {CANNOT_TELL}")] * 2 == found("items", {"prefixItems": [True]})
    assert [(BOTH, f"contains {CANNOT_TELL}")] * 2 == found("contains", {"minContains": 0})
    expected = [(BOTH, f"patternProperties {CANNOT_TELL}")] * 2
    assert expected == found("additionalProperties", {"patternProperties": {"a": True}})


def test_what_is_turned_round_by_a_part_of_its_own() -> None:
    """Where a schema bars itself, more of it is also less."""
    old, new = (
        {"maxLength": limit, "properties": {"a": {"not": {"$ref": "#/components/schemas/It"}}}}
        for limit in (5, 9)
    )
    expected = [(READERS, "maxLength was 5, is 9"), (BOTH, f"a: not {CANNOT_TELL}")]
    assert sorted(expected) == sorted(effects(old, new))


@pytest.mark.parametrize("choice", [lambda schema: schema, lambda schema: {"anyOf": [TEXT, schema]}])
def test_schemas_that_refer_to_one_another(choice: Callable[[Json], Json]) -> None:
    """Each is compared once, however many ways lead to it."""
    names = [f"S{number}" for number in range(200)]

    def start(**further: Any) -> Schema:
        schemas: Json = {
            name: {
                "properties": {
                    to: choice({"$ref": f"#/components/schemas/{to}"}) for to in names[at : at + 9]
                }
            }
            for at, name in enumerate(names)
        }
        schemas[names[-1]]["properties"]["S0"] = choice({"$ref": "#/components/schemas/S0"})
        schemas[names[-1]] |= further
        return Schemas({"components": {"schemas": schemas}}).at("/components/schemas/S0")

    assert [] == changes(start(), start())
    assert changes(start(), start(maxLength=1))


PLAIN = [None, True, 0, 1, 1.5, 2, 3, "", "a", "ab", "abc", [], [1], ["a", "a"], [1, 2, "a"]]
OBJECTS = [{}, *({name: value} for name in "ab" for value in PLAIN), *({"a": one, "b": "a"} for one in PLAIN)]
VALUES = [*PLAIN, *OBJECTS, *([each] for each in OBJECTS), *({"a": each} for each in OBJECTS)]

limits = st.integers(0, 2)
types = st.sampled_from(["null", "integer", "number", "string", "array", "object"])
RULES = {
    "type": types | st.lists(types, min_size=1, unique=True),
    **dict.fromkeys(
        ("minLength", "maxLength", "minimum", "exclusiveMaximum", "minItems", "maxProperties"), limits
    ),
    "pattern": st.sampled_from(["a", "^$"]),
    "uniqueItems": st.booleans(),
    "enum": st.lists(st.sampled_from(PLAIN), min_size=1, max_size=3),
    "required": st.lists(st.sampled_from("ab"), unique=True),
}


def rule(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """One rule, whose own schemas are drawn from `below`."""
    named = st.dictionaries(st.sampled_from("ab"), below, min_size=1)
    single = ("items", "additionalProperties", "not", "if", "then", "unevaluatedProperties", "contains")
    nested = {
        **dict.fromkeys(("properties", "patternProperties"), named),
        **dict.fromkeys(single, below),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), st.lists(below, min_size=1, max_size=2)),
    }
    return st.one_of([st.fixed_dictionaries({key: drawn}) for key, drawn in (RULES | nested).items()])


rules = rule(rule(st.booleans()) | st.booleans())
rule_sets = st.lists(rules, max_size=3).map(
    lambda drawn: {key: value for each in drawn for key, value in each.items()}
)
PLACES = [
    lambda schema: schema,
    lambda schema: {"properties": {"a": schema}, "additionalProperties": False},
    lambda schema: {"additionalProperties": schema},
    lambda schema: {"items": schema},
    lambda schema: {"allOf": [schema, {"properties": {"a": True}}]},
    lambda schema: {"anyOf": [schema, {"type": "null"}]},
    lambda schema: {"not": schema},
]


@given(rule_sets, rules, st.sampled_from(PLACES), st.booleans())
def test_what_is_called_harmless_is(
    base: Json, rule: Json, place: Callable[[Json], Json], added: bool
) -> None:
    """Where a change is said to break no sender, what was valid is; no reader, what is valid was."""
    old, new = (place(base), place({**base, **rule}))[:: 1 if added else -1]
    found = [effect for effect, _ in effects(old, new)]
    was, now = (jsonschema_rs.Draft202012Validator(schema) for schema in (old, new))
    before = {index for index, value in enumerate(VALUES) if was.is_valid(value)}
    after = {index for index, value in enumerate(VALUES) if now.is_valid(value)}
    if not any(effect.senders for effect in found):
        assert before <= after
    if not any(effect.readers or effect == NEW_MEMBER for effect in found):
        assert after <= before


def api(method: str = "get", path: str = "/things", secured: bool = True, **fields: Any) -> Json:
    """A document with one operation."""
    scheme = {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}}
    made = document({path: {method: {**operation(), **fields}}}, security=[{"bearer": []}] if secured else [])
    made["components"] |= scheme
    return made


def query(**fields: Any) -> Json:
    """A document whose operation takes one query parameter."""
    return api(parameters=[{"name": "size", "in": "query", "schema": {"type": "integer"}, **fields}])


def body(media_type: str = "application/json", **fields: Any) -> Json:
    """A document whose operation takes a body of a text."""
    return api("post", requestBody={"content": {media_type: {"schema": TEXT}}, **fields})


def queries(schema: Json) -> Json:
    """A document whose operation takes that parameter with another schema, and one more."""
    made = query(schema=schema)
    made["paths"]["/things"]["get"]["parameters"].append({"name": "id", "in": "query", "schema": TEXT})
    return made


def taking(name: str, content: Json, *more: Any, **fields: Any) -> Json:
    """A document whose operation takes a body of one media type, or of a second one too."""
    contents = {name: content | fields, **dict([more] if more else [])}
    return api("post", requestBody={"content": contents})


def answering(contents: Json) -> Json:
    """A document whose operation answers with JSON, by status."""
    described = {status: {"description": "", "content": {JSON: each}} for status, each in contents.items()}
    return api(responses=described)


def answer(status: str = "200", **fields: Any) -> Json:
    """A document whose operation answers with a response like this, beside 200."""
    responses = {"200": {"description": "Done"}, status: {"description": "", **fields}}
    return api(responses=responses)


def header(**fields: Any) -> Json:
    """A document whose operation answers with one header."""
    return answer(headers={"Size": {"schema": TEXT, **fields}})


@pytest.mark.parametrize(
    ("old", "new", "breaking", "sentence"),
    [
        (api(), api(path="/others"), [BREAKING, COMPATIBLE], ["the operation is gone", "the operation is new"]),
        (api(), api(operationId="do"), BREAKING, "the operationId was act, is do"),
        (api(), api(secured=False), COMPATIBLE, "a token is not needed now"),
        (api(secured=False), api(), BREAKING, "a token is needed now"),
        (api(), query(), COMPATIBLE, "the query parameter size is new"),
        (api(), query(required=True), BREAKING, "the query parameter size is new"),
        (query(), api(), BREAKING, "the query parameter size is gone"),
        (query(), query(required=True), BREAKING, "it is required now"),
        (query(required=True), query(), COMPATIBLE, "it is not required now"),
        (query(), query(explode=False), BREAKING, "it is written in another way"),
        (query(), query(**{"x-owner": "team-a"}), [], []),
        (query(), query(schema={"type": "number"}), COMPATIBLE, "the types were integer; now integer, number"),
        (api("post"), body(), COMPATIBLE, "the body is new"),
        (body(required=True), body(), COMPATIBLE, "it is not required now"),
        (api("post"), body(required=True), BREAKING, "the body is new"),
        (body(), api("post"), BREAKING, "the body is gone"),
        (
            body(),
            body("application/x+json"),
            [BREAKING, COMPATIBLE],
            ["the media type application/json is gone", "the media type application/x+json is new"],
        ),
        (answer(), answer("404"), COMPATIBLE, "the answer 404 is new"),
        (answer(), answer("202"), BREAKING, "the answer 202 is new"),
        (answer("404"), answer(), BREAKING, "the answer 404 is gone"),
        (answer(), answer(content={"text/plain": {}}), BREAKING, "the media type text/plain is new"),
        (answer(), header(), COMPATIBLE, "the header size is new"),
        (header(), answer(), BREAKING, "the header size is gone"),
        (
            header(),
            answer(headers={"Size": {"content": {"text/plain": {}}}}),
            BREAKING,
            "header size: it is written in another way",
        ),
        (header(), header(required=True), COMPATIBLE, "header size: it is required now"),
        (header(required=True), header(), BREAKING, "header size: it is not required now"),
        (header(), header(schema={**TEXT, "maxLength": 9}), COMPATIBLE, "header size: maxLength was none, is 9"),
        (header(), header(explode=True), BREAKING, "header size: it is written in another way"),
        (query(), query(allowEmptyValue=True), COMPATIBLE, "it may be empty now"),
        (query(allowEmptyValue=True), query(), BREAKING, "it may not be empty now"),
        (query(schema=OBJECT), queries(OBJECT), BREAKING, "the query parameter id is new"),
        (query(), queries({"type": "integer"}), COMPATIBLE, "the query parameter id is new"),
        (taking(FORM, {}), taking(FORM, {}, encoding={"a": {}}), BREAKING, "its members are written in another way"),
        (taking(JSON, {"schema": True}), taking(JSON, {}), [], []),
        (taking(JSON, {}), taking("Application/JSON; charset=utf-8", {}), [], []),
        (taking(JSON, {}), taking("*/*", {}), COMPATIBLE, "the media type */* is new"),
        (taking("*/*", {}), taking("*/*", {}, JSON, {"schema": TEXT}), BREAKING, "the types were any; now string"),
        (answering({"4XX": {}}), answering({"4XX": {}, "404": {}}), [], []),
        (answering({"404": {}}), answering({"4XX": {}}), COMPATIBLE, "the answer 4XX is new"),
        (answering({"201": {}}), answering({"2XX": {}}), BREAKING, "the answer 2XX is new"),
        (
            answering({"default": {"schema": TEXT}}),
            answering({"default": {"schema": TEXT}, "404": {}}),
            BREAKING,
            "the types were string; now any",
        ),
        (api(operationId="act"), api(responses={"200": {"description": "Done"}, "x-like": "y"}), [], []),
    ],
)  # fmt: skip
def test_operations_are_compared_part_by_part(
    old: Json, new: Json, breaking: bool | list[bool], sentence: str | list[str]
) -> None:
    """What a client of the old contract sends must still be taken, and what it is answered be what it expects."""
    found = differences(contract_of(old), contract_of(new))
    if isinstance(sentence, str):
        breaking, sentence = [breaking], [sentence]
    assert list(zip(breaking, sentence, strict=True)) == [(each.breaking, each.sentence) for each in found]


SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "token": {"type": "http", "scheme": "Bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "Key"},
    "identity": {"type": "openIdConnect", "openIdConnectUrl": "https://a.example"},
    "login": {
        "type": "oauth2",
        "flows": {"implicit": {"authorizationUrl": "https://a.example", "scopes": {}}},
    },
}


@pytest.mark.parametrize(
    ("old", "new", "breaking", "sentences"),
    [
        ([{"bearer": []}], [{"token": []}], [], []),
        ([{"bearer": []}], [{"bearer": []}, {"key": []}], [COMPATIBLE], ["apiKey header key is enough now"]),
        (
            [{"bearer": []}, {"key": []}],
            [{"bearer": []}],
            [BREAKING],
            ["apiKey header key is not enough any more"],
        ),
        ([{"bearer": [], "key": []}], [{"key": []}], [COMPATIBLE], ["apiKey header key is enough now"]),
        (
            [{"login": ["read"]}],
            [{"login": ["read", "write"]}],
            [BREAKING],
            ["oauth2 and oauth2 scope read is not enough any more"],
        ),
        ([{"login": ["read"]}], [{"login": []}], [COMPATIBLE], ["oauth2 is enough now"]),
        (
            [{"identity": []}],
            [{"bearer": []}],
            [BREAKING, COMPATIBLE],
            ["openIdConnect https://a.example is not enough any more", "http bearer is enough now"],
        ),
        ([{"bearer": []}, {}], [{"bearer": []}], [BREAKING], ["a token is needed now"]),
    ],
)
def test_what_was_enough_must_be_enough(
    old: list[Json], new: list[Json], breaking: list[bool], sentences: list[str]
) -> None:
    """Credentials are compared by what is sent, not by the names of their schemes."""
    documents = (api(security=security) for security in (old, new))
    components = {"components": {"securitySchemes": SCHEMES}}
    found = differences(*(contract_of(document | components) for document in documents))
    assert list(zip(breaking, sentences, strict=True)) == [each[:2] for each in found]


def test_an_operation_without_an_operation_id() -> None:
    """It has no name that could have changed."""

    def nameless(path: str, name: str) -> Json:
        made = api(path=path, parameters=[{"name": name, "in": "path", "required": True, "schema": TEXT}])
        del made["paths"][path]["get"]["operationId"]
        return made

    sides = nameless("/things/{id}", "id"), nameless("/things/{key}", "key")
    assert [] == differences(*map(contract_of, sides))


def test_the_names_of_path_parameters_are_not_sent() -> None:
    """A path is the same whatever it calls its parameters, and what they may be is compared."""

    def paths(name: str, limit: int) -> Json:
        schema = {"type": "string", "maxLength": limit}
        parameter = {"name": name, "in": "path", "required": True, "schema": schema}
        return api(path=f"/things/{{{name}}}", parameters=[parameter])

    assert [] == differences(contract_of(paths("id", 5)), contract_of(paths("key", 5)))
    expected = Difference(BREAKING, "maxLength was 5, is 4", "path parameter key", "GET /things/{key}")
    assert [expected] == differences(contract_of(paths("id", 5)), contract_of(paths("key", 4)))


def test_a_smaller_limit_of_bodies_breaks() -> None:
    """The largest body that is read is a rule like any other."""
    smaller = body()
    smaller["components"]["responses"]["ContentTooLarge"]["x-max-body-bytes"] = 100
    sides = contract_of(body()), contract_of(smaller)
    assert [(BREAKING, "x-max-body-bytes was 1024, is 100")] == [each[:2] for each in differences(*sides)]
    assert [COMPATIBLE] == [each.breaking for each in differences(*reversed(sides))]


def test_a_contract_is_compatible_with_itself() -> None:
    """The service's own contract does not differ from itself."""
    assert [] == differences(contract(), contract())
