"""Python's view of a contract as the text of a module, so that mypy sees where code and contract part."""

import re
from collections.abc import Iterator, Set
from itertools import chain
from typing import Any

from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import ContractError, Json, schema_holder
from openapi.bridge.media_types import read_media_type
from openapi.bridge.python_names import python_name, python_names
from openapi.bridge.request.body import BodyReader
from openapi.bridge.request.contents import content_kind
from openapi.bridge.request.parameters import arguments_of

_HEADER = '''"""The contract's schemas and operations as Python types. Generated from it."""

{imports}

from openapi.bridge.answers import Answer

Caller = TypeVar("Caller", contravariant=True)
'''
_IMPORTS = {
    "datetime": ("date", "datetime"),
    "typing": ("Any", "Literal", "NotRequired", "Protocol", "TypedDict", "TypeVar"),
}
_SIMPLE = {"integer": "int", "number": "float", "boolean": "bool", "null": "None", "object": "dict[str, Any]"}
_TAKEN = {
    "Answer",
    "Caller",
    "bool",
    "bytes",
    "dict",
    "float",
    "int",
    "list",
    "str",
    *chain(*_IMPORTS.values()),
}
_QUOTED = re.compile(r"""(["'])(?:\\.|(?!\1).)*\1""")
_FORMATS = {"date-time": "datetime", "date": "date"}


def generate(contract: Contract) -> str:
    """The text of the module that describes `contract`: a TypedDict or an alias for each schema, and for each tag a
    Protocol that the module of its handlers fulfils.

    Raises:
        ContractError: for schemas that would have the same name in Python.
    """
    schemas: Json = {}
    for name, schema in contract.document.get("components", {}).get("schemas", {}).items():
        if schemas.setdefault(_class_name(name), schema) is not schema:
            raise ContractError(
                f"#/components/schemas/{name}: another schema is {_class_name(name)} in Python too"
            )
    later = set(schemas)
    parts = [_HEADER, *(text for name in schemas for text in _definitions(name, schemas, later))]
    by_tag: dict[str, list[Operation]] = {}
    for operation in contract.operations.values():
        by_tag.setdefault(operation.tag, []).append(operation)
    titles = (re.sub(r"\W", "", tag.title()) + "Handlers" for tag in by_tag)
    names = python_names(titles, reserved=schemas)
    parts += [_protocol(contract, *each) for each in zip(names, by_tag.values(), strict=True)]
    text = re.sub("\n{4,}", "\n\n\n", "\n".join(parts))
    return text.replace("{imports}", "\n".join(_imports(text)))


def _class_name(schema: str) -> str:
    """What the type of a schema is called: no name that the module has for something else."""
    # Python renames what begins with two of them.
    name = python_name(re.sub("^_{2,}", "_", schema))
    return f"{name}_" if name in _TAKEN else name


def _imports(text: str) -> Iterator[str]:
    """The imports of the names that a module uses."""
    for module, names in _IMPORTS.items():
        if used := [name for name in names if re.search(rf"\b{name}\b", text)]:
            yield f"from {module} import {', '.join(used)}"


def _definitions(name: str, schemas: Json, later: set[str]) -> Iterator[str]:
    """The definition of a schema, unless it is known, after those that it cannot do without.

    Args:
        later: the names that are not known yet, which need quotation marks, where Python lets them stand.
    """
    if name not in later:
        return
    schema = schemas[name]
    is_object = isinstance(schema, dict) and schema.get("type", "object") in ("object", ["object"])
    if not is_object or not schema.get("properties"):
        for other in re.findall(r"\w+", _QUOTED.sub("", _type(schema, later))):
            yield from _definitions(other, schemas, later)
        yield f"{name} = {_type(schema, later)}"
    else:
        yield _typed_dict(name, schema, later)
    later.discard(name)


def _typed_dict(name: str, schema: Json, later: set[str]) -> str:
    members = {
        member: _type(rules) if _is_required(member, schema, rules) else f"NotRequired[{_type(rules)}]"
        for member, rules in schema["properties"].items()
    }
    if all(python_name(member) == member for member in members):
        lines = [f"    {member}: {_quoted(kind, later)}" for member, kind in members.items()]
        return "\n".join([f"\n\nclass {name}(TypedDict):", *lines, "\n"])
    # Here the types are texts in any case.
    return f"{name} = TypedDict({name!r}, {members!r})"


def _is_required(member: str, schema: Json, rules: Any) -> bool:
    """Whether requests and answers both have the member."""
    one_way = isinstance(rules, dict) and True in (rules.get("readOnly"), rules.get("writeOnly"))
    return member in schema.get("required", ()) and not one_way


