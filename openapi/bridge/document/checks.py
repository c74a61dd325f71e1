"""What a document must be before the service starts on it: each fault is one line that names the place."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from openapi.bridge.document import patterns
from openapi.bridge.document.grammar import parts, schemas_in
from openapi.bridge.document.places import BASE, REFERENCES, ContractError, Json, Place, follow, pointer_to
from openapi.bridge.document.schemas import Schemas, Validator
from openapi.bridge.media_types import is_token

_DIALECT = "https://spec.openapis.org/oas/3.1/dialect/base"
# A name is a token and a value visible ASCII (RFC 9110, sections 5.1 and 5.5), so that neither ends its line. ReadMe's
# extension of this name is a list.
_HEADERS = {
    "type": ["object", "array"],
    "propertyNames": {"pattern": "^[!#-'*+.^-z|~0-9A-Z-]+$"},
    "additionalProperties": {"type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
_DISCRIMINATOR = {
    "type": "object",
    "required": ["propertyName"],
    "properties": {
        "propertyName": {"type": "string"},
        "mapping": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_SENTENCE = Validator({"type": "string"})
_IS_REFERENCE = Validator({"type": "string", "format": "uri-reference"}, validate_formats=True).is_valid
# Of security schemes those that are found by a name in the head of a request.
_SCHEME = ("securitySchemes", "scheme", "http")
_KEY = ("securitySchemes", "name", "apiKey", "header")
# What people write for `true` by the rules of YAML 1.1, or in quotation marks.
_TRUE = ("true", "yes", "on", "1")
# What OpenAPI lets only one of stand in an object.
_EITHER = {"schema", "content", "operationRef", "operationId"}
_PATTERN_OF_NAMES = ["patternProperties", "propertyNames", "format"]
# Our own extensions, and the one of OpenAPI to JSON Schema that is a rule, by the kind of object that has them: their
# rules, and what is said where one is broken.
_EXTENSIONS: dict[tuple[str, str], tuple[Validator, str]] = {
    ("document", "x-path-not-found"): (_SENTENCE, "it must be a sentence"),
    ("document", "x-headers"): (Validator(_HEADERS), "it must hold values by the names of headers"),
    ("document", "x-problem-types"): (_SENTENCE, "it must be the beginning of a URI"),
    ("responses", "x-message"): (_SENTENCE, "it must be a sentence"),
    ("responses", "x-max-body-bytes"): (
        Validator({"type": "integer", "minimum": 1}),
        "it must be a number of bytes",
    ),
    ("schemas", "discriminator"): (
        Validator(_DISCRIMINATOR),
        "it must have a propertyName, and references or names in its mapping",
    ),
    ("schemas", "x-messages"): (
        Validator({"type": "object", "additionalProperties": {"type": "string"}}),
        "it must hold sentences by keyword",
    ),
}


def check_document(document: Any) -> tuple[Schemas, list[str]]:
    """The schemas of a document, and a line for each fault of its grammar, schemas and references.

    Raises:
        ContractError: for a document that is not OpenAPI 3.1 at all, or whose schemas cannot be read.
    """
    if not isinstance(document, dict):
        raise ContractError("line 1: the document is not a mapping")
    version = str(document.get("openapi", "(missing)"))[:100]
    if not re.fullmatch(r"3\.1\.[0-9]+(-.+)?", version):
        raise ContractError(f"#/openapi: the version {version} is not supported; it must be 3.1.x")
    objects = list(parts(document))
    places = list(schemas_in(objects))
    problems = [*_grammar_problems(document), *_value_problems(objects), *_keyword_problems(places)]
    problems += _pattern_problems(places)
    # Where something else stands for a URI, nothing can be found.
    if any("URI" in problem or '"uri' in problem for problem in problems):
        raise ContractError(*problems)
    schemas = Schemas(document)
    return schemas, [*problems, *_reference_problems(document, objects, schemas)]


@cache
def _grammar() -> Validator:
    """The schema that the OpenAPI Initiative publishes for 3.1, which openapi-spec-validator ships.

    The package's further checks are left out since they name no place, and fail on schemas with `$id` or `$anchor`.
    """
    # Read as a file, since to import the package takes longer than all the checks, and memory.
    file = distribution("openapi-spec-validator").locate_file(
        "openapi_spec_validator/resources/schemas/v3.1/schema.json"
    )
    schema = json.loads(Path(str(file)).read_bytes())
    definitions = schema["$defs"]
    # This edition calls a Link Object's `server` by another name, refuses what stands beside the `$ref` of a Reference
    # Object, which "SHALL be ignored", passes over what stands beside that of a path item, which is no such object,
    # and takes the extensions of a Callback Object for path items.
    definitions["link"]["properties"]["server"] = definitions["link"]["properties"]["body"]
    definitions["reference"]["unevaluatedProperties"] = True
    definitions["path-item-or-reference"] = definitions["path-item"]
    definitions["path-item"]["properties"]["$ref"] = {"type": "string"}
    items = definitions["callbacks"].pop("additionalProperties")
    definitions["callbacks"]["patternProperties"] = {"^(?!x-)": items}
    return Validator(schema)


@cache
def _meta_schema() -> Validator:
    return Validator({"$ref": "https://json-schema.org/draft/2020-12/schema"}, validate_formats=True)


def forget_grammars() -> None:
    """Gives back the memory that the checks have taken; the next document to be checked takes it anew."""
    _grammar.cache_clear()
    _meta_schema.cache_clear()


def _grammar_problems(document: Json) -> Iterator[str]:
    errors = list(_grammar().iter_errors(document))
    paths = [tuple(error.instance_path) for error in errors]
    faulty = {path[:length] for path in paths for length in range(len(path) + 1)}
    for error in errors:
        path = tuple(error.instance_path)
        if error.kind.name == "unevaluatedProperties":
            # What holds a faulty object counts as not evaluated, which only follows from the fault.
            names = error.kind.as_dict()["unexpected"]
            names = [name for name in names if (*path, name) not in faulty]
            if names:
                listed = ", ".join(f"'{name}'" for name in names)
                yield f"#{pointer_to('', *path)}: {listed} {'is' if len(names) == 1 else 'are'} not allowed here"
        else:
            yield f"#{pointer_to('', *path)}: {_one_line(error)}"


def _one_line(error: jsonschema_rs.ValidationError) -> str:
    """What an error of the validator says, on one line and not too long."""
    said, kind = error.message, error.kind.as_dict()
    if error.kind.name == "not" and kind["schema"].keys() == {"required"}:
        said = " and ".join(f'"{name}"' for name in kind["schema"]["required"])
        said += " is not allowed together with the other members"
    elif error.kind.name == "enum":
        value, one_of, _ = said.rpartition(" is not one of ")
        said = value + one_of + ", ".join(map(json.dumps, kind["options"]))
    elif (branches := kind.get("context")) and all(branches):
        said = ", or ".join(dict.fromkeys(_one_line(branch[0]) for branch in branches))
    elif branches and isinstance(error.instance, dict):
        said = " and ".join(f'"{name}"' for name in error.instance if name in _EITHER)
        said += " are not allowed together"
    return " ".join(said.split())[:200]


def _value_problems(objects: Sequence[tuple[str, Place]]) -> Iterator[str]:
    """Checks what the grammar leaves open: a dialect's name, references as URIs and our own extensions."""
    for kind, place in objects:
        if not isinstance(place.node, dict):
            continue
        for key, value in place.node.items():
            where = f"#{pointer_to(place.pointer, key)}"
            # One that is a URI has been taken out (`dialects`).
            if (kind, key) == ("document", "jsonSchemaDialect"):
                yield f"{where}: it must be the URI of a dialect, such as {_DIALECT}"
            # In schemas their own meta-schema says so.
            if key == "$ref" and kind != "schemas" and not _IS_REFERENCE(value):
                yield f"{where}: {str(value)[:100]!r} is no URI reference (RFC 3986)"
            rule, sentence = _EXTENSIONS.get((kind, key), (None, ""))
            # Of responses ours are those that have a name.
            is_ours = kind != "responses" or place.pointer.startswith("/components/")
            if rule is not None and is_ours and not rule.is_valid(value):
                yield f"{where}: {sentence}"
            # Else nobody would notice that what is meant to be protected is open.
            is_in_place = value is True and place.node.get("in") == "path" and "$ref" not in place.node
            if key == "x-owner" and str(value).lower() in _TRUE and not is_in_place:
                yield f"{where}: it must be true, and stand on a path parameter"
            named = (kind, key, place.node.get("type"), place.node.get("in"))
            if (named[:3] == _SCHEME or named == _KEY) and not is_token(value):
                yield f"{where}: {value!r} is no name that HTTP can have (RFC 9110, section 5.6.2)"


