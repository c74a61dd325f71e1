"""Parameters from the wire to typed values: OpenAPI's styles, types, names and defaults."""

import gc
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.bridge.failures import BadRequest
from openapi.bridge.request.coercion import ways
from openapi.bridge.request.parameters import ParameterReader
from tests.support.contracts import Json, contract_of, document, operation

COLOURS = ["blue", "black", "brown"]
RGB = {"R": 100, "G": 200, "B": 150}
STRING = {"type": "string"}
ARRAY = {"type": "array", "items": {"type": "string"}}
OBJECT = {
    "type": "object",
    "properties": {name: {"type": "integer"} for name in "RGB"},
    "additionalProperties": False,
}


def reader(*parameters: Json, **fields: Any) -> ParameterReader:
    """What reads these parameters; those of the path are put into it."""
    path = "".join(f"/{{{each['name']}}}" for each in parameters if each["in"] == "path")
    made = operation(parameters=[*parameters], **fields)
    contract = contract_of(document({f"/things{path}": {"post" if "requestBody" in fields else "get": made}}))
    return ParameterReader(contract, contract.operations["act"])


def parameter(where: str, schema: Any, name: str = "color", **fields: Any) -> Json:
    """A parameter object; one in a path is required, as OpenAPI has it."""
    required = {"required": True} if where == "path" else {}
    return {"name": name, "in": where, "schema": schema, **required, **fields}


def scope(query: str = "", path: str | None = None, **headers: str) -> Json:
    """A request with this query, this text for the path's parameter, and headers whose names have `_` for `-`."""
    fields = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {
        "query_string": query.encode("latin-1"),
        "path_params": {} if path is None else {"color": path},
        "headers": fields,
    }


def read(declared: Json, **sent: Any) -> Any:
    """The value of the one parameter."""
    return reader(declared).read(scope(**sent))["color"]


def refusal(reading: ParameterReader, request: Json) -> str:
    """The sentence with which a request is refused."""
    with pytest.raises(BadRequest) as refused:
        reading.read(request)
    return refused.value.reason


# The table "Style Examples" of OpenAPI 3.1: where, style, explode, and the texts of "", "blue", an array and an object.
STYLES = [
    ("path", "matrix", False, ";color", ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"),
    (
        "path",
        "matrix",
        True,
        ";color",
        ";color=blue",
        ";color=blue;color=black;color=brown",
        ";R=100;G=200;B=150",
    ),
    ("path", "label", False, ".", ".blue", ".blue,black,brown", ".R,100,G,200,B,150"),
    ("path", "label", False, ".", ".blue", ".blue.black.brown", ".R.100.G.200.B.150"),
    ("path", "label", True, ".", ".blue", ".blue.black.brown", ".R=100.G=200.B=150"),
    ("path", "simple", False, None, "blue", "blue,black,brown", "R,100,G,200,B,150"),
    ("path", "simple", True, None, "blue", "blue,black,brown", "R=100,G=200,B=150"),
    ("header", "simple", False, "", "blue", "blue,black,brown", "R,100,G,200,B,150"),
    ("header", "simple", True, "", "blue", "blue,black,brown", "R=100,G=200,B=150"),
    ("query", "form", False, "color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"),
    (
        "query",
        "form",
        True,
        "color=",
        "color=blue",
        "color=blue&color=black&color=brown",
        "R=100&G=200&B=150",
    ),
    ("cookie", "form", False, "color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"),
    (
        "cookie",
        "form",
        True,
        "color=",
        "color=blue",
        "color=blue&color=black&color=brown",
        "R=100; G=200; B=150",
    ),
    (
        "query",
        "spaceDelimited",
        False,
        None,
        None,
        "color=blue%20black%20brown",
        "color=R%20100%20G%20200%20B%20150",
    ),
    ("query", "spaceDelimited", False, None, None, "color=blue+black+brown", "color=R+100+G+200+B+150"),
    ("query", "spaceDelimited", True, None, None, "color=blue&color=black&color=brown", None),
    (
        "query",
        "pipeDelimited",
        False,
        None,
        None,
        "color=blue%7Cblack%7Cbrown",
        "color=R%7C100%7CG%7C200%7CB%7C150",
    ),
    ("query", "pipeDelimited", False, None, None, "color=blue|black|brown", "color=R|100|G|200|B|150"),
    ("query", "pipeDelimited", True, None, None, "color=blue&color=black&color=brown", None),
    ("query", "deepObject", True, None, None, None, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
    ("query", "deepObject", False, None, None, None, "color[R]=100&color[G]=200&color[B]=150"),
]
CASES = [
    pytest.param(where, style, explode, schema, text, value, id=f"{where}-{style}-{explode}-{text}")
    for where, style, explode, *texts in STYLES
    for text, (schema, value) in zip(
        texts, [(STRING, ""), (STRING, "blue"), (ARRAY, COLOURS), (OBJECT, RGB)], strict=True
    )
    if text is not None
]


@pytest.mark.parametrize(("where", "style", "explode", "schema", "text", "value"), CASES)
def test_styles(where: str, style: str, explode: bool, schema: Json, text: str, value: Any) -> None:
    """Each example of OpenAPI's own table is read as the value that it stands for."""
    request = {
        "path": {"path": text},
        "header": {"color": text},
        "query": {"query": text},
        "cookie": {"cookie": text},
    }
    assert value == read(parameter(where, schema, style=style, explode=explode), **request[where])


@pytest.mark.parametrize(
    ("where", "text", "expected"),
    [
        ("path", "blue,black", COLOURS[:2]),
        ("header", "blue,black", COLOURS[:2]),
        ("query", "color=blue&color=black", COLOURS[:2]),
        ("query", "color=blue,black", ["blue,black"]),
        ("cookie", "color=blue&color=black", COLOURS[:2]),
    ],
)
def test_the_style_that_is_not_named(where: str, text: str, expected: list[str]) -> None:
    """Without `style` and `explode`, paths and headers are `simple`, and queries and cookies `form`, exploded."""
    request = {"header": {"color": text}}.get(where, {where: text})
    assert expected == read(parameter(where, ARRAY), **request)


@pytest.mark.parametrize(
    ("types", "text", "expected"),
    [
        ("integer", "5", 5),
        ("number", "-1.5e3", -1500.0),
        ("number", "9" * 400, int("9" * 400)),
        ("boolean", "true", True),
        ("string", "5", "5"),
        (["integer", "null"], "", None),
        (["string", "null"], "", ""),
        (["integer", "string"], "5", 5),
        (["integer", "string"], "five", "five"),
    ],
)
def test_a_text_takes_the_type_of_the_schema(types: Any, text: str, expected: Any) -> None:
    """A text becomes the first of number, truth value and null that the schema allows and it can mean."""
    value = read(parameter("query", {"type": types}), query=f"color={text}")
    assert (type(expected), expected) == (type(value), value)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["integer", "null"]}, None),
        ({"type": ["string", "null"], "enum": ["a", None]}, None),
        ({"type": ["string", "null"]}, "null"),
        ({"anyOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]}, None),
    ],
)
def test_null_is_a_text_that_can_be_nothing_else(schema: Json, expected: Any) -> None:
    """Null comes as the text `null`, alone or in an array, unless the schema allows that text itself."""
    for where in ("query", "header"):
        sent = {"query": "color=null"} if where == "query" else {"color": "null"}
        assert expected == read(parameter(where, schema), **sent)
        assert [expected] == read(parameter(where, {"type": "array", "items": schema}), **sent)


