"""What several schemas say together of one value, from which values are made."""

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from itertools import chain, islice, product, repeat
from math import inf, prod
from sys import maxsize
from typing import Any, TypeVar

from openapi.bridge.document.schemas import ALWAYS, CHOICES, Schema

_MOST_LAYERS = 200
# All of these must hold for one value.
Schemas = tuple[Schema, ...]
Value = TypeVar("Value")

_TYPES = ("string", "object", "array", "integer", "number", "boolean", "null")
# Keywords that only say something of values of one type, by that type.
_SAID_OF = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties"),
    "array": ("items", "prefixItems", "minItems", "contains"),
    "string": ("pattern", "minLength", "maxLength", "format"),
    "number": ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"),
}


def alternatives(schemas: Schemas, told: Set[tuple[int, str]] = frozenset()) -> Iterator[list[Schema]]:
    """Every way to choose one schema of each `anyOf`, `oneOf` and discriminator, with all that holds beside it.

    Args:
        told: the identities of the schemas whose discriminators have been looked at.
    """
    layers: list[Schema] = []
    seen: set[tuple[int, str]] = set()
    choices: list[list[Schemas]] = []
    waiting = list(schemas)
    while waiting:
        schema = waiting.pop(0)
        if schema.identity in seen:
            continue
        seen.add(schema.identity)
        layers.append(schema)
        if len(layers) > _MOST_LAYERS:
            return
        if not isinstance(schema.node, dict):
            continue
        waiting += schema.applied(ALWAYS)
        branches = (
            schema.children(keyword).values() for keyword in ("oneOf", "anyOf") if keyword in schema.node
        )
        choices += ([(each,) for each in several] for several in branches)
        if "if" in schema.node:
            kept = (schema.below("if"), *schema.children("then").values())
            choices.append([kept, (*schema.children("else").values(),)])
        choices += ([(), (each,)] for each in schema.children("dependentSchemas").values())
        if schema.identity not in told and not CHOICES & schema.node.keys():
            kinds = [*_kinds(schema)]
            own = [kind for kind in kinds if any(part.identity in seen for part in kind[1:])]
            choices += [[*(own or kinds), ()]] if kinds else []
    if not choices:
        yield layers
        return
    ways: Iterable[tuple[Schemas, ...]] = product(*choices)
    if len(choices) > 1:
        # From both ends, since of several conditions mostly one holds, or none.
        both = by_turns((iter(ways), product(*(each[::-1] for each in choices))))
        ways = islice(both, min(prod(map(len, choices)), maxsize))
    # What is chosen may hold choices of its own.
    held = (alternatives(tuple(chain.from_iterable(chosen)), told | seen) for chosen in ways)
    yield from ([*layers, *further] for further in by_turns(held))


def _kinds(schema: Schema) -> Iterator[Schemas]:
    """What each value of a discriminator's mapping says: what the value is, and the schema to which it leads, where
    that can be found."""
    rules = schema.node.get("discriminator", {})
    for value, mapped in rules.get("mapping", {}).items():
        named = replace(schema, node={"properties": {rules["propertyName"]: {"const": value}}})
        yield named, *filter(None, [schema.led(mapped)])


def by_turns(sources: Iterable[Iterator[Value]]) -> Iterator[Value]:
    """What all of the sources yield, the first one's first; none of them waits for the end of one before."""
    further, admitted = iter(sources), list[Iterator[Value]]()
    while turn := [*admitted, *islice(further, 1)]:
        admitted = []
        for source in turn:
            for value in islice(source, 1):
                yield value
                admitted.append(source)


class Rules:
    """What several layers say together."""

    def __init__(self, layers: list[Schema]) -> None:
        self._layers = [layer for layer in layers if isinstance(layer.node, dict)]
        self.anything: Schemas = (replace(layers[0], node={"type": "string"}),)
        self._is_false = any(layer.node is False for layer in layers)

    def all(self, keyword: str) -> list[Any]:
        return [layer.node[keyword] for layer in self._layers if keyword in layer.node]

    def most(self, keyword: str) -> float:
        return max(self.all(keyword), default=0)

    def least(self, keyword: str) -> float:
        return min(self.all(keyword), default=inf)

    def given(self) -> Iterator[Any]:
        """The values that the schema's author has written down."""
        written = (*self.all("examples"), self.all("example"), self.all("const"), *self.all("enum"))
        return chain(*written, self.all("default"))

    def types(self) -> list[str]:
        """The types that a value may have, null last."""
        if self._is_false or self.all("const") or self.all("enum"):
            return []
        declared = [{said} if isinstance(said, str) else set(said) for said in self.all("type")]
        allowed = [
            name
            for name in _TYPES
            if all(name in said or (name == "integer" and "number" in said) for said in declared)
        ]
        if declared:
            return [name for name in allowed if name != "integer" or "number" not in allowed]
        said = [name for name, words in _SAID_OF.items() if any(self.all(word) for word in words)]
        return [*said, *(name for name in _TYPES if name not in said)]

    def below(self, keyword: str) -> Schemas:
        return tuple(layer.below(keyword) for layer in self._layers if keyword in layer.node)

    def item(self, index: int) -> Schemas:
        """The schemas of an array's item."""
        return tuple(item for layer in self._layers if (item := layer.item(index)))

    def contained(self) -> Iterator[Schemas]:
        """What an array must contain, each as often as it must."""
        for layer in self._layers:
            if "contains" in layer.node:
                yield from repeat((layer.below("contains"),), int(layer.node.get("minContains", 1)))

    def member(self, name: str) -> Schemas:
        """The schemas of an object's member."""
        found: list[Schema] = []
        for layer in self._layers:
            own = [layer.below("properties", name)] if name in layer.node.get("properties", {}) else []
            patterns = layer.children("patternProperties").items()
            own += (each for pattern, each in patterns if _is_found(pattern, name))
            found += own or layer.children("additionalProperties").values()
        return tuple(found) or self.below("unevaluatedProperties") or self.anything


def _is_found(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False
