"""From a broken rule of the contract to a sentence for a person, which never echoes what was sent."""

import re
from typing import Any

from jsonschema_rs import ValidationError

from openapi.bridge.contract import Contract, fill, quoted
from openapi.bridge.document.places import Json, Place
from openapi.bridge.document.schemas import Schema
from openapi.bridge.failures import BadRequest

# Up to here all violations are looked at. Each costs microseconds, and a large array can hold thousands.
_SMALL = 4096
_LONGEST = 500

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
    "const": "{name} must be {const}",
    "minimum": "{name} must be {minimum} or more",
    "maximum": "{name} must be {maximum} or less",
    "exclusiveMinimum": "{name} must be more than {exclusiveMinimum}",
    "exclusiveMaximum": "{name} must be less than {exclusiveMaximum}",
    "multipleOf": "{name} must be a multiple of {multipleOf}",
    "minItems": "{name} must have {minItems} items or more",
    "maxItems": "{name} must have {maxItems} items or less",
    "uniqueItems": "{name} must not hold the same item twice",
    "contains": "{name} must hold an item of the kind that the contract asks for",
    "unevaluatedItems": "{name} must not have more items than the contract lists",
    "minProperties": "{name} must have {minProperties} members or more",
    "maxProperties": "{name} must have {maxProperties} members or less",
    "additionalProperties": "{name} must not have {only}",
    "unevaluatedProperties": "{name} must not have {only}",
    "type": "{name} must be {types}",
    "false": "{name} is not allowed",
}
_BY_KEYWORD = "{name} breaks the contract's rule '{keyword}'"
# Keywords that hold several schemas, by a member's name or by a number.
_KEYED = {"properties", "patternProperties", "dependentSchemas", "allOf", "anyOf", "oneOf", "prefixItems"}
_PARTS = {
    **dict.fromkeys(("items", "prefixItems", "unevaluatedItems"), "An item of {name}"),
    **dict.fromkeys(
        ("additionalProperties", "patternProperties", "unevaluatedProperties"), "A member of {name}"
    ),
    "propertyNames": "The name of a member of {name}",
}


class SpeakingValidator:
    """A compiled schema of the contract that says in a sentence what is wrong with a value.

    Args:
        name: what the value is called where no member of it is concerned, "The request body" say.
    """

    def __init__(self, contract: Contract, schema: Place, name: str) -> None:
        self._validator = contract.validator(schema)
        self._schema = contract.schema_at(schema)
        self._name = name

    def check(self, value: Any, size: int = 0) -> None:
        """Returns if `value` is valid.

        Args:
            size: how many bytes the value took on the wire.

        Raises:
            BadRequest: with a sentence that the contract fixes (`x-messages`) for one of the broken rules, or
                else with one that is derived from the first of them.
        """
        if not self._validator.is_valid(value):
            raise BadRequest(self._sentence(value, size))

    def missing(self) -> str:
        """The sentence for a value that must be given and is not."""
        messages = (layer.node.get("x-messages", {}) for layer in self._schema.layers())
        fixed = (message["required"] for message in messages if "required" in message)
        return next(fixed, fill(_DERIVED["required"], {"name": self._name}))

    def _sentence(self, value: Any, size: int) -> str:
        try:
            self._validator.validate(value)
        except ValidationError as error:
            first = _Violation(self._schema, self._name, error)
        errors = self._validator.iter_errors(value) if first.fixed() is None and size <= _SMALL else ()
        violations = [first, *(_Violation(self._schema, self._name, error) for error in errors)]
        return next(filter(None, (each.fixed() for each in violations)), None) or first.derived()


class _Violation:
    """A broken rule, the schemas that lead to it (outermost first) and the field that it concerns."""

    def __init__(self, schema: Schema, name: str, error: ValidationError) -> None:
        self.name = name
        self.schemas = [schema]
        # The first step is from the validator's own `$ref` into the contract; the last is the keyword, save where
        # a schema is just `false`.
        path = list(error.evaluation_path[1:])
        is_false = error.kind.name == "falseSchema" and path[-1:] != ["additionalProperties"]
        self.keyword = "false" if is_false else str(path.pop())
        self._descend(path)
        node = self.schemas[-1].node
        self.rules: Json = node if isinstance(node, dict) else {}
        self.is_null = self.keyword == "type" and error.instance is None
        if error.kind.name == "required":
            self.name = error.kind.as_dict()["property"]
            if self.name in self.rules.get("properties", {}):
                self.schemas.append(self.schemas[-1].below("properties", self.name))

    def _descend(self, path: list[str | int]) -> None:
        within_part = False
        while path:
            schema, keyword = self.schemas[-1], str(path.pop(0))
            if keyword in ("$ref", "$dynamicRef"):
                self.schemas.append(schema.follow(schema.node[keyword]))
                continue
            keys = [keyword, path.pop(0)] if keyword in _KEYED else [keyword]
            self.schemas.append(schema.below(*keys))
            if keyword == "properties":
                self.name, within_part = str(keys[1]), False
            elif keyword in _PARTS and not within_part:
                self.name, within_part = (
                    fill(_PARTS[keyword], {"name": re.sub("^The ", "the ", self.name)}),
                    True,
                )

    def fixed(self) -> str | None:
        """The contract's own sentence for this rule, or None; the schema nearest to the use of a type decides."""
        for schema in self.schemas:
            messages = schema.node.get("x-messages", {}) if isinstance(schema.node, dict) else {}
            for key in ("null", self.keyword) if self.is_null else (self.keyword,):
                if key in messages:
                    return fill(messages[key], self.rules)
        return None

    def derived(self) -> str:
        """A sentence that names the field and the rule."""
        if self.keyword == "dependentRequired":
            return fill(_DERIVED["required"], {"name": self.name})
        types = self.rules.get("type", [])
        members = (layer.node.get("properties", {}) for layer in self.schemas[-1].layers())
        names = list(dict.fromkeys(name for member in members for name in member))
        facts = {
            **self.rules,
            "name": self.name,
            "keyword": self.keyword,
            "const": quoted(self.rules.get("const")),
            "types": " or ".join(_TYPES[item] for item in ([types] if isinstance(types, str) else types)),
            "only": f"members other than {' or '.join(map(quoted, names))}" if names else "members",
        }
        sentence = fill(_DERIVED.get(self.keyword, _BY_KEYWORD), facts)
        if len(sentence) > _LONGEST:
            return fill(_BY_KEYWORD, facts)
        return re.sub(r"\b1 (character|item|member)s\b", r"1 \1", sentence)