INTEGERS = {"type": "array", "items": {"type": "integer"}, "minItems": 2}
TEXTS = {"type": "array", "items": {"type": "string"}}
SPAN = {"type": "object", "properties": {"gt": {"type": "integer"}}}
KINDS = [
    {"type": "object", "properties": {"kind": {"const": kind}, "value": {"type": type_}}}
    for kind, type_ in (("count", "integer"), ("word", "string"))
]


@pytest.mark.parametrize(
    ("schemas", "query", "expected"),
    [
        ([{"type": "integer"}, INTEGERS], "color=5", 5),
        ([{"type": "integer"}, INTEGERS], "color=5&color=6", [5, 6]),
        ([{"enum": ["all"]}, {"type": "array", "items": {"enum": ["a"]}}], "color=all", "all"),
        ([SPAN, {"type": "integer"}], "color=5", 5),
        ([{"type": "string", "pattern": "^[0-9]+$"}, {"type": "integer", "maximum": 5}], "color=7", "7"),
        ([SPAN, {"type": "integer"}], "color=x", None),
        ([INTEGERS, {"type": "array", "items": {"enum": ["a"]}}], "color=a", ["a"]),
        ([{"type": "array", "items": {"enum": ["a"]}}, INTEGERS], "color=5&color=6", [5, 6]),
        ([INTEGERS, SPAN], "color[gt]=5", {"gt": 5}),
        ([INTEGERS, SPAN], "color=", {}),
        ([INTEGERS, SPAN], "color=5&color=6", [5, 6]),
        ([INTEGERS, TEXTS], "color=5&color=a", ["5", "a"]),
        (KINDS, "color[kind]=count&color[value]=5", {"kind": "count", "value": 5}),
        (KINDS, "color[kind]=word&color[value]=5", {"kind": "word", "value": "5"}),
    ],
)
def test_a_text_may_be_of_several_kinds(schemas: Any, query: str, expected: Any) -> None:
    """Where a schema has several types, a value is read as each of them until it is valid."""
    style = {"style": "deepObject"} if "[" in query or SPAN in schemas else {}
    read_by = reader(parameter("query", {"anyOf": schemas}, **style))
    if expected is None:
        assert "Color must come as one parameter for each member" == refusal(read_by, scope(query))
    else:
        assert expected == read_by.read(scope(query))["color"]


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"type": "object", "properties": {"other": {"type": "integer"}}}, {"oneOf": KINDS}]},
        {"$ref": "#/components/schemas/Kinds", "description": "A choice elsewhere"},
        {"$ref": "https://example.com/kinds"},
        {"anyOf": [{"oneOf": KINDS}, {"type": "integer"}]},
        {"allOf": [{"allOf": [{"$ref": "#/components/schemas/Kinds"}]}]},
        {
            "type": "object",
            "if": {"properties": {"kind": {"const": "count"}}},
            "then": KINDS[0],
            "else": KINDS[1],
        },
    ],
)
@pytest.mark.parametrize(("kind", "expected"), [("count", 5), ("word", "5")])
def test_a_choice_may_stand_beside_other_rules(schema: Any, kind: str, expected: Any) -> None:
    """The branches of a choice are tried alone wherever it is laid over the value, those of a condition too."""
    made = operation(parameters=[parameter("query", schema, style="deepObject")])
    identified = {"$id": "https://example.com/kinds", "oneOf": [{"$ref": "#/$defs/0"}, {"$ref": "#/$defs/1"}]}
    identified["$defs"] = {"0": KINDS[0], "1": KINDS[1]}
    components = {"schemas": {"Kinds": {"oneOf": KINDS}, "Identified": identified}}
    contract = contract_of(document({"/things": {"get": made}}, components=components))
    read_by = ParameterReader(contract, contract.operations["act"])
    value = read_by.read(scope(f"color[kind]={kind}&color[value]=5"))["color"]
    assert {"kind": kind, "value": expected} == value


