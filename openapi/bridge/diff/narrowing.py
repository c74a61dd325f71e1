"""What the change of a schema means to those who send what it describes, and to those who read it."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from openapi.bridge.document.patterns import WRITTEN
from openapi.bridge.document.schemas import ALWAYS, LAID_OVER, Schema, members_of


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
# Two schemas, and the name of the member that they describe, for the sentences.
Pair = tuple[Schema, Schema, str]
Same = set[tuple[Schema, Schema]]

# By keyword, what holds where it is absent, and which of several limits counts.
_LIMITS: dict[str, tuple[int | None, Callable[..., Any]]] = {
    **dict.fromkeys(("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties"), (None, min)),
    **dict.fromkeys(("minimum", "exclusiveMinimum"), (None, max)),
    **dict.fromkeys(("minLength", "minItems", "minProperties"), (0, max)),
}
# Each takes something from what is valid; which of two takes more cannot be told.
_RESTRICTIONS = {"pattern", "format", "multipleOf", "uniqueItems", "dependentRequired"}
# An answer has what is `readOnly` all the same, and a request what is `writeOnly`; false says as much as nothing.
_FLAGS = {"readOnly": NARROWER, "writeOnly": WIDER, "uniqueItems": CANNOT_TELL, "nullable": CANNOT_TELL}
# Hold schemas whose change, whatever it is, cannot be told from what the keyword makes of it.
_OPAQUE = {"not", "if", "then", "else", "anyOf", "oneOf", "prefixItems", "contains", "propertyNames"}
_OPAQUE |= {"dependentSchemas", "patternProperties", "contentSchema"}
_OPAQUE |= {"unevaluatedProperties", "unevaluatedItems"}
_MEMBERS = {"properties", "additionalProperties"}
# Each of these means another thing beside another one of its group.
_GROUPS = ({*_MEMBERS, "patternProperties"}, {"items", "prefixItems"}, {"if", "then", "else"})
_GROUP_OF = {keyword: group for group in _GROUPS for keyword in group}
# By keyword for what others leave over, the one for what it leaves, and how the sentences call that.
_REST = {"items": ("unevaluatedItems", "[]"), "additionalProperties": ("unevaluatedProperties", "*")}
_VALUES = {"enum", "const"}
_NO_RULES = {"title", "description", "examples", "example", "deprecated", "externalDocs", "xml", "$comment"}
_NO_RULES |= {"$defs", "definitions", "$id", "$anchor", "$dynamicAnchor", "$schema", WRITTEN, *ALWAYS}


def changes(old: Schema, new: Schema) -> list[Change]:
    """How the rules of `new` differ from those of `old`, keyword by keyword of JSON Schema 2020-12.

    What cannot be told to be harmless is said to break. Texts for people and extensions are no rules. What a schema
    refers to in several places is compared in the nearest of them.
    """
    return [*_changes((old, new, ""), set())]


def _changes(first: Pair, same: Same, *, exact: bool = False) -> Iterator[Change]:
    """The same, for what is below a name.

    Args:
        same: what is known not to differ at all, to which this adds.
        exact: whether it is a change, too, that one has a keyword which says as much as its absence.
    """
    seen = set(same) if exact else set()
    waiting, differ = [first], False
    for old, new, name in waiting:
        pair = old.end(), new.end()
        if pair not in seen:
            seen.add(pair)
            comparison = _Comparison(*pair, name, same, exact)
            found = [*comparison.changes()]
            yield from found
            differ = differ or bool(found)
            waiting += comparison.below
    if exact and not differ:
        same |= seen


def _layers(schema: Schema) -> Layers:
    """The schema and all that apply to the same value without a condition, the outermost first."""
    return [schema, *(layer for part in schema.applied(ALWAYS) for layer in _layers(part))]


class _Comparison:
    """Two schemas, each with the layers that apply without a condition; `below` gets what else has to be compared."""

    def __init__(self, old: Schema, new: Schema, name: str, same: Same, exact: bool) -> None:
        sides = _layers(old), _layers(new)
        self._never = tuple(any(layer.node is False for layer in layers) for layers in sides)
        self._olds, self._news = (
            [layer for layer in layers if isinstance(layer.node, dict)] for layers in sides
        )
        self._all = (*self._olds, *self._news)
        self._name = name
        self._same = same
        self._exact = exact
        self.below: list[Pair] = []

    def changes(self) -> Iterator[Change]:
        if self._never == (True, False):
            yield self._change(WIDER, "is allowed now")
        if self._never == (False, True):
            yield self._change(NARROWER, "is not allowed any more")
        if any(self._never):
            return
        keywords = dict.fromkeys(key for layer in self._all for key in layer.node)
        if keywords.keys() & _VALUES:
            yield from self._sets("the values", _values)
        if keywords.keys() & _MEMBERS:
            yield from self._pairs("properties", self._members)
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
            yield from self._pairs(keyword, lambda old, new: self._rest(keyword, old, new))
        elif keyword in _OPAQUE:
            yield from self._pairs(keyword, lambda old, new: self._opaque(keyword, old, new))
        else:
            yield from self._others(keyword)

    def _change(self, effect: Effect, sentence: str, member: str = "") -> Change:
        name = self._member(member)
        return Change(effect, f"{name}: {sentence}" if name else sentence)

    def _below(self, old: Schema, new: Schema, member: str = "") -> None:
        self.below.append((old, new, self._member(member)))

    def _member(self, name: str) -> str:
        return f"{self._name}.{name}".strip(".")

    def _pairs(self, keyword: str, compare: Callable[[Schema, Schema], Iterator[Change]]) -> Iterator[Change]:
        """Compares layer by layer, which is right since all of them apply."""
        group = _GROUP_OF.get(keyword, {keyword})
        olds, news = (
            [layer for layer in layers if layer.node.keys() & group] for layers in (self._olds, self._news)
        )
        if keyword not in _OPAQUE and not self._exact and not (olds and news):
            anything = [replace(layer, node={}) for layer in olds or news]
            olds, news = olds or anything, news or anything
        if len(olds) == len(news):
            for old, new in zip(olds, news, strict=True):
                yield from compare(old, new)
        else:
            yield self._cannot_tell(keyword)

    def _sets(self, what: str, read: Callable[[Layers], set[str] | None]) -> Iterator[Change]:
        old, new = read(self._olds), read(self._news)
        if old != new:
            gone = old is None or (new is not None and not old <= new)
            added = new is None or (old is not None and not new <= old)
            was, now = ("any" if each is None else ", ".join(sorted(each)) for each in (old, new))
            yield self._change(Effect(senders=gone, readers=added), f"{what} were {was}; now {now}")

    def _required(self) -> Iterator[Change]:
        sent, read = (
            [_needed(layers, flag) for layers in (self._olds, self._news)]
            for flag in ("readOnly", "writeOnly")
        )
        for name in sorted((sent[1] - sent[0]) | (read[1] - read[0])):
            yield self._change(Effect(name in sent[1] - sent[0], readers=False), "is required now", name)
        for name in sorted((sent[0] - sent[1]) | (read[0] - read[1])):
            effect = Effect(senders=False, readers=name in read[0] - read[1])
            yield self._change(effect, "is not required any more", name)

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
                self._below(olds[name], news[name], name)
            else:
                yield self._change(new_member, "is new", name)
        if False in (others, new.node.get("additionalProperties")):
            # Readers of the closed one know none of these members.
            pair = (_one("additionalProperties", old), _one("additionalProperties", new), self._member("*"))
            for effect, sentence in _changes(pair, self._same):
                yield Change(effect._replace(readers=False), sentence)
        else:
            yield from self._rest("additionalProperties", old, new)

    def _rest(self, keyword: str, old: Schema, new: Schema) -> Iterator[Change]:
        """Compares what a keyword says of all members or items that no other names."""
        unevaluated, name = _REST[keyword]
        appeared = (keyword in old.node) != (keyword in new.node)
        if appeared and (self._exact or _found(unevaluated, self._all)):
            yield self._cannot_tell(keyword)
        else:
            self._below(_one(keyword, old), _one(keyword, new), name)

    def _opaque(self, keyword: str, old: Schema, new: Schema) -> Iterator[Change]:
        olds, news = old.children(keyword), new.children(keyword)
        pairs = [(olds[key], news[key], "") for key in olds if key in news]
        counts = ("minContains", "maxContains") if keyword == "contains" else ()
        differ = any(old.node.get(count) != new.node.get(count) for count in counts)
        if self._exact:
            self.below += pairs
        else:
            differ = differ or any(True for pair in pairs for _ in _changes(pair, self._same, exact=True))
        if keyword == "anyOf" and not differ and len(olds) != len(news):
            effect, word = (WIDER, "more") if len(olds) < len(news) else (NARROWER, "fewer")
            yield self._change(effect, f"anyOf has {word} schemas")
        elif differ or olds.keys() != news.keys():
            yield self._cannot_tell(keyword)

    def _cannot_tell(self, keyword: str) -> Change:
        return self._change(CANNOT_TELL, f"{keyword} is another, and what that means cannot be told")

    def _others(self, keyword: str) -> Iterator[Change]:
        olds, news = _found(keyword, self._olds), _found(keyword, self._news)
        effect = _FLAGS.get(keyword, CANNOT_TELL)
        if keyword in _FLAGS:
            olds, news = ([each for each in found if each is not False] for found in (olds, news))
        if keyword == "default":
            # The outermost counts, and only for those who leave the value out.
            olds, news, effect = olds[:1], news[:1], NARROWER
        elif keyword in _RESTRICTIONS and not (olds and news):
            effect = NARROWER if news else WIDER
        if json.dumps(olds, sort_keys=True) != json.dumps(news, sort_keys=True):
            yield self._change(effect, _said(keyword, olds, news))


def _found(keyword: str, layers: Sequence[Schema]) -> list[Any]:
    return [layer.node[keyword] for layer in layers if keyword in layer.node]


def _needed(layers: Sequence[Schema], flag: str) -> set[str]:
    """The names of the members that have to be there, which those with a flag do not, whatever is written."""
    members = members_of(layers)
    names = {name for names in _found("required", layers) for name in names}
    return {
        name for name in names if not any(each.is_marked(flag, LAID_OVER) for each in members.get(name, ()))
    }


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
