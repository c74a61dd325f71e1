"""From texts, which have no types, to the values that a schema allows."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import chain, islice
from math import isfinite
from typing import Any

from openapi.bridge.document.schemas import LAID_OVER, Schema, members_of

# The texts that are given for a value, or for those of its items or members, by index or name.
Tree = Sequence[str] | dict[str, "Tree"]

# A schema of many choices within others has no end of them.
_MOST_WAYS = 256
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,4000})", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


class Coercion:
    """What some schemas of one value make of its texts; a text that can mean nothing else stays one.

    Those of items and members are asked for (`coercion_of`) when they are needed, since a schema may hold itself.
    """

    def __init__(self, *schemas: Schema) -> None:
        self._schemas = schemas
        self._items: dict[int, list[Schema]] = {}
        self.types = frozenset(name for schema in schemas for name in schema.types())
        self.meanings = [*self._meanings()]
        """What a text can mean beside itself, one of them at most: what tells that it does, and what makes it."""

    def _meanings(self) -> Iterator[tuple[Callable[[str], object], Callable[[str], Any]]]:
        if "number" in self.types:
            yield _NUMBER.fullmatch, _number
        elif "integer" in self.types:
            yield _INTEGER.fullmatch, int
        if "boolean" in self.types:
            yield ("true", "false").__contains__, "true".__eq__
        # Clients write null as the text `null` or as an empty one. It is read so where no text can be meant.
        texts = [schema for schema in self._schemas if "string" in schema.types()]
        if "null" in self.types and not any(schema.is_valid("null") for schema in texts):
            written = {"null"} if texts else {"", "null"}
            yield written.__contains__, lambda _null: None

    def convert(self, text: str) -> Any:
        """What the text means; the text itself where that is valid by more of the schemas."""
        for is_one, make in self.meanings:
            if is_one(text):
                value = make(text)
                is_text = "string" in self.types and self._votes(text) > self._votes(value)
                return text if is_text else value
        return text

    def _votes(self, value: Any) -> int:
        return sum(schema.is_valid(value) for schema in self._schemas)

    def value(self, tree: Tree) -> Any:
        """What a tree of texts means; numbers from 0 on are the indices of an array.

        Raises:
            ValueError: for several texts where one has to be.
        """
        if isinstance(tree, dict):
            is_numbered = tree and all(key == str(index) for index, key in enumerate(tree))
            if "array" in self.types and is_numbered:
                return [self.item(index).value(each) for index, each in enumerate(tree.values())]
            return {name: self.member(name).value(each) for name, each in tree.items()}
        if "array" in self.types or (len(tree) > 1 and not self.types):
            return [self.item(index).convert(text) for index, text in enumerate(tree)]
        if len(tree) > 1:
            raise ValueError
        # An object without members has no form of its own; Schemathesis writes it so.
        return {} if tree[0] == "" and self.types == {"object"} else self.convert(tree[0])

    @cached_property
    def _layers(self) -> list[Schema]:
        return [layer for schema in self._schemas for layer in schema.layers()]

    @cached_property
    def _longest_prefix(self) -> int:
        return max((len(layer.node.get("prefixItems", ())) for layer in self._layers), default=0)

    def item(self, index: int) -> "Coercion":
        """What the item of an array at `index` is read by."""
        index = min(index, self._longest_prefix)
        if index not in self._items:
            self._items[index] = [item for layer in self._layers if (item := layer.item(index))]
        return coercion_of(*self._items[index])

    def member(self, name: str) -> "Coercion":
        """What the member of an object is read by."""
        return coercion_of(*self.members.get(name, self._others))

    @cached_property
    def members(self) -> dict[str, list[Schema]]:
        """The schemas of the members that are named."""
        return members_of(self._layers)

    @cached_property
    def is_open(self) -> bool:
        """Whether an object may have members that the schemas do not name."""
        others = (layer.node.get("additionalProperties") for layer in self._layers)
        return next((each for each in others if each is not None), True) is not False

    @cached_property
    def _others(self) -> list[Schema]:
        return [
            layer.below("additionalProperties")
            for layer in self._layers
            if "additionalProperties" in layer.node
        ]


# As many as a client can have made are not kept: it may name members of members in ever other ways.
coercion_of = lru_cache(4096)(Coercion)


def ways(schema: Schema) -> list[Schema]:
    """The schema with each branch of a choice or condition alone, one choice after the other, also of those that a
    reference, `allOf` or another branch lays over it."""
    return [*islice(_ways(schema), _MOST_WAYS)]


def _ways(schema: Schema) -> Iterator[Schema]:
    schema = schema.end()
    if not isinstance(node := schema.node, dict):
        return
    for keyword in ("anyOf", "oneOf"):
        for branch in schema.children(keyword).values():
            yield from (
                replace(schema, node={**node, keyword: [way.node]})
                for way in chain([branch], _ways(branch))
                if way is branch or way.base == schema.base
            )
    laid = [*schema.applied(LAID_OVER)]
    over = chain(
        ((*laid, each) for each in schema.applied({"then", "else", "dependentSchemas"})),
        ((*laid[:at], way, *laid[at + 1 :]) for at, part in enumerate(laid) for way in _ways(part)),
    )
    own = {keyword: value for keyword, value in node.items() if keyword not in LAID_OVER}
    for parts in over:
        # References of another base would lead elsewhere from here.
        if all(part.base == schema.base for part in parts):
            yield replace(schema, node={**own, "allOf": [part.node for part in parts]})


def _number(text: str) -> Any:
    """The number as JSON would have it; one that a double cannot hold stays a text."""
    if _INTEGER.fullmatch(text):
        return int(text)
    value = float(text)
    return value if isfinite(value) else text