def test_a_branch_with_an_identifier_is_not_tried_alone() -> None:
    """Its references are relative to its `$id`, so they would lead elsewhere from where the choice stands."""
    schema = {"if": True, "then": {"$id": "https://example.com/then"}, "else": KINDS[0]}
    contract = contract_of(document(components={"schemas": {"Subject": schema}}))
    assert [KINDS[0]] == [
        way.node["allOf"][0] for way in ways(contract.requests.at("/components/schemas/Subject"))
    ]


def test_a_branch_alone_reads_values_of_the_same_form() -> None:
    """What is written as an array stays one, what has to be an object is no text because a branch takes anything, and a
    member that has no form of its own stays what its text means."""
    schema = {"oneOf": [{"type": "array"}, {"minimum": 3}, {"type": "integer"}]}
    assert 1 == read(parameter("query", schema), query="color=1")
    reading = reader(parameter("path", {"oneOf": [{**SPAN, "required": ["gt"]}, True]}))
    assert "Color must be pairs of a name and a value" == refusal(reading, scope(path="5"))
    member = {"anyOf": [{"type": "integer"}, {"type": "array"}]}
    schema = {"type": ["object", "array"], "additionalProperties": member, "maxItems": 0}
    assert {"0": 1} == read(parameter("header", schema), color="0,1")


def test_a_branch_alone_leaves_others_their_names() -> None:
    """An open object that is read by one of its branches takes no name of another parameter, as by all of them."""
    branches = [
        {"required": ["a"], "properties": {"a": {"type": kind}}, "additionalProperties": {"type": kind}}
        for kind in ("integer", "string")
    ]
    color = parameter("query", {"anyOf": [{"type": "object", **each} for each in branches]})
    reading = reader(color, parameter("query", {"type": "integer"}, "page"))
    assert {"color": {"a": "1", "b": "y"}, "page": 5} == reading.read(scope("a=1&b=y&page=5"))


def test_a_value_of_none_of_several_kinds() -> None:
    """A value that is valid as none of them is refused, and one that is not sent is none."""
    reading = reader(parameter("query", {"anyOf": [INTEGERS, {"type": "boolean"}]}))
    assert "Color must have 2 items or more" == refusal(reading, scope("color=5"))
    assert "An item of color must be an integer" == refusal(reading, scope("color=x&color=y"))
    assert {"color": None} == reading.read(scope())


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        ({"enum": [1, 2]}, "2", 2),
        ({"const": 1.5}, "1.5", 1.5),
        ({"allOf": [{"type": "integer"}]}, "1", 1),
        ({"anyOf": [{"type": "integer"}, {"const": "all"}]}, "all", "all"),
        ({"$ref": "#/components/schemas/Size"}, "1", 1),
        (
            {"$id": "https://example.com/a", "$ref": "b", "$defs": {"b": {"$id": "b", "type": "integer"}}},
            "1",
            1,
        ),
        ({"$ref": "#/components/schemas/Named"}, "1", 1),
        ({}, "1", "1"),
    ],
)
def test_the_type_is_found_where_the_schema_has_it(schema: Any, text: str, expected: Any) -> None:
    """A type may stand in an enum, a const, a combination or behind a reference, also one to an `$id`."""
    paths = {"/things": {"get": operation(parameters=[parameter("query", schema)])}}
    size = {"type": "integer"}
    named = {"$id": "https://example.com/n", "$ref": "#/$defs/n", "$defs": {"n": size}}
    contract = contract_of(document(paths, components={"schemas": {"Size": size, "Named": named}}))
    reading = ParameterReader(contract, contract.operations["act"])
    assert expected == reading.read(scope(f"color={text}"))["color"]


