"""Forms, urlencoded and multipart, as OpenAPI's encoding objects describe them."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.bridge.failures import BadRequest
from openapi.bridge.request.body import BodyReader
from tests.support.contracts import body_reader, parsed

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "home": {"type": "object", "properties": {"street": {"type": "string"}}},
        "file": {"type": "string", "format": "binary", "maxLength": 4},
        "photo": {"contentMediaType": "image/png"},
        "any": {},
    },
    "additionalProperties": {"type": "boolean"},
}
FILE = 'form-data; name="file"; filename="a;b.png"'


def form(encoding: Any = None, media_type: str = "multipart/form-data", **options: Any) -> BodyReader:
    """What reads a form of the schema."""
    return body_reader({media_type: {"schema": SCHEMA, "encoding": encoding or {}}}, **options)


def multipart(*parts: tuple[str, bytes] | tuple[str, bytes, str]) -> bytes:
    """A multipart body of these parts: Content-Disposition, content and Content-Type."""
    written = b""
    for disposition, content, *content_type in parts:
        header = "".join(f"Content-Type: {each}\r\n" for each in content_type)
        written += f"--b\r\nContent-Disposition: {disposition}\r\n{header}\r\n".encode() + content + b"\r\n"
    return written + b"--b--\r\n"


def refusal(body: BodyReader, content: bytes, content_type: str = MULTIPART) -> str:
    """The sentence with which a form is refused."""
    with pytest.raises(BadRequest) as refused:
        parsed(body, content, content_type)
    return refused.value.reason


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("", {}),
        ("name=a+b%26c&age=5&&", {"name": "a b&c", "age": 5}),
        ("tags=a&tags=b", {"tags": ["a", "b"]}),
        ('home={"street":"x"}', {"home": {"street": "x"}}),
        ("other=true&any=1", {"other": True, "any": "1"}),
    ],
)
def test_a_urlencoded_form(sent: str, expected: Any) -> None:
    """Fields take the types of their schemas: arrays by repetition, objects as JSON, the rest from text."""
    assert expected == parsed(form(media_type=URLENCODED), sent.encode(), URLENCODED)


@pytest.mark.parametrize(
    ("rules", "sent", "expected"),
    [
        ({"explode": False}, "tags=a,b", {"tags": ["a", "b"]}),
        ({"style": "pipeDelimited", "explode": False}, "tags=a%7Cb", {"tags": ["a", "b"]}),
        ({"contentType": "application/json"}, 'tags=["a"]', {"tags": ["a"]}),
    ],
)
def test_an_encoding_says_how_an_array_is_written(rules: Any, sent: str, expected: Any) -> None:
    """`style` and `explode` are those of query parameters, and `contentType` asks for JSON."""
    assert expected == parsed(
        form(encoding={"tags": rules}, media_type=URLENCODED), sent.encode(), URLENCODED
    )


HOME = {"home": {"street": "x"}}


@pytest.mark.parametrize(
    ("rules", "parts", "expected"),
    [
        ({"style": "deepObject"}, [('form-data; name="home[street]"', b"x&y")], {"home": {"street": "x&y"}}),
        ({"style": "form"}, [('form-data; name="street"', b"x"), ('form-data; name="age"', b"1")], None),
        ({"style": "form"}, [('form-data; name="home"', b'{"street": "x"}', "application/json")], HOME),
    ],
)
def test_a_style_holds_in_parts_too(rules: Any, parts: Any, expected: Any) -> None:
    """A member of a multipart form that has a style is written as in a query, or as JSON where its sender says so."""
    value = parsed(form(encoding={"home": rules}), multipart(*parts), MULTIPART)
    assert (expected or {"home": {"street": "x"}, "age": 1}) == value


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], {}),
        ([("form-data; name=name", b"\xc3\xa4\r\n--")], {"name": "ä\r\n--"}),
        ([('form-data; name="tags"', b"a"), ('form-data; name="tags"', b"b")], {"tags": ["a", "b"]}),
        ([('form-data; name="age"', b"5", "application/json")], {"age": 5}),
        ([('form-data; name="home"', b"{}", "application/json")], {"home": {}}),
        ([(FILE, b"\xff\0", "image/png")], {"file": b"\xff\0"}),
        ([('form-data; name="photo"', b"\xff")], {"photo": b"\xff"}),
        ([('form-data; name="any"', b"\xff", "image/png")], {"any": b"\xff"}),
    ],
)
def test_a_multipart_form(parts: Any, expected: Any) -> None:
    """Parts take the types of their schemas; those that are files are bytes."""
    assert expected == parsed(form(), multipart(*parts), MULTIPART)


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        (multipart(('form-data; name="age"', b"x")), MULTIPART, "Age must be an integer"),
        (
            multipart(('form-data; name="x"', b"x")),
            MULTIPART,
            "A member of the request body must be true or false",
        ),
        (multipart(('form-data; name="name"', b"\xff")), MULTIPART, "Name must be text in UTF-8"),
        (multipart(('form-data; name="home"', b"{")), MULTIPART, "Home must be valid JSON"),
        (multipart((FILE, b"12345")), MULTIPART, "File must be 4 characters or less"),
        (multipart((FILE, b""), (FILE, b"")), MULTIPART, "File must be given once"),
        (
            multipart(('form-data; name="x"', b"true"), ('form-data; name="x"', b"true")),
            MULTIPART,
            "A member of the request body must be given once",
        ),
        (
            multipart(("form-data", b"")),
            MULTIPART,
            "The request body must name each of its parts (RFC 7578, section 4.2)",
        ),
        (
            multipart(("form-data; x", b"")),
            MULTIPART,
            "The request body must name each of its parts (RFC 7578, section 4.2)",
        ),
        (b"--b\r\n", MULTIPART, "The request body must end with the last boundary of multipart/form-data"),
        (b"x", MULTIPART, "The request body must be well-formed multipart/form-data (RFC 7578)"),
        (
            b"--b\r\n" + b"a: b\r\n" * 9,
            MULTIPART,
            "The request body must be well-formed multipart/form-data (RFC 7578)",
        ),
        (
            b"x",
            "multipart/form-data",
            "The request body must be multipart/form-data with a boundary of 1 to 70 characters (RFC 2046)",
        ),
    ],
)
def test_what_is_no_such_form(content: bytes, content_type: str, expected: str) -> None:
    """A form that is malformed or breaks its schema is refused with what would be right."""
    assert expected == refusal(form(), content, content_type)


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        (b"a=true&" * 1001, URLENCODED, "1000 fields or less"),
        (multipart(*[('form-data; name="tags"', b"")] * 1001), MULTIPART, "1000 parts or less"),
    ],
)
def test_a_form_has_a_limit_of_fields(content: bytes, content_type: str, expected: str) -> None:
    """However short they are, a form holds 1,000 fields at most."""
    reader = form(media_type=content_type.partition(";")[0], limit=len(content))
    assert f"The request body must have {expected}" == refusal(reader, content, content_type)


@given(st.binary(max_size=100), st.sampled_from([URLENCODED, MULTIPART]), st.booleans())
def test_any_form_is_read_or_refused(content: bytes, content_type: str, framed: bool) -> None:
    """Whatever bytes a form holds, it is an object or a refusal."""
    sent = b'--b\r\nContent-Disposition: form-data; name="' + content if framed else content
    with suppress(BadRequest):
        assert isinstance(parsed(ANY_FORM, sent, content_type), dict)


ANY_FORM = body_reader({URLENCODED: {"schema": SCHEMA}, "multipart/form-data": {"schema": SCHEMA}})


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        ({"type": ["integer", "null"]}, "null", None),
        ({"anyOf": [{"enum": ["a"]}, {"type": "null"}]}, "null", None),
        ({"type": ["string", "null"]}, "null", "null"),
        ({"type": ["string", "null"]}, "", ""),
        ({"anyOf": [{"enum": ["auto"]}, {"type": "object"}]}, "auto", "auto"),
    ],
)
def test_what_a_text_of_a_form_means(schema: Any, text: str, expected: Any) -> None:
    """The text `null` is null where that is allowed and no text of this kind is; beside an object a text may stand."""
    reader = body_reader({"multipart/form-data": {"schema": {"properties": {"a": schema}}}})
    assert {"a": expected} == parsed(reader, multipart(('form-data; name="a"', text.encode())), MULTIPART)


@pytest.mark.parametrize(
    ("types", "sent", "expected"),
    [
        ("string", '"{}"', "{}"),
        ("string", "{}", "{}"),
        ("string", "", ""),
        ("string", "null", "null"),
        (["string", "null"], "null", None),
    ],
)
def test_a_string_that_is_json_is_a_text(types: Any, sent: str, expected: Any) -> None:
    """Where a member is a string in `application/json`, its text may be sent as it is, or as a string of JSON."""
    media_type = {
        "schema": {"properties": {"a": {"type": types}}},
        "encoding": {"a": {"contentType": "application/json"}},
    }
    content = multipart(('form-data; name="a"', sent.encode(), "application/json"))
    assert {"a": expected} == parsed(body_reader({"multipart/form-data": media_type}), content, MULTIPART)


@pytest.mark.parametrize(("sent", "code"), [("home=a&home=b", "style"), ("age=1&age=2", "content")])
def test_a_field_that_cannot_be_read_is_named(sent: str, code: str) -> None:
    """What is wrong with a field is reported with the pointer to its member, also of one that has a style."""
    reader = form({"home": {"explode": False}}, URLENCODED)
    with pytest.raises(BadRequest) as refused:
        parsed(reader, sent.encode(), URLENCODED)
    (violation,) = refused.value.violations()
    assert (code, f"/{sent.partition('=')[0]}") == (violation.code, violation.pointer)


def test_a_part_keeps_to_the_media_types_of_its_encoding() -> None:
    """A part of another media type than its encoding object names is refused with those that are taken."""
    reader = form({"file": {"contentType": "image/png, image/jpeg"}})
    sentence = "File must be image/png or image/jpeg"
    assert sentence == refusal(reader, multipart((FILE, b"x", "text/html")))
    assert {"file": b"x"} == parsed(reader, multipart((FILE, b"x", "image/jpeg")), MULTIPART)


def test_members_of_members_belong_to_the_one_that_names_them() -> None:
    """Of two open members that are written as their own members each takes what it names, and the form the rest."""
    open_objects = {name: {"type": "object", "properties": {name * 2: {"type": "integer"}}} for name in "ab"}
    schema = {"type": "object", "properties": open_objects}
    encoding = {name: {"style": "form"} for name in "ab"}
    body = body_reader({URLENCODED: {"schema": schema, "encoding": encoding}})
    assert {"a": {"aa": 1}, "b": {"bb": 2}, "c": "3"} == parsed(body, b"aa=1&bb=2&c=3", URLENCODED)


KINDS = [
    {"required": ["kind", "value"], "properties": {"kind": {"const": kind}, "value": rules}}
    for kind, rules in (
        ("count", {"type": "integer"}),
        ("word", {"type": "string"}),
        ("list", {"type": "array", "items": {"type": "integer"}}),
    )
]


@pytest.mark.parametrize("schema", [{"oneOf": KINDS}, {"allOf": [{"type": "object"}, {"oneOf": KINDS}]}])
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("kind=count&value=5", {"kind": "count", "value": 5}),
        ("kind=word&value=5", {"kind": "word", "value": "5"}),
        ("kind=list&value=5&value=6", {"kind": "list", "value": [5, 6]}),
    ],
)
def test_a_form_is_read_by_the_branch_that_it_is_of(schema: Any, sent: str, expected: Any) -> None:
    """Where branches of a choice read the same field in different ways, each is tried alone."""
    body = body_reader({URLENCODED: {"schema": schema}})
    assert expected == parsed(body, sent.encode(), URLENCODED)
    assert "Value must be given once" == refusal(body, b"kind=count&value=5&value=x", URLENCODED)


def test_a_form_that_a_dynamic_reference_leads_back_to() -> None:
    """A choice that is the schema itself again, by a reference that no check follows, is no way to read."""
    schema = {"$id": "https://example.com/a", "$dynamicAnchor": "a", "properties": {"b": {"type": "integer"}}}
    body = body_reader({URLENCODED: {"schema": {**schema, "anyOf": [{"$dynamicRef": "#a"}, True]}}})
    assert {"b": 1} == parsed(body, b"b=1", URLENCODED)
