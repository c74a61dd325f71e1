"""What a document must be before the service starts on it: each fault is one line that names the place."""

import re
from functools import cache
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from openapi.bridge.document.places import (
    ContractError,
    Json,
    Place,
    entries,
    follow,
    look_up,
    pointer_to,
    schema_pointers,
)
from openapi.bridge.document.schemas import Schemas, one_line

_DIALECTS = ("https://spec.openapis.org/oas/3.1/dialect/base", "https://json-schema.org/draft/2020-12/schema")


def check_document(document: Any) -> Schemas:
    """The schemas of a document whose version, grammar, schemas and references are right.

    Raises:
        ContractError: for the first fault.
    """
    if not isinstance(document, dict):
        raise ContractError("line 1: the document is not a mapping")
    version = str(document.get("openapi", "(missing)"))
    if not re.fullmatch(r"3\.1\.[0-9]+", version):
        raise ContractError(f"#/openapi: the version {version} is not supported; it must be 3.1.x")
    _check_grammar(document)
    _check_values(document)
    for pointer in schema_pointers(document):
        _check_keywords(pointer, look_up(document, pointer))
    schemas = Schemas(document)
    _check_references(document, schemas)
    for pointer in schemas.pointers:
        schemas.validator(pointer)
    return schemas


@cache
def _grammar() -> jsonschema_rs.Draft202012Validator:
    # Imported here since it takes longer than all the checks.
    from openapi_spec_validator.schemas import schema_v31

    return jsonschema_rs.Draft202012Validator(dict(schema_v31))


def _check_grammar(document: Json) -> None:
    """Holds the document against the schema that the OpenAPI Initiative publishes for 3.1.

    The package openapi-spec-validator ships it; its further checks are left out since they name no place, and
    fail on schemas with `$id` or `$anchor`.
    """
    errors = list(_grammar().iter_errors(document))
    if errors:
        # The outer ones only follow from the innermost.
        _fail("", max(errors, key=lambda error: len(error.instance_path)))


def _check_values(document: Json) -> None:
    """Checks what JSON Schema's meta-schema leaves open: dialects, references as URIs and our own `x-messages`."""
    for pointer, key, value in entries(document):
        place = f"#{pointer_to(pointer, key)}"
        if key in ("$schema", "jsonSchemaDialect") and value not in _DIALECTS:
            raise ContractError(f"{place}: the only dialect is JSON Schema 2020-12, as {_DIALECTS[0]}")
        if key in ("$id", "$ref", "$dynamicRef") and not _uri_reference().is_valid(value):
            raise ContractError(f"{place}: {value!r} is no URI reference (RFC 3986)")
        if key in ("x-message", "x-path-not-found") and not isinstance(value, str):
            raise ContractError(f"{place}: it must be a sentence")
        if key == "x-messages" and not _messages().is_valid(value):
            raise ContractError(f"{place}: it must hold sentences by keyword")
        if key == "x-headers" and not _headers().is_valid(value):
            raise ContractError(f"{place}: it must hold values by the names of headers")


@cache
def _uri_reference() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {"type": "string", "format": "uri-reference"}, validate_formats=True
    )


@cache
def _messages() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"type": "object", "additionalProperties": {"type": "string"}})


@cache
def _headers() -> jsonschema_rs.Draft202012Validator:
    # A name is a token and a value visible ASCII (RFC 9110, sections 5.1 and 5.5), so that neither ends its line.
    names, values = (
        {"pattern": "^[!#-'*+.^-z|~0-9A-Z-]+$"},
        {"type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$"},
    )
    return jsonschema_rs.Draft202012Validator(
        {"type": "object", "propertyNames": names, "additionalProperties": values}
    )


def _check_keywords(pointer: str, schema: Any) -> None:
    try:
        jsonschema_rs.meta.validate(schema)
    except jsonschema_rs.ValidationError as error:
        _fail(pointer, error)


def _fail(pointer: str, error: jsonschema_rs.ValidationError) -> None:
    raise ContractError(f"#{pointer_to(pointer, *error.instance_path)}: {one_line(error)}") from error


def _check_references(document: Json, schemas: Schemas) -> None:
    for pointer, key, reference in entries(document):
        if key not in ("$ref", "$dynamicRef"):
            continue
        fault = _fault_in_schema if schemas.holds(pointer) else _fault_outside
        if (said := fault(document, schemas, pointer, reference)) is not None:
            raise ContractError(f"#{pointer}: the $ref {reference!r} {said}")


def _fault_outside(document: Json, _schemas: Schemas, pointer: str, reference: str) -> str | None:
    target = follow(document, Place(pointer, {"$ref": reference}))
    kind = _kind(pointer)
    return None if _kind(target.pointer) == kind else f"leads to what is not among {kind}"


def _kind(pointer: str) -> str:
    """The section of `components` whose kind stands at `pointer` by OpenAPI's grammar."""
    *_, holder, section, name = ["", *pointer.split("/")]
    if name == "requestBody":
        return "requestBodies"
    return "pathItems" if section in ("paths", "webhooks") or holder == "callbacks" else section


def _fault_in_schema(_document: Json, schemas: Schemas, pointer: str, reference: str) -> str | None:
    schema = schemas.at(pointer)
    try:
        target = schema.follow(reference)
    except jsonschema_rs.ReferencingError:
        inside = reference.startswith("#")
        return "leads nowhere" if inside else "leads out of the document, which is not followed"
    is_pointer = reference.startswith("#/") and schema.is_in_document
    if not isinstance(target.node, dict | bool) or (is_pointer and not schemas.holds(unquote(reference[1:]))):
        return "leads to what is no schema"
    return "leads back to itself" if schema.is_circular() else None