@pytest.mark.parametrize("text", ["+1", "01", "1.0", " 1", "1_0", "٣", "", "1\n", "9" * 5000])
def test_only_a_decimal_number_is_an_integer(text: str) -> None:
    """What Python would take for an integer, and JSON would not, is none."""
    reading = reader(parameter("query", {"type": "integer"}))
    assert "Color must be an integer" == refusal(reading, scope(f"color={quote(text)}"))


@pytest.mark.parametrize("text", ["1e999", "9" * 400 + ".0", "NaN", "+1.5", "1.", ".5", "1e"])
def test_only_a_json_number_that_a_double_holds_is_a_number(text: str) -> None:
    """What Python would take for a number, and JSON would not, is none; nor is what would become infinite."""
    reading = reader(parameter("query", {"type": "number"}))
    assert "Color must be a number" == refusal(reading, scope(f"color={quote(text)}"))


@pytest.mark.parametrize("text", ["True", "1", ""])
def test_a_truth_value_is_written_as_json_has_it(text: str) -> None:
    """Only `true` and `false` are truth values."""
    reading = reader(parameter("query", {"type": "boolean"}))
    assert "Color must be true or false" == refusal(reading, scope(f"color={text}"))


def test_items_have_types() -> None:
    """The items of an array and the members of an object are typed by their own schemas."""
    integers = {"type": "array", "items": {"type": "integer"}}
    assert [1, 2] == read(parameter("query", integers, explode=False), query="color=1,2")
    assert "An item of color must be an integer" == refusal(
        reader(parameter("query", integers)), scope("color=x")
    )
    mixed = {
        "type": "object",
        "properties": {"a": {"type": "boolean"}},
        "additionalProperties": {"type": "integer"},
    }
    assert {"a": True, "b": 2} == read(parameter("query", mixed, explode=False), query="color=a,true,b,2")
    assert ["1"] == read(parameter("query", {"type": "array"}), query="color=1")


def test_no_items_are_an_empty_array() -> None:
    """An empty text is no item where items are joined, and one empty item where they are repeated."""
    assert [] == read(parameter("query", ARRAY, explode=False), query="color=")
    assert [""] == read(parameter("query", ARRAY), query="color=")
    assert {} == read(parameter("query", {"type": "object"}, explode=False), query="color=")


def test_a_delimiter_may_be_data() -> None:
    """An encoded comma beside a plain one belongs to its item; where all are encoded they delimit."""
    joined = parameter("query", ARRAY, explode=False)
    assert ["a,b", "c"] == read(joined, query="color=a%2Cb,c")
    assert ["a", "b", "c"] == read(joined, query="color=a%2Cb%2Cc")


def test_spaces_around_a_headers_items_are_none_of_them() -> None:
    """A list in a header may have blanks after its commas, and may come on several lines (RFC 9110, section 5.6.1)."""
    assert COLOURS == read(parameter("header", ARRAY), color="blue, black ,\tbrown")
    request = scope()
    request["headers"] = [(b"color", b"blue, black"), (b"color", b"brown")]
    assert COLOURS == reader(parameter("header", ARRAY)).read(request)["color"]


@pytest.mark.parametrize(("style", "query"), [("deepObject", "color[a]=1&color[a]=2"), ("form", "a=1&a=2")])
def test_a_member_that_is_a_list(style: str, query: str) -> None:
    """The items of a member are parameters of the member's name each, as Schemathesis and browsers write them."""
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}}
    assert {"a": [1, 2]} == read(parameter("query", schema, style=style), query=query)


NESTED: Json = {
    "$id": "https://example.com/nested",
    "type": "object",
    "properties": {
        "a": {"type": "object", "properties": {"b": {"type": "integer"}, "c": {"$ref": "#/$defs/list"}}},
        "d": {"$ref": "#"},
        "e": {"type": "integer"},
    },
    "additionalProperties": {"$ref": "#/$defs/list"},
    "$defs": {"list": {"type": "array", "items": {"type": "integer"}}},
}


