"""Columns and constraints that are read from a contract: every kind of member, and what PostgreSQL makes of them."""

import re
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from db.contract_columns import checks, column, member
from openapi.bridge.document.places import ContractError
from tests.support.clusters import Cluster, run
from tests.support.contracts import contract_of, document

NO_NUL = {"pattern": r"^[^\u0000]*$"}
SCHEMAS: dict[str, Any] = {
    "Text": {"type": "string", "maxLength": 3, **NO_NUL},
    "Nullable": {"anyOf": [{"$ref": "#/components/schemas/Text"}, {"type": "null"}]},
    "Named": {"$ref": "#/components/schemas/Text"},
    "Base": {"type": "object", "properties": {"inherited": {"type": "boolean", "default": True}}},
}
# By member: its schema, the column's type with what follows it, and the constraints: name and rule.
MEMBERS: dict[str, tuple[Any, str, dict[str, str]]] = {
    "whole": (
        {"type": "integer", "minimum": -1, "format": "int64"},
        "BIGINT NOT NULL",
        {"minimum_-1": "whole >= -1"},
    ),
    "price": (
        {"type": "number", "exclusiveMinimum": 0, "maximum": 9.5, "multipleOf": 0.5, "default": 1.5},
        "NUMERIC DEFAULT 1.5 NOT NULL",
        {"exclusiveminimum_0": "price > 0", "maximum_9.5": "price <= 9.5"},
    ),
    "key": ({"type": "string", "format": "uuid", "maxLength": 36}, "UUID NOT NULL", {}),
    "moment": (
        {"type": "string", "format": "date-time", "pattern": "Z$", "not": {"pattern": "^0000"}},
        "TIMESTAMP WITH TIME ZONE NOT NULL",
        {"years_1_9999": "moment BETWEEN '0001-01-01T00:00Z' AND '9999-12-31T23:59:59.999999Z'"},
    ),
    "day": (
        {"type": ["string", "null"], "format": "date", "not": {"pattern": "^0000"}},
        "DATE",
        {"years_1_9999": "day BETWEEN '0001-01-01' AND '9999-12-31'"},
    ),
    "named": (
        {"$ref": "#/components/schemas/Named"},
        "TEXT NOT NULL",
        {"length_0_3": "char_length(named) BETWEEN 0 AND 3"},
    ),
    "nullable": (
        {"$ref": "#/components/schemas/Nullable"},
        "TEXT",
        {"length_0_3": "char_length(nullable) BETWEEN 0 AND 3"},
    ),
    "either": (
        {"anyOf": [{"type": "string", "maxLength": 1}, {"type": "string", "maxLength": 2}], **NO_NUL},
        "TEXT NOT NULL",
        {},
    ),
    "made": (
        {"type": "string", "format": "date-time", "readOnly": True},
        "TIMESTAMP WITH TIME ZONE NOT NULL",
        {"years_1_9999": "made BETWEEN '0001-01-01T00:00Z' AND '9999-12-31T23:59:59.999999Z'"},
    ),
    "inherited": ({}, "BOOLEAN DEFAULT true NOT NULL", {}),
    "objects": (
        {"type": "array", "items": {"type": "object"}, "default": []},
        "JSONB DEFAULT '[]' NOT NULL",
        {},
    ),
    "object": ({"type": ["object", "null"]}, "JSONB", {}),
    "numbers": ({"type": "array", "items": {"type": "integer"}, "maxItems": 2}, "JSONB NOT NULL", {}),
    "texts": (
        {"type": "array", "items": {"$ref": "#/components/schemas/Text"}, "minItems": 1, "maxItems": 2},
        "TEXT[] NOT NULL",
        {
            "items_1_2": "cardinality(texts) BETWEEN 1 AND 2",
            "item_length_0_3": "NOT jsonb_path_exists(jsonb_object(texts, texts), "
            """'$.* ? (!(@ like_regex "^.{0,3}$" flag "s"))')""",
        },
    ),
    "defaults": (
        {"type": "array", "items": {"type": "string", **NO_NUL}, "default": ['a"b', "c\\d"]},
        """TEXT[] DEFAULT '{"a\\"b","c\\\\d"}' NOT NULL""",
        {},
    ),
    "grade": ({"type": ["integer", "null"], "enum": [1, 2, None]}, "BIGINT", {"1_2": "grade IN (1, 2)"}),
}
THING = {
    "allOf": [
        {"$ref": "#/components/schemas/Base"},
        {
            "type": "object",
            "properties": {name: schema for name, (schema, *_) in MEMBERS.items() if name != "inherited"},
        },
    ]
}
CONTRACT = contract_of(document(components={"schemas": {**SCHEMAS, "Thing": THING}}))


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_becomes_a_column(name: str) -> None:
    """A member's type, format, default and limits become a column and constraints that say their values."""
    _, definition, expected = MEMBERS[name]
    schema = member(CONTRACT, "Thing", name)
    created = str(
        CreateTable(Table("things", MetaData(), column(name, schema))).compile(dialect=postgresql.dialect())
    )
    assert f"{name} {definition}" == created.partition("\t")[2].partition("\n")[0]
    assert {f"things_{name}_{end}": rule for end, rule in expected.items()} == {
        str(each.name): str(each.sqltext) for each in checks("things", name, schema)
    }


