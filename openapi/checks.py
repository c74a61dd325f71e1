"""What a document must be before the service starts on it: each fault is one line that names the place."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import jsonschema_rs
import yaml

Json = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

# Below these keys the next key is a name that an author chose, so it has no meaning of its own.
_NAME_MAPS = {
    *("paths", "webhooks", "schemas", "responses", "parameters", "examples", "requestBodies", "headers"),
    *("securitySchemes", "links", "callbacks", "pathItems", "content", "encoding", "variables"),
    *("properties", "patternProperties", "dependentSchemas", "$defs"),
}
# What stands below these keys is data, not a part of the document's grammar.
_DATA = {"example", "examples", "default", "const", "enum", "value"}


class ContractError(Exception):
    """The contract cannot be served; the message is one line that names the place and the fault."""


class _StrictLoader(yaml.CSafeLoader):
    """YAML as OpenAPI asks for it: no key stands twice, every key is a string, a date stays a string."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise ContractError(f"line {key.start_mark.line + 1}: the key {key.value!r} stands twice")
            seen.add(key.value)
        return {str(key): value for key, value in super().construct_mapping(node, deep).items()}


_StrictLoader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def parse_yaml(text: str) -> Json:
    """The mapping that `text` holds; raises ContractError, with the line, for anything else."""
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ContractError(f"line {line}: this is not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ContractError("this is not YAML: it holds a character that YAML does not allow") from error
    if not isinstance(document, dict):
        raise ContractError("line 1: the document is not a mapping")
    return document


def check_document(document: Json) -> None:
    """Raises ContractError for the first fault: version, references, OpenAPI's grammar, schemas, operations."""
    version = str(document.get("openapi", "(missing)"))
    if not re.fullmatch(r"3\.1\.\d+", version):
        raise ContractError(f"openapi: the version {version} is not supported; it must be 3.1.x")
    for place, reference in _references(document):
        _check_reference(document, place, reference)
    _check_grammar(document)
    _check_schemas(document)
    _check_operations(document)


def _references(node: Any, place: str = "#", names: bool = False) -> Iterator[tuple[str, str]]:
    """Each `$ref` with the place where it stands; `names` where the keys of `node` are an author's names."""
    if isinstance(node, list):
        for index, value in enumerate(node):
            yield from _references(value, f"{place}/{index}")
    elif isinstance(node, dict):
        for key, value in node.items():
            if not names and key == "$ref" and isinstance(value, str):
                yield place, value
            elif names or key not in _DATA or (key == "examples" and isinstance(value, dict)):
                below = not names and key in _NAME_MAPS and isinstance(value, dict)
                yield from _references(value, f"{place}/{escape(key)}", below)


def _check_reference(document: Json, place: str, reference: str) -> None:
    if not reference.startswith("#"):
        raise ContractError(f"{place}: the $ref {reference!r} leads out of the document, which is not followed")
    if reference.startswith("#/"):
        try:
            look_up(document, reference.removeprefix("#"))
        except (KeyError, IndexError, ValueError, TypeError):
            raise ContractError(f"{place}: the $ref {reference!r} leads nowhere") from None


def look_up(document: Any, pointer: str) -> Any:
    """What a JSON pointer, as a `$ref` writes it (RFC 6901, section 6), leads to; raises KeyError, IndexError, ValueError or TypeError."""
    for part in unquote(pointer).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


def escape(key: str) -> str:
    """`key` as one part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _check_grammar(document: Json) -> None:
    # Imported here because it takes longer to import than the whole check takes to run.
    from openapi_spec_validator import OpenAPIV31SpecValidator

    for error in OpenAPIV31SpecValidator(document).iter_errors():
        place = "/".join(["#", *(escape(str(part)) for part in error.absolute_path)])
        reason = error.message if len(error.message) <= 200 else f"it breaks the rule {error.validator!r}"
        raise ContractError(f"{place}: {' '.join(reason.split())}") from error


def compile_schema(document: Json, pointer: str) -> jsonschema_rs.Draft202012Validator:
    """A validator for the schema at `pointer` whose `$ref`s are resolved in `document` (JSON Schema 2020-12)."""
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"urn:contract#{quote(pointer, safe='/~')}"},
        registry=jsonschema_rs.Registry([("urn:contract", document)]),
        validate_formats=True,
    )


def _check_schemas(document: Json) -> None:
    """Compiles every schema, which finds wrong keywords and regular expressions that do not compile."""
    for pointer in _schemas(document):
        try:
            compile_schema(document, pointer)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ContractError(f"#{pointer}: this is not a JSON Schema: {reason}") from error


def _schemas(node: Any, pointer: str = "", names: bool = False) -> Iterator[str]:
    """The pointer of each schema that a parameter, header, body or component holds."""
    if isinstance(node, list):
        for index, value in enumerate(node):
            yield from _schemas(value, f"{pointer}/{index}")
    elif isinstance(node, dict):
        for key, value in node.items():
            below = f"{pointer}/{escape(key)}"
            if not names and key == "schema":
                yield below
            elif pointer == "/components/schemas":
                yield below
            elif names or key not in _DATA:
                yield from _schemas(value, below, not names and key in _NAME_MAPS and isinstance(value, dict))


def _check_operations(document: Json) -> None:
    for path, item in document.get("paths", {}).items():
        for method in [method for method in METHODS if method in item]:
            place = f"#/paths/{escape(path)}/{method}"
            if "operationId" not in item[method]:
                raise ContractError(f"{place}: an operation needs an operationId, which names its handler")
            if not any(status.startswith("2") for status in item[method]["responses"]):
                raise ContractError(f"{place}: an operation needs a 2xx response")