@pytest.mark.parametrize(
    ("style", "query", "expected"),
    [
        ("deepObject", "color[a][b]=1", {"a": {"b": 1}}),
        ("deepObject", "color[a][c][0]=2&color[a][c][1]=3", {"a": {"c": [2, 3]}}),
        ("deepObject", "color[d][d][a]=", {"d": {"d": {"a": {}}}}),
        ("deepObject", "color[x]=1&color[x]=2", {"x": [1, 2]}),
        ("form", "a[b]=1&a[c]=2&a[c]=3", {"a": {"b": 1, "c": [2, 3]}}),
        ("form", "color[a][b]=1", {"a": {"b": 1}}),
        ("form", "x=1&x=2", {"x": [1, 2]}),
        ("form", "e[b]=1&x=2", {"e[b]": [1], "x": [2]}),
    ],
)
def test_a_member_that_is_an_object(style: str, query: str, expected: Json) -> None:
    """What is in a member stands in further brackets, an item of a list also by its index, as Schemathesis and other
    clients write them."""
    assert expected == read(parameter("query", NESTED, style=style), query=query)


def test_members_are_nested_twenty_deep() -> None:
    """What is deeper is a part of the last one's name, however many brackets a query has."""
    value = read(parameter("query", NESTED, style="deepObject"), query=f"color{'[d]' * 20_000}=1")
    for _ in range(20):
        value = value["d"]
    assert {"d][" * 19_979 + "d": [1]} == value


def test_members_of_members_are_not_kept() -> None:
    """A client that names members of members in ever other ways fills no memory."""
    two_others = {"a": "bc", "b": "ca", "c": "ab"}
    of_each = {
        name: {
            "$id": f"urn:{name}",
            "properties": {"0": {"$ref": f"urn:{zero}"}, "1": {"$ref": f"urn:{one}"}},
        }
        for name, (zero, one) in two_others.items()
    }
    schema = {"type": "object", "$defs": of_each, "$ref": "urn:a"}
    reading = reader(parameter("query", schema, style="deepObject"))
    ways = count(2**17)

    def objects_kept() -> int:
        for _ in range(100):
            reading.read(scope(f"color[{']['.join(f'{next(ways):b}'[1:])}]="))
        gc.collect()
        return len(gc.get_objects())

    assert objects_kept() >= objects_kept() - 100


def test_the_first_items_of_an_array_have_types_of_their_own() -> None:
    """An item is typed by `prefixItems` where its place is named there, by `items` beyond."""
    first = {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": {"type": "boolean"},
    }
    assert ["1", 2, True] == read(parameter("query", first, explode=False), query="color=1,2,true")


@pytest.mark.parametrize("style", ["deepObject", "form"])
def test_an_object_without_members(style: str) -> None:
    """The name alone, without a value, is an object without members."""
    assert {} == read(parameter("query", OBJECT, style=style), query="color=")
    assert {} == read(parameter("query", {"type": "object"}, style=style), query="color=")
    assert read(parameter("query", OBJECT, style=style)) is None


def test_a_header_is_given_once_unless_it_is_a_list() -> None:
    """A header that the contract does not call a list (`x-list`) is refused on two lines."""
    request = {**scope(), "headers": [(b"color", b"blue"), (b"color", b"black")]}
    assert "Color must be given once" == refusal(reader(parameter("header", STRING)), request)
    assert "blue, black" == reader(parameter("header", STRING, **{"x-list": True})).read(request)["color"]


@pytest.mark.parametrize(
    ("schema", "fields", "query", "expected"),
    [
        (STRING, {}, "color=a&color=b", "Color must be given once"),
        (ARRAY, {"explode": False}, "color=a&color=b", "Color must be given once"),
        (OBJECT, {}, "R=1&R=2", "Color must be given once"),
        (OBJECT, {"style": "deepObject"}, "color[R]=1&color[R]=2", "Color must be given once"),
        (NESTED, {"style": "deepObject"}, "color[a]=1&color[a][b]=1", "Color must be given once"),
        (NESTED, {"style": "deepObject"}, "color[a][b]=1&color[a]=1", "Color must be given once"),
        (OBJECT, {"explode": False}, "color=R,1,R,2", "Color must name each member once"),
        (OBJECT, {"explode": False}, "color=R,1,G", "Color must be pairs of a name and a value"),
        (OBJECT, {"explode": False}, "color=R,x", "R must be an integer"),
        (OBJECT, {}, "R=x", "R must be an integer"),
        (OBJECT, {}, "color=x", "Color must come as one parameter for each member"),
        (
            OBJECT,
            {"style": "deepObject"},
            "color[x]=1",
            "Color must not have members other than 'R' or 'G' or 'B'",
        ),
    ],
)
def test_what_cannot_be_read(schema: Json, fields: Json, query: str, expected: str) -> None:
    """A parameter that is given twice, or is no list of pairs, is refused with what would be right."""
    assert expected == refusal(reader(parameter("query", schema, **fields)), scope(query))


@pytest.mark.parametrize(
    ("schema", "style", "explode", "text", "prefix"),
    [
        (STRING, "label", False, "blue", "."),
        (STRING, "matrix", False, "blue", ";color="),
        (ARRAY, "matrix", True, ";colour=blue", ";color="),
        (OBJECT, "matrix", True, "R=1", ";"),
    ],
)
def test_a_style_may_ask_for_a_prefix(
    schema: Json, style: str, explode: bool, text: str, prefix: str
) -> None:
    """A path parameter whose style puts something before it is refused without that."""
    reading = reader(parameter("path", schema, style=style, explode=explode))
    assert f"Color must begin with '{prefix}'" == refusal(reading, scope(path=text))