def _quoted(kind: str, later: Set[str]) -> str:
    """The type, in quotation marks if it names what is not known yet."""
    return kind if later.isdisjoint(re.findall(r"\w+", kind)) else repr(kind)


def _type(schema: Any, later: Set[str] = frozenset()) -> str:
    """The Python type of the values that `schema` allows; `Any` where it is not a plain type."""
    if not isinstance(schema, dict):
        return "Any"
    if "$ref" in schema:
        named = re.fullmatch("#/components/schemas/([^/]+)", schema["$ref"])
        return _class_name(named[1]) if named else "Any"
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    # A Literal has no other values (PEP 586).
    if values and all(isinstance(value, str | int | None) for value in values):
        return f"Literal[{', '.join(map(_literal, values))}]"
    if "anyOf" in schema and "type" not in schema:
        return " | ".join(dict.fromkeys(_type(branch, later) for branch in schema["anyOf"]))
    types = schema.get("type", [])
    return (
        " | ".join(_plain(name, schema, later) for name in ([types] if isinstance(types, str) else types))
        or "Any"
    )


def _plain(name: str, schema: Json, later: Set[str]) -> str:
    if name == "string":
        is_raw = "contentMediaType" in schema and "contentEncoding" not in schema
        if schema.get("format") == "binary" or is_raw:
            return "bytes"
        return _FORMATS.get(schema.get("format", ""), "str")
    if name == "array":
        items = {} if "prefixItems" in schema else schema.get("items", {})
        return f"list[{_quoted(_type(items, later), later)}]"
    return _SIMPLE[name]


def _literal(value: object) -> str:
    is_plain = isinstance(value, str) and value.isprintable() and not re.search(r'["\\]', value)
    return f'"{value}"' if is_plain else repr(value)


def _protocol(contract: Contract, name: str, operations: list[Operation]) -> str:
    methods = [_method(contract, operation) for operation in operations]
    return "\n\n".join([f"\n\nclass {name}(Protocol[Caller]):\n" + methods[0], *methods[1:]]) + "\n"


def _method(contract: Contract, operation: Operation) -> str:
    name = contract.handler_names[operation.id]
    arguments = "".join(f", {argument}" for argument in _arguments(contract, operation))
    return (
        f"    async def {name}(self, caller: Caller, /{', *' if arguments else ''}{arguments})"
        f" -> Answer[{_answer(operation)}]: ..."
    )


def _arguments(contract: Contract, operation: Operation) -> Iterator[str]:
    for name, place in arguments_of(operation).items():
        schema = contract.schemas.at(f"{schema_holder(place).pointer}/schema")
        rules = schema.end().node
        always = place.node.get("required") or schema.defaults()
        # A handler gets the text of a time, which the contract has checked.
        is_time = isinstance(rules, dict) and rules.get("format") in _FORMATS
        type_ = _type({**rules, "format": ""} if is_time else schema.node)
        yield f"{name}: {type_ if always or type_ == 'None' else f'{type_} | None'}"
    if operation.body:
        body = _content(operation.body.node)
        is_required = operation.body.node.get("required")
        always = is_required or BodyReader(contract, operation.body).parse(None) is not None
        yield f"body: {body if always else _union([body, 'None'])}"


def _answer(operation: Operation) -> str:
    response = operation.response(operation.success)
    body = _content(response.node) if response else "None"
    bodiless = any("content" not in each.node for each in operation.responses.values())
    return f"{body} | None" if bodiless and body != "None" else body


def _content(node: Json) -> str:
    """The Python type of a body, which may be of several media types."""
    kinds = [
        _of_media_type(key, content.get("schema", {})) for key, content in node.get("content", {}).items()
    ]
    return _union(kinds) if kinds else "None"


def _of_media_type(key: str, schema: Json) -> str:
    media_range = read_media_type(key)
    if media_range is None:
        return "Any"
    kind, type_ = content_kind(media_range), _type(schema)
    if "*" in media_range[:2]:
        return "bytes" if type_ == "bytes" or not schema else _union([type_, "str", "bytes"])
    if kind == "xml" and (not schema or type_ == "str"):
        return "bytes"
    if kind in ("json", "form", "xml"):
        return type_
    return "bytes" if kind == "bytes" else type_ if schema else "str"


def _union(kinds: list[str]) -> str:
    return "Any" if "Any" in kinds else " | ".join(dict.fromkeys(kinds))