def _keyword_problems(places: Sequence[Place]) -> Iterator[str]:
    root = None
    for place in places:
        # The meta-schema looks through the whole of a schema.
        if root is not None and place.pointer.startswith(f"{root}/"):
            continue
        root = place.pointer
        for error in _meta_schema().iter_errors(place.node):
            # Whether a pattern is one is found out by compiling it.
            is_name = list(error.schema_path)[-3:] == _PATTERN_OF_NAMES
            if error.kind.as_dict() != {"format": "regex"} and not is_name:
                yield f"#{pointer_to(place.pointer, *error.instance_path)}: {_one_line(error)}"


def _pattern_problems(places: Sequence[Place]) -> Iterator[str]:
    fault = cache(patterns.fault)
    for place in places:
        names = place.node.get("patternProperties")
        written = [("patternProperties", name) for name in names] if isinstance(names, dict) else []
        for key, pattern in (("pattern", patterns.as_written(place.node).get("pattern")), *written):
            if isinstance(pattern, str) and (said := fault(pattern)):
                yield f"#{place.pointer}/{key}: {said}"


def _reference_problems(
    document: Json, objects: Sequence[tuple[str, Place]], schemas: Schemas
) -> Iterator[str]:
    kinds = {place.pointer: kind for kind, place in objects}
    for kind, place in objects:
        for key in REFERENCES:
            reference = place.node.get(key) if isinstance(place.node, dict) else None
            if not isinstance(reference, str):
                continue
            if kind == "schemas":
                said = _fault_in_schema(schemas, kinds, place.pointer, reference)
            else:
                try:
                    target = follow(document, place)
                except ContractError as error:
                    yield from error.problems
                    continue
                said = None if kinds.get(target.pointer) == kind else f"leads to what is not among {kind}"
            if said is not None:
                yield f"#{place.pointer}: the {key} {reference!r} {said}"


def _fault_in_schema(schemas: Schemas, kinds: Mapping[str, str], pointer: str, reference: str) -> str | None:
    schema = schemas.at(pointer)
    try:
        target = schema.follow(reference)
    except jsonschema_rs.ReferencingError:
        if not reference.startswith("#"):
            return "leads out of the document, which is not followed"
        # Those that begin so are ours.
        is_below = not schema.base.startswith(BASE)
        return f"leads nowhere below the $id {schema.base}" if is_below else "leads nowhere"
    is_pointer = reference.startswith("#/") and schema.is_in_document
    is_schema = not is_pointer or kinds.get(unquote(reference[1:])) == "schemas"
    if not isinstance(target.node, dict | bool) or not is_schema:
        return "leads to what is no schema"
    try:
        return "leads back to itself" if schema.is_circular() else None
    except (jsonschema_rs.ReferencingError, LookupError, TypeError):
        # Something further on is not of the form that it should have, which is said where that stands.
        return None
