"""From a broken rule of the contract to a sentence for a person, which never echoes what was sent."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import chain
from typing import Any

from jsonschema_rs import ValidationError

from openapi.bridge.contract import Contract, fill, quoted
from openapi.bridge.document.grammar import SCHEMA_KEYWORDS
from openapi.bridge.document.patterns import as_written
from openapi.bridge.document.places import REFERENCES, pointer_to
from openapi.bridge.document.schemas import CHOICES, Schema
from openapi.bridge.failures import BadRequest, Violation

BODY = "The request body"

# Of a value with more parts only the first violation is found: each costs microseconds, and there may be as many.
_MANY_PARTS = 1000
# To find out which branch of a choice a value is meant for, all that is wrong by each has to be listed.
_FEW_PARTS = 50
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
    **dict.fromkeys(("required", "dependentRequired"), "{name} is required"),
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
    **dict.fromkeys(("additionalProperties", "unevaluatedProperties"), "{name} must not have {only}"),
    "type": "{name} must be {types}",
    "false": "{name} is not allowed",
}
_BY_KEYWORD = "{name} breaks the contract's rule '{keyword}'"
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
        pointer: where the schema stands in the contract.
        parameter: the name of the parameter whose value it is, None for a body.
    """

    def __init__(self, contract: Contract, pointer: str, parameter: str | None = None) -> None:
        self._schema = contract.requests.at(pointer)
        self._name = BODY if parameter is None else parameter
        self._parameter = parameter
        self._faults = cache(lambda: contract.faults.validator(pointer))
        self._validator = contract.requests.validator(pointer)
        self.is_valid: Callable[[Any], bool] = self._validator.is_valid

    def refusal(self, value: Any) -> BadRequest:
        """The refusal of a value that is not valid, with all violations.

        Its sentence is one that the contract fixes (`x-messages`) for one of the broken rules, or else is derived from
        the first of them.
        """
        return BadRequest(self._sentence(value), partial(self._violations, value))

    def missing(self) -> BadRequest:
        """The refusal of a request in which the value must be given and is not."""
        messages = (layer.node.get("x-messages", {}) for layer in self._schema.layers())
        fixed = (message["required"] for message in messages if "required" in message)
        sentence = next(fixed, capital(fill(_DERIVED["required"], {"name": self._name})))
        return BadRequest(sentence, [Violation(sentence, "required", parameter=self._parameter)])

    def _sentence(self, value: Any) -> str:
        broken = self._broken_rules(value)
        first = next(broken)
        fixed = (rule.fixed() for rule in chain([first], broken))
        return next(filter(None, fixed), None) or first.derived()

    def _violations(self, value: Any) -> Iterator[Violation]:
        listed = set()
        for rule in self._broken_rules(value):
            pointer = None if self._parameter else rule.pointer
            sentence = rule.fixed() or rule.derived()
            # Two rules with one sentence are one mistake to whoever has made it.
            if (sentence, pointer) not in listed:
                listed.add((sentence, pointer))
                yield Violation(sentence, rule.keyword, pointer, self._parameter)

    def _broken_rules(self, value: Any) -> "Iterator[_BrokenRule]":
        """All broken rules, or the first alone of a value that has many parts."""
        if (parts := _parts_of(value)) > _MANY_PARTS:
            try:
                self._faults().validate(value)
            except ValidationError as error:
                yield _BrokenRule(self._schema, self._name, error)
        else:
            validator = self._faults() if parts > _FEW_PARTS else self._validator
            yield from self._rules_of([*validator.iter_errors(value)])

    def _rules_of(self, errors: Sequence[ValidationError]) -> "Iterator[_BrokenRule]":
        """The rules that errors are about; of a part that is of the wrong type no other rule has anything to say, and
        of a broken choice the branch has that the value is meant for."""
        mistyped = {tuple(each.instance_path) for each in errors if each.kind.name == "type"}
        for each in errors:
            if each.kind.name == "type" or tuple(each.instance_path) not in mistyped:
                rule = _BrokenRule(self._schema, self._name, each)
                meant = _meant(rule, each) if rule.lists_branches and rule.fixed() is None else None
                yield from [rule] if meant is None else self._rules_of(meant)


def _meant(choice: "_BrokenRule", error: ValidationError) -> Sequence[ValidationError] | None:
    """What is wrong by the one branch of a choice that a value can be meant for; None where there is none, or several.

    It is the branch that a discriminator names, or else the only one of the value's type or, among more of these, the
    only one whose fixed values the value and its members have.
    """
    branches: list[list[ValidationError]] = error.kind.as_dict()["context"]
    if (named := choice.named_branch(error.instance)) is not None:
        return branches[named] or None
    place = len(error.instance_path)
    for kinds, depth in (({"type"}, place), ({"const", "enum"}, place + 1)):
        branches = [
            found
            for found in branches
            if not any(each.kind.name in kinds and len(each.instance_path) <= depth for each in found)
        ]
        if len(branches) == 1:
            return branches[0] or None
    return None


