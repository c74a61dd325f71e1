"""What the change of a schema means to those who send what it describes, and to those who read it."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from openapi.bridge.document.patterns import WRITTEN
from openapi.bridge.document.schemas import ALWAYS, Schema


class Effect(NamedTuple):
    """Whom a change may break."""

    senders: bool
    readers: bool


NARROWER = Effect(senders=True, readers=False)
WIDER = Effect(senders=False, readers=True)
CANNOT_TELL = Effect(senders=True, readers=True)
# Readers ignore the members that they do not know (RFC 7493, section 4.2).
NEW_MEMBER = Effect(senders=False, readers=False)


class Change(NamedTuple):
    """A rule that is another one now: whom that may break, and a sentence that names the member and the rule."""

    effect: Effect
    sentence: str


Layers = list[Schema]
Above = tuple[tuple[Any, Any], ...]

# By keyword, what holds where it is absent, and which of several limits counts.
_LIMITS: dict[str, tuple[int | None, Callable[..., Any]]] = {
    **dict.fromkeys(("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties"), (None, min)),
    **dict.fromkeys(("minimum", "exclusiveMinimum"), (None, max)),
    **dict.fromkeys(("minLength", "minItems", "minProperties"), (0, max)),
}
# Each takes something from what is valid; which of two takes more cannot be told.
_RESTRICTIONS = {"pattern", "format", "multipleOf", "uniqueItems", "dependentRequired"}
# Hold schemas whose change, whatever it is, cannot be told from what the keyword makes of it.
_OPAQUE = {"not", "if", "then", "else", "anyOf", "oneOf", "prefixItems", "contains", "propertyNames"}
_OPAQUE |= {"dependentSchemas", "patternProperties", "unevaluatedProperties", "unevaluatedItems"}
_MEMBERS = {"properties", "additionalProperties"}
_VALUES = {"enum", "const"}
_NO_RULES = {"title", "description", "examples", "example", "deprecated", "externalDocs", "xml", "$comment"}
_NO_RULES |= {"$defs", "$id", "$anchor", "$dynamicAnchor", "$schema", WRITTEN, *ALWAYS}


def changes(old: Schema, new: Schema, name: str = "", above: Above = ()) -> list[Change]:
    """How the rules of `new` differ from those of `old`, keyword by keyword of JSON Schema 2020-12.

    What cannot be told to be harmless is said to break. Texts for people and extensions are no rules.

    Args:
        name: of the member that the schemas describe, for the sentences.
    """
    pair = (old.node, new.node)
    if pair in above:  # A schema that holds itself.
        return []
    olds, news = _layers(old), _layers(new)
    was_never, is_never = (any(layer.node is False for layer in layers) for layers in (olds, news))
    if was_never or is_never:
        sentence = "is allowed now" if was_never else "is not allowed any more"
        never = Change(WIDER if was_never else NARROWER, _about(name, sentence))
        return [] if was_never and is_never else [never]
    return list(_Comparison(olds, news, name, (*above, pair)).changes())


def _layers(schema: Schema) -> Layers:
    """The schema and all that apply to the same value without a condition, the outermost first."""
    return [schema, *(layer for part in schema.applied(ALWAYS) for layer in _layers(part))]


class _Comparison:
    """Two schemas, each with the layers that apply without a condition."""

    def __init__(self, olds: Layers, news: Layers, name: str, above: Above) -> None:
        self._olds = [layer for layer in olds if isinstance(layer.node, dict)]
        self._news = [layer for layer in news if isinstance(layer.node, dict)]
        self._name = name
        self._above = above

    def changes(self) -> Iterator[Change]:
        keywords = dict.fromkeys(key for layer in (*self._olds, *self._news) for key in layer.node)
        if keywords.keys() & _VALUES:
            yield from self._sets("the values", _values)
        if keywords.keys() & _MEMBERS:
            yield from self._pairs("members", _MEMBERS, self._members)
        for keyword in keywords:
            if keyword not in _NO_RULES | _VALUES | _MEMBERS and not keyword.startswith("x-"):
                yield from self._keyword(keyword)

    def _keyword(self, keyword: str) -> Iterator[Change]:
        if keyword == "type":
            yield from self._sets("the types", _types)
        elif keyword == "required":
            yield from self._required()
        elif keyword in _LIMITS:
            yield from self._limits(keyword)
        elif keyword == "items":
            yield from self._pairs(
                keyword, {keyword}, lambda old, new: self._below(_one(keyword, old), _one(keyword, new), "[]")
            )
        elif keyword in _OPAQUE:
            yield from self._pairs(keyword, {keyword}, lambda old, new: self._opaque(keyword, old, new))
        else:
            yield from self._others(keyword)

    def _change(self, effect: Effect, sentence: str, member: str = "") -> Change:
        return Change(effect, _about(self._member(member), sentence))

    def _below(self, old: Schema, new: Schema, member: str = "") -> list[Change]:
        return changes(old, new, self._member(member), self._above)

    def _member(self, name: str) -> str:
        return f"{self._name}.{name}".strip(".")

    def _pairs(
        self, what: str, keywords: Collection[str], compare: Callable[[Schema, Schema], Iterable[Change]]
    ) -> Iterator[Change]:
        """Compares layer by layer, which is right since all of them apply."""
        olds = [layer for layer in self._olds if layer.node.keys() & keywords]
        news = [layer for layer in self._news if layer.node.keys() & keywords]
        if len(olds) == len(news):
            for old, new in zip(olds, news, strict=True):
                yield from compare(old, new)
        else:
            yield self._change(CANNOT_TELL, f"{what} have other rules, and what that means cannot be told")

    def _sets(self, what: str, read: Callable[[Layers], set[str] | None]) -> Iterator[Change]:
        old, new = read(self._olds), read(self._news)
        if old != new:
            gone = old is None or (new is not None and not old <= new)
            added = new is None or (old is not None and not new <= old)
            was, now = ("any" if each is None else ", ".join(sorted(each)) for each in (old, new))
            yield self._change(Effect(senders=gone, readers=added), f"{what} were {was}; now {now}")

    def _required(self) -> Iterator[Change]:
        old, new = (
            dict.fromkeys(name for names in _found("required", layers) for name in names)
            for layers in (self._olds, self._news)
        )
        for name in [name for name in new if name not in old]:
            yield self._change(NARROWER, "is required now", name)
        for name in [name for name in old if name not in new]:
            yield self._change(WIDER, "is not required any more", name)

    def _limits(self, keyword: str) -> Iterator[Change]:
        absent, tightest = _LIMITS[keyword]
        old, new = (tightest(_found(keyword, layers), default=absent) for layers in (self._olds, self._news))
        if old != new:
            narrower = old is None or (new is not None and tightest(old, new) == new)
            yield self._change(NARROWER if narrower else WIDER, _said(keyword, [old], [new]))

    def _members(self, old: Schema, new: Schema) -> Iterator[Change]:
        olds, news = old.children("properties"), new.children("properties")
        others = old.node.get("additionalProperties", True)
        new_member = CANNOT_TELL
        if others is True and not _found("unevaluatedProperties", self._olds):
            # Any member was allowed, so this one was too, whatever its value.
            new_member = NARROWER
        elif others is False and "patternProperties" not in old.node:
            new_member = NEW_MEMBER
        for name in dict.fromkeys((*olds, *news)):
            if name not in news:
                yield self._change(CANNOT_TELL, "is gone", name)
            elif name in olds:
                yield from self._below(olds[name], news[name], name)
            else:
                yield self._change(new_member, "is new", name)
        was, now = (_one("additionalProperties", each) for each in (old, new))
        is_known = False not in (was.node, now.node)
        for effect, sentence in self._below(was, now, "*"):
            yield Change(effect if is_known else effect._replace(readers=False), sentence)

    def _opaque(self, keyword: str, old: Schema, new: Schema) -> Iterator[Change]:
        olds, news = old.children(keyword), new.children(keyword)
        if olds.keys() != news.keys() or any(self._below(olds[key], news[key]) for key in olds):
            yield self._change(CANNOT_TELL, f"{keyword} is another, and what that means cannot be told")

    def _others(self, keyword: str) -> Iterator[Change]:
        olds, news = _found(keyword, self._olds), _found(keyword, self._news)
        effect = CANNOT_TELL
        if keyword == "default":
            # The outermost counts, and only for those who leave the value out.
            olds, news, effect = olds[:1], news[:1], NARROWER
        elif keyword in _RESTRICTIONS and not (olds and news):
            effect = NARROWER if news else WIDER
        if json.dumps(olds, sort_keys=True) != json.dumps(news, sort_keys=True):
            yield self._change(effect, _said(keyword, olds, news))


def _about(name: str, sentence: str) -> str:
    return f"{name}: {sentence}" if name else sentence


def _found(keyword: str, layers: Layers) -> list[Any]:
    return [layer.node[keyword] for layer in layers if keyword in layer.node]


def _one(keyword: str, schema: Schema) -> Schema:
    """The schema below a keyword; where it is absent all is allowed."""
    return schema.children(keyword).get(None, replace(schema, node=True))


def _values(layers: Layers) -> set[str] | None:
    lists = [*_found("enum", layers), *([value] for value in _found("const", layers))]
    sets = [{json.dumps(value, sort_keys=True, ensure_ascii=False) for value in values} for values in lists]
    return set.intersection(*sets) if sets else None


def _types(layers: Layers) -> set[str] | None:
    sets = [{each} if isinstance(each, str) else {*each} for each in _found("type", layers)]
    sets = [each | {"integer"} if "number" in each else each for each in sets]
    return set.intersection(*sets) if sets else None


def _said(keyword: str, old: list[Any], new: list[Any]) -> str:
    was, now = (
        " and ".join("none" if each is None else json.dumps(each, ensure_ascii=False) for each in values)
        or "none"
        for values in (old, new)
    )
    return f"{keyword} was {was}, is {now}"