@pytest.mark.parametrize(("style", "text"), [("label", ".R"), ("matrix", ";R=1;G"), ("simple", "R=1,G")])
def test_a_member_has_a_value(style: str, text: str) -> None:
    """An exploded object in a path is pairs of a name and a value; a name alone is refused."""
    reading = reader(parameter("path", OBJECT, style=style, explode=True))
    assert "Color must be pairs of a name and a value" == refusal(reading, scope(path=text))


@pytest.mark.parametrize(
    ("where", "sent"),
    [
        ("query", {"query": "color=%7B%22R%22%3A1%7D"}),
        ("query", {"query": "color={%22R%22:1}"}),
        ("header", {"color": '{"R":1}'}),
        ("path", {"path": '{"R":1}'}),
        ("cookie", {"cookie": 'color={"R":1}'}),
    ],
)
def test_a_parameter_may_hold_json(where: str, sent: Json) -> None:
    """A parameter with `content` is JSON wherever it stands, and is held to its schema."""
    declared = parameter(where, None, content={"application/json": {"schema": OBJECT}})
    del declared["schema"]
    assert {"R": 1} == read(declared, **sent)
    bad = {name: text.replace("1", "true") for name, text in sent.items()}
    assert "R must be an integer" == refusal(reader(declared), scope(**bad))


def test_json_in_a_parameter_is_strict() -> None:
    """A parameter that should be JSON and is not is refused, and UTF-8 in a header or a cookie is read as such."""
    declared = {"name": "color", "in": "header", "content": {"application/json": {"schema": {}}}}
    assert "Color must be valid JSON" == refusal(reader(declared), scope(color="{'R': 1}"))
    assert "Color must be valid JSON" == refusal(reader(declared), scope(color='{"R":1,"R":2}'))
    listed = {**declared, "content": {"application/json": {"schema": ARRAY}}}
    twice = {**scope(), "headers": [(b"color", b'["a"]'), (b"color", b'["b"]')]}
    assert "Color must be given once" == refusal(reader(listed), twice)
    sent = '["é"]'.encode().decode("latin-1")
    assert ["é"] == read(declared, color=sent) == read({**declared, "in": "cookie"}, cookie=f"color={sent}")
    assert read(declared) is None


@pytest.mark.parametrize(
    ("content", "sent", "expected"),
    [
        ({"text/plain": {"schema": {"type": "integer"}}}, "color=5", 5),
        ({"text/csv": {"schema": {}}}, "color=a%2Cb", "a,b"),
        ({"application/json": {}}, "color=[1]", [1]),
    ],
)
def test_a_parameter_of_any_media_type(content: Json, sent: str, expected: Any) -> None:
    """A parameter with `content` that is no JSON is a text, and one without a schema is anything."""
    assert expected == read({"name": "color", "in": "query", "content": content}, query=sent)


@pytest.mark.parametrize(
    "query",
    ["color=%zz", "%c3=1", "color=é", "color=%C3&color=%A9"],
)
def test_a_query_is_percent_encoded_utf_8(query: str) -> None:
    """A query with a broken escape, raw bytes or escapes that are not UTF-8 is refused."""
    reading = reader(parameter("query", STRING))
    assert "The query must be percent-encoded UTF-8" == refusal(reading, scope(query))


def test_a_query_has_a_thousand_parameters_at_most() -> None:
    """Each costs more than its bytes, so that a query of many short ones would hold up everybody else."""
    reading = reader(parameter("query", ARRAY))
    assert {"color": 1000 * ["a"]} == reading.read(scope("&".join(1000 * ["color=a"])))
    sentence = "The query must have 1000 parameters or less"
    assert sentence == refusal(reading, scope("&".join(1001 * ["color=a"])))


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ([], "Unknown query parameter. Known here: none"),
        (
            [parameter("query", STRING), parameter("query", STRING, "size")],
            "Unknown query parameter. Known here: 'color', 'size'",
        ),
        ([parameter("query", OBJECT, style="deepObject")], "Unknown query parameter. Known here: 'color'"),
    ],
)
def test_an_unknown_query_parameter_is_refused(declared: list[Json], expected: str) -> None:
    """A query parameter that the contract does not name is refused, and those that it does name are listed."""
    assert expected == refusal(reader(*declared), scope("Color=1"))


def test_names_are_decoded_and_empty_pairs_mean_nothing() -> None:
    """A name may be percent-encoded, a name without `=` has the empty text, and `&&` says nothing."""
    assert "a b&c" == read(parameter("query", STRING), query="&&%63olor=a+b%26c&")
    assert "" == read(parameter("query", STRING), query="color")