def _parts_of(value: Any) -> int:
    """How many parts a value has; it counts no further than to see that they are many."""
    left, parts = [value], 0
    while left and parts <= _MANY_PARTS:
        part = left.pop()
        # Each error holds what it is about, so that a long text costs as much as many members.
        parts += 1 + (len(part) // 1000 if isinstance(part, str) else 0)
        if isinstance(part, dict | list):
            parts += len(part)
            left.extend(part.values() if isinstance(part, dict) else part)
    return parts


class _BrokenRule:
    """A broken rule, the schemas that lead to it (outermost first) and the field that it concerns."""

    def __init__(self, schema: Schema, name: str, error: ValidationError) -> None:
        self.name = name
        self.schemas = [schema]
        is_name = error.kind.name == "propertyNames"
        # What is wrong with a name stands in an error within the error.
        broken = error.kind.as_dict()["error"] if is_name else error
        # The first step is from the validator's own `$ref` into the contract; the last is the keyword, save where
        # a schema is just `false`.
        path = list(broken.evaluation_path[1:])
        is_false = broken.kind.name == "falseSchema" and path[-1:] != ["additionalProperties"]
        member = path[-1] if is_false and path[-2:-1] == ["dependentSchemas"] else None
        refusing = "propertyNames" if is_name else "false"
        self.keyword = refusing if is_false else str(path.pop())
        self.lists_branches = self.keyword in CHOICES and not is_name
        if self.keyword in CHOICES and path[-3:-2] + path[-1:] == ["allOf", "else"]:
            # The condition that stands for the choice where faults are looked for.
            del path[-3:]
            self.lists_branches = False
        self._descend(path)
        self.rules = as_written(self.schemas[-1].node)
        self.is_null = self.keyword == "type" and error.instance is None
        if error.kind.name == "required":
            member = error.kind.as_dict()["property"]
            if member in self.rules.get("properties", {}):
                self.schemas.append(self.schemas[-1].below("properties", member))
        self.pointer = pointer_to("", *error.instance_path)
        if member is not None:
            self.name = str(member)
            self.pointer = pointer_to(self.pointer, member)
        # Names of members are the client's own, and as long as it likes.
        while len(self.pointer) > _LONGEST:
            self.pointer = self.pointer.rpartition("/")[0]

    def _descend(self, path: list[str | int]) -> None:
        part = None
        while path:
            schema, keyword = self.schemas[-1], str(path.pop(0))
            if keyword in REFERENCES:
                self.schemas.append(schema.follow(schema.node[keyword]))
                continue
            keys = [keyword] if SCHEMA_KEYWORDS[keyword] == "schemas" else [keyword, path.pop(0)]
            self.schemas.append(schema.below(*keys))
            if keyword == "properties":
                self.name, part = str(keys[1]), None
            elif keyword in _PARTS and (part is None or keyword == "propertyNames"):
                part = _PARTS[keyword]
        if part is not None:
            self.name = fill(part, {"name": re.sub("^The ", "the ", self.name)})

    def named_branch(self, value: Any) -> int | None:
        """The index of the branch of a choice that its discriminator names for a value (OpenAPI 3.1, "Discriminator
        Object"), or None."""
        hint, schema = self.rules.get("discriminator", {}), self.schemas[-1]
        name = value.get(hint.get("propertyName")) if isinstance(value, dict) else None
        if not isinstance(name, str):
            return None
        mapped = hint.get("mapping", {}).get(name)
        named = mapped and schema.led(mapped)
        for index, branch in enumerate(schema.children(self.keyword).values()):
            reference = branch.node.get("$ref", "") if isinstance(branch.node, dict) else ""
            if branch.end() == named if mapped else reference.rpartition("/")[2] == name:
                return index
        return None

    def fixed(self) -> str | None:
        """The contract's own sentence for this rule, or None; the schema nearest to the use of a type decides."""
        for schema in self.schemas:
            messages = schema.node.get("x-messages", {}) if isinstance(schema.node, dict) else {}
            for key in ("null", self.keyword) if self.is_null else (self.keyword,):
                if key in messages:
                    return fill(messages[key], {**self.rules, "properties": _alternatives(self._members())})
        return None

    def derived(self) -> str:
        """A sentence that names the field, with a capital letter where it begins the sentence, and the rule."""
        types = self.rules.get("type", [])
        names = self._members()
        facts = {
            **self.rules,
            "name": self.name,
            "keyword": self.keyword,
            "const": quoted(self.rules.get("const")),
            "types": " or ".join(_TYPES[item] for item in ([types] if isinstance(types, str) else types)),
            "only": f"members other than {' or '.join(map(quoted, names))}" if names else "members",
        }
        sentence = capital(fill(_DERIVED.get(self.keyword, _BY_KEYWORD), facts))
        if len(sentence) > _LONGEST:
            return capital(fill(_BY_KEYWORD, facts))
        return re.sub(r"\b1 (character|item|member)s\b", r"1 \1", sentence)

    def _members(self) -> list[str]:
        """The names of the members that an object may have, as the contract lists them."""
        schema = self.schemas[-1]
        rules = [layer.node.get("dependentSchemas", {}) for layer in schema.layers()]
        return [name for name in schema.members() if not any(each.get(name) is False for each in rules)]


def capital(sentence: str) -> str:
    """`sentence` with a capital letter at its beginning, which may be the name of a field."""
    return sentence[:1].upper() + sentence[1:]


def _alternatives(names: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
