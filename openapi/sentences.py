"""From a broken rule of the contract to a sentence for a person, which never echoes what was sent."""

from collections.abc import Iterable
from typing import Any

from jsonschema_rs import ValidationError

from openapi.checks import Json, look_up
from openapi.contract import Place, fill

_TYPES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
# {name} is the field; the other braces take the rule's own value.
_DERIVED = {
    "required": "{name} is required",
    "minLength": "{name} must be {minLength} characters or more",
    "maxLength": "{name} must be {maxLength} characters or less",
    "pattern": "{name} must match the pattern {pattern}",
    "format": "{name} must have the format {format}",
    "enum": "{name} must be {enum}",
    "const": "{name} must be '{const}'",
    "minimum": "{name} must be {minimum} or more",
    "maximum": "{name} must be {maximum} or less",
    "exclusiveMinimum": "{name} must be more than {exclusiveMinimum}",
    "exclusiveMaximum": "{name} must be less than {exclusiveMaximum}",
    "multipleOf": "{name} must be a multiple of {multipleOf}",
    "minItems": "{name} must have {minItems} items or more",
    "maxItems": "{name} must have {maxItems} items or less",
    "uniqueItems": "{name} must not hold the same item twice",
    "minProperties": "{name} must have {minProperties} members or more",
    "maxProperties": "{name} must have {maxProperties} members or less",
    "type": "{name} must be {types}",
    "additionalProperties": "{name} must not have members other than {properties}",
    "unevaluatedProperties": "{name} must not have members other than {properties}",
}


def sentence(document: Json, schema: Place, name: str, errors: Iterable[ValidationError]) -> str:
    """The sentence for what is wrong: the first that the contract fixes (`x-messages`), else a derived one.

    Args:
        document: the contract, in which `$ref`s are followed.
        schema: the schema that the value was validated against.
        name: what the value is called where no field is concerned, "The request body" say.
        errors: the violations that the schema's validator reports; at least one.
    """
    violations = [_Violation(document, schema, name, error) for error in errors]
    return next(filter(None, (each.fixed() for each in violations)), None) or violations[0].derived()


class _Violation:
    """A broken rule, the schemas that lead to it (outermost first) and the field that it concerns."""

    def __init__(self, document: Json, schema: Place, name: str, error: ValidationError) -> None:
        self.document = document
        self.schemas = [schema.node]
        self.name = name
        *path, self.keyword = map(str, error.evaluation_path[1:])
        for step, part in enumerate(path):
            self._descend(part)
            if step and path[step - 1] == "properties":
                self.name = part
        self.rules = self.schemas[-1]
        self.null = self.keyword == "type" and error.instance is None
        if self.keyword == "required":
            self.name = error.kind.as_dict()["property"]
            self._enter(self.rules.get("properties", {}).get(self.name, {}))

    def _descend(self, part: str) -> None:
        node: Any = self.schemas[-1]
        if part == "$ref":
            self._enter(look_up(self.document, node["$ref"].removeprefix("#")))
        else:
            self._enter(node[int(part)] if isinstance(node, list) else node[part])

    def _enter(self, schema: Any) -> None:
        self.schemas.append(schema)

    def fixed(self) -> str | None:
        """The contract's own sentence for this rule, or None; the schema nearest to the use of a type decides."""
        for schema in self.schemas:
            messages = schema.get("x-messages", {}) if isinstance(schema, dict) else {}
            for key in ("null", self.keyword) if self.null else (self.keyword,):
                if key in messages:
                    return fill(messages[key], self.rules)
        return None

    def derived(self) -> str:
        """A sentence that names the field and the rule."""
        template = _DERIVED.get(self.keyword, "{name} breaks the contract's rule '{keyword}'")
        types = self.rules.get("type", [])
        facts = {
            **self.rules,
            "name": self.name,
            "keyword": self.keyword,
            "types": " or ".join(_TYPES[item] for item in ([types] if isinstance(types, str) else types)),
            "properties": list(self.rules.get("properties", {})),
        }
        return fill(template, facts)