def test_postgresql_takes_them_all(database_url: str) -> None:
    """PostgreSQL makes the table, and a row of defaults and nulls keeps its constraints."""
    schemas = {name: member(CONTRACT, "Thing", name) for name in MEMBERS}
    columns: list[Column[Any]] = [column(name, schema) for name, schema in schemas.items()]
    rules = [rule for name, schema in schemas.items() for rule in checks("things", name, schema)]
    created = str(
        CreateTable(Table("things", MetaData(), *columns, *rules)).compile(dialect=postgresql.dialect())
    )
    with Cluster(database_url).database() as url:
        run(url, created.replace("%%", "%"))
        given = "whole, price, key, moment, made, named, either, objects, numbers, texts"
        values = "0, 2, gen_random_uuid(), now(), now(), 'abc', '', '[]', '[]', '{a,a}'"
        stored = run(url, f"INSERT INTO things ({given}) VALUES ({values}) RETURNING defaults, inherited")
        assert [(['a"b', "c\\d"], True)] == stored


def test_a_column_of_texts_has_postgresql_s_operators() -> None:
    """Statements may ask an array of texts what PostgreSQL can, such as whether it contains another one."""
    texts = column("texts", member(CONTRACT, "Thing", "texts"))
    assert "texts @> texts" == str(texts.contains(texts).compile(dialect=postgresql.dialect()))


@pytest.mark.parametrize("name", ["user", "vat-id"])
def test_a_name_that_sql_takes_for_something_else(name: str) -> None:
    """A constraint is about the column, whatever its name would mean in SQL."""
    (found,) = checks("things", name, {"type": "string", "maxLength": 3})
    assert f'char_length("{name}") BETWEEN 0 AND 3' == str(found.sqltext)


def test_a_name_that_postgresql_would_cut() -> None:
    """A constraint's name that would be too long has a digest of its values."""
    schema = {"type": "string", "enum": [f"one of many words {number}" for number in range(9)]}
    (found,) = checks("things", "word", schema)
    assert re.fullmatch("things_word_[0-9a-f]{8}", str(found.name))


@pytest.mark.parametrize(
    ("schema", "name", "sentence"),
    [
        ("Thing", "missing", "#/components/schemas/Thing: a table has a column for its member 'missing', "),
        ("Things", "whole", "#/components/schemas/Things: a table has a column for its member 'whole', "),
    ],
)
def test_a_member_that_is_not_there(schema: str, name: str, sentence: str) -> None:
    """A member that the contract does not have is named in one line."""
    with pytest.raises(ContractError, match=f"^{re.escape(sentence)}which it does not have$"):
        member(CONTRACT, schema, name)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, r'"\u0000"'),
        ({"type": "string", "minLength": 3}, r'"aa\u0000"'),
        ({"type": ["array", "null"], "items": {"type": "string"}}, r'"\u0000"'),
        ({"type": "integer"}, "9223372036854775808"),
        ({"type": "string", "format": "date"}, '"0000-01-01"'),
        ({"type": "string", "format": "date-time", "pattern": "^[^0]"}, '"9999-12-31T23:59:59-01:00"'),
    ],
)
def test_a_member_that_no_column_holds(schema: Any, value: str) -> None:
    """What the contract allows and a column does not is named, unless no request can hold it."""
    contract = contract_of(document(components={"schemas": {"Thing": {"properties": {"x": schema}}}}))
    sentence = f"#/components/schemas/Thing: x may be {value}, which no column holds: exclude it"
    with pytest.raises(ContractError, match=f"^{re.escape(sentence)} by a rule such as `pattern`, or write"):
        member(contract, "Thing", "x")
    answered = {"Thing": {"properties": {"x": {**schema, "readOnly": True}}}}
    assert member(contract_of(document(components={"schemas": answered})), "Thing", "x")["readOnly"]


@pytest.mark.parametrize(
    ("schema", "types"), [({"type": ["string", "integer"]}, 2), ({"type": "null"}, 0), ({}, 0)]
)
def test_a_schema_that_is_no_column(schema: Any, types: int) -> None:
    """What has not one type is refused with what would be right."""
    sentence = (
        f"the column x is made from a schema of {types} types beside null: write it as a Column instead"
    )
    with pytest.raises(ContractError, match=f"^{re.escape(sentence)}$"):
        column("x", schema)