def test_a_free_form_object_takes_what_is_left() -> None:
    """An exploded object whose schema does not say otherwise takes the query parameters that no other one does, and
    of several values of one an array."""
    free = {"type": "object", "additionalProperties": {"type": "integer"}}
    reading = reader(
        parameter("query", free),
        parameter("query", {"type": "string"}, "name"),
        parameter("query", free, "filter", style="deepObject"),
    )
    assert {"color": {"a": 1, "b": 2}, "name": "x", "filter": {"c": 3}} == reading.read(
        scope("a=1&name=x&b=2&filter[c]=3")
    )
    assert {"color": None, "name": None, "filter": None} == reading.read(scope())
    assert "A member of color must be an integer" == refusal(reading, scope("a=x"))
    assert {"color": {"a": "x"}} == reader(parameter("query", {"type": "object"})).read(scope("a=x"))
    named = {"type": "object", "properties": {"a": {"type": "integer"}}}
    both = reader(parameter("query", free), parameter("query", named, "other"))
    assert {"color": {"b": 2}, "other": {"a": 1, "b": "2"}} == both.read(scope("a=1&b=2"))
    assert {"color": {"b": ["1", "2"]}} == reader(parameter("query", named)).read(scope("b=1&b=2"))
    assert "Color must be given once" == refusal(reader(parameter("query", named)), scope("a=1&a=2"))
    assert "Unknown query parameter. Known here: 'color'" == refusal(
        reader(parameter("query", {**named, "additionalProperties": False})), scope("b=2")
    )


@pytest.mark.parametrize("style", ["form", "deepObject"])
def test_a_required_object_of_which_nothing_is_sent(style: str) -> None:
    """An object without members is written as nothing (RFC 6570, section 2.3), as Spring's `pageable` is for the first
    page; it is missing where it must have members, or may be no object."""
    page: Json = {"type": "object", "properties": {"size": {"type": "integer"}}}
    assert {} == read(parameter("query", page, style=style, required=True))
    for asked in ({"required": ["size"]}, {"type": ["object", "string"]}):
        asking = reader(parameter("query", {**page, **asked}, style=style, required=True))
        assert "Color is required" == refusal(asking, scope())
    assert read(parameter("query", page, style=style)) is None


def test_a_member_that_is_not_sent_has_its_default() -> None:
    """An object of a parameter has the defaults of its members, as one of a body has; where nothing of it is sent, the
    parameter's own default has them."""
    page: Json = {"type": "object", "properties": {"size": {"type": "integer", "default": 10}, "number": {}}}
    sized = parameter("query", page, style="deepObject")
    assert {"size": 10, "number": "2"} == read(sized, query="color[number]=2")
    assert read(sized) is None
    assert {"size": 10} == read(parameter("query", {**page, "default": {}}, style="deepObject"))
    assert {"size": 10} == read({**sized, "required": True})
    assert {"size": 10, "number": "2"} == read(parameter("header", page), color="number,2")


@pytest.mark.parametrize("where", ["query", "header", "cookie"])
def test_absent_is_the_default_or_none(where: str) -> None:
    """A parameter that is not sent has the contract's default, None where there is none, and is refused if required."""
    assert read(parameter(where, STRING)) is None
    assert read(parameter(where, OBJECT, explode=False)) is None
    assert "red" == read(parameter(where, {"type": "string", "default": "red"}))
    assert "red" == read(parameter(where, {"allOf": [{"default": "red"}]}))
    assert "Color is required" == refusal(reader(parameter(where, STRING, required=True)), scope())
    as_json = {"name": "color", "in": where, "required": True, "content": {"application/json": {}}}
    assert "Color is required" == refusal(reader(as_json), scope())
    asked = {"type": "string", "x-messages": {"required": "Which colour?"}}
    assert "Which colour?" == refusal(reader(parameter(where, asked, required=True)), scope())


@pytest.mark.parametrize("schema", [{**ARRAY, "items": {"enum": ["a"]}}, {"type": "integer"}])
def test_an_empty_value_is_none_where_the_contract_says_so(schema: Json) -> None:
    """With `allowEmptyValue` an empty value that the schema does not allow means that the parameter is not given."""
    assert read(parameter("query", schema, allowEmptyValue=True), query="color=") is None
    assert "" == read(parameter("query", STRING, allowEmptyValue=True), query="color=")
    refusal(reader(parameter("query", schema)), scope("color="))


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        ('color="a b"; x=1', "a b"),
        ("x; color=a=b", "a=b"),
        ("color=a; color=b", "b"),
        ("Color=a", None),
        (r'color="a\054\"b"', 'a,"b'),
        (r"color=a\054", r"a\054"),
        ('color="', '"'),
    ],
)
def test_a_cookie_is_read_by_its_name(cookie: str, expected: str | None) -> None:
    """Quotes around a cookie's value do not belong to it (RFC 6265, section 4.1.1), and within them stand the escapes
    of Python's servers; of two cookies of a name the last counts."""
    assert expected == read(parameter("cookie", STRING), cookie=cookie)


def test_a_hostile_cookie_is_read_in_linear_time() -> None:
    """Many escapes cost no more than other characters, whatever Python's own parser of cookies takes for them."""
    reading = reader(parameter("cookie", STRING))
    for _ in range(20):
        sent = scope(cookie='color="' + "\\" * 60_000 + '"')
        assert {"color": "\\" * 30_000} == reading.read(sent)


def test_a_default_is_the_handlers_own() -> None:
    """What a handler does to a default is not seen by the next request."""
    reading = reader(parameter("query", {**ARRAY, "default": ["red"]}))
    reading.read(scope())["color"].append("changed")
    assert ["red"] == reading.read(scope())["color"]


@pytest.mark.parametrize(
    ("where", "name", "argument"),
    [
        ("header", "If-Match", "if_match"),
        ("query", "filter[size]", "filter_size_"),
        ("cookie", "SessionID", "sessionid"),
        ("path", "task-id", "task_id"),
        ("query", "from", "from_"),
        ("query", "2nd", "_2nd"),
    ],
)
def test_the_argument_is_the_name_in_python(where: str, name: str, argument: str) -> None:
    """A handler takes a parameter by its name in lower case, with `_` for what Python does not allow in names."""
    reading = reader(parameter(where, STRING, name))
    assert [argument] == reading.arguments
    sent = {
        "query_string": f"{name}=x".encode() if where == "query" else b"",
        "path_params": {"task-id": "x"},
    }
    headers = [(name.lower().encode(), b"x"), (b"cookie", f"{name}=x".encode())]
    assert {argument: "x"} == reading.read({**sent, "headers": headers})


@pytest.mark.parametrize("name", ["Accept", "content-type", "AUTHORIZATION"])
def test_headers_with_a_meaning_of_their_own_are_no_parameters(name: str) -> None:
    """A header parameter called Accept, Content-Type or Authorization is ignored, as OpenAPI asks."""
    assert [] == reader(parameter("header", STRING, name)).arguments


def test_parameters_of_one_name_are_told_apart() -> None:
    """Two parameters that would be the same argument of a handler, or one and the body, are numbered."""
    reading = reader(parameter("header", STRING, "If-Match"), parameter("query", STRING, "if_match"))
    assert {"if_match": "h", "if_match_2": "q"} == reading.read(scope("if_match=q", if_match="h"))
    body = {"content": {"application/json": {"schema": {}}}}
    assert ["body_2"] == reader(parameter("query", STRING, "body"), requestBody=body).arguments
    assert ["body"] == reader(parameter("query", STRING, "body")).arguments


texts = st.text(st.characters(exclude_categories=["Cs"]))
# Made once, since to read a contract takes longer than to read a thousand queries.
ONE_TEXT, INTEGER, NUMBER = (
    reader(parameter("query", {"type": name})) for name in ("string", "integer", "number")
)
LISTS = {explode: reader(parameter("query", ARRAY, explode=explode)) for explode in (True, False)}
BESIDE = [
    reader(parameter("query", schema, style=style), parameter("query", STRING, "x", required=True))
    for schema in (STRING, ARRAY, OBJECT)
    for style in ("form", "deepObject")
]


@given(texts)
def test_any_text_arrives_as_it_was_sent(text: str) -> None:
    """A string in a query comes back whatever it holds, with either way to encode a space."""
    assert text == ONE_TEXT.read(scope(urlencode({"color": text})))["color"]
    assert text == ONE_TEXT.read(scope(f"color={quote(text, safe='')}"))["color"]


@given(st.lists(texts, min_size=2), st.booleans())
def test_any_list_arrives_as_it_was_sent(items: list[str], explode: bool) -> None:
    """A list of two items or more comes back whatever they hold, repeated or joined by plain commas."""
    encoded = [quote(item, safe="") for item in items]
    query = "&".join(f"color={item}" for item in encoded) if explode else f"color={','.join(encoded)}"
    assert items == LISTS[explode].read(scope(query))["color"]


@given(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_arrives_as_it_was_sent(integer: int, number: float) -> None:
    """Integers of any size and doubles come back exactly."""
    assert integer == INTEGER.read(scope(f"color={integer}"))["color"]
    assert number == NUMBER.read(scope(f"color={quote(repr(number))}"))["color"]


@given(st.binary(max_size=60), st.sampled_from(BESIDE))
def test_any_query_is_read_or_refused(query: bytes, reading: ParameterReader) -> None:
    """Whatever bytes a query holds, it is read or refused with a sentence that does not repeat it."""
    said = ""
    try:
        reading.read({**scope(), "query_string": b"x=&secret" + query})
    except BadRequest as refused:
        said = refused.reason
    assert "secret" not in said
