"""Values that a schema allows, made from nothing else; the same schema gives the same value every time."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from fractions import Fraction
from itertools import chain, count, islice, product
from math import ceil, floor, gcd, lcm
from typing import Any

from openapi.bridge.document.schemas import Schema
from openapi.bridge.failures import Failure
from openapi.bridge.mock.rules import Rules, Schemas, alternatives, by_turns
from openapi.bridge.mock.texts import matching, texts

_CANDIDATES = 60
_CHOICES = 24
_DEPTH = 4
_DEEPEST = 24
# An answer that has to be larger is not made: it would take all memory, and the turns of the others.
_MOST_PARTS = 1_000
_MOST_STEPS = 10_000
# How many steps a number is away from its bound; the last are far, for what a `not` takes away from the first.
_FURTHER = (*range(40), *(2**power for power in range(6, 26)))
_STEPS: ContextVar[Iterator[int]] = ContextVar("steps")


class NoExample(Failure):
    """The contract has no example of an answer, and none could be made from its schema."""

    status_code = 501
    sentence = "No valid answer could be made from the contract: give this operation's response an example"


def value_of(schema: Schema) -> Any:
    """A value that the schema allows, without `writeOnly` members; raises NoExample if none is found."""
    _STEPS.set(count())
    return _one((schema,), 0)


def _one(schemas: Schemas, depth: int) -> Any:
    for value in _values(schemas, depth):
        return value
    raise NoExample


def _values(schemas: Schemas, depth: int) -> Iterator[Any]:
    """Valid values, the one that says the most first."""
    if depth > _DEEPEST or next(_STEPS.get()) > _MOST_STEPS:
        return
    invalid = []
    for value in _candidates(schemas, depth):
        if all(schema.is_valid(value) for schema in schemas):
            yield value
        else:
            invalid.append(value)
    yield from _of_one_branch(schemas, invalid)


def _of_one_branch(schemas: Schemas, values: Iterable[Any]) -> Iterator[Any]:
    """Values that several branches of a `oneOf` take, with members in their objects that all but one refuse."""
    layers = [layer for schema in schemas for layer in schema.layers()]
    if any("oneOf" in layer.node for layer in layers):
        for value, further in product(values, (None, 0, "text")):
            made = _with_all_members(value, layers, further)
            if all(schema.is_valid(made) for schema in schemas):
                yield made


def _with_all_members(value: Any, layers: list[Schema], further: Any) -> Any:
    """The value, of whose objects each member that was left out is `further`."""
    if isinstance(value, list):
        items = [each for layer in layers if "items" in layer.node for each in layer.below("items").layers()]
        return [_with_all_members(item, items, further) for item in value]
    if isinstance(value, dict):
        names = chain.from_iterable(layer.node.get("properties", ()) for layer in layers)
        return {**dict.fromkeys(names, further), **value}
    return value


def _candidates(schemas: Schemas, depth: int) -> Iterator[Any]:
    choices: Iterable[list[Schema]] = islice(alternatives(schemas), _CHOICES)
    if depth >= _DEPTH:
        # Those first that ask for the least, so that what is within itself ends.
        choices = sorted(choices, key=lambda layers: len([*chain(*Rules(layers).all("required"))]))
    # By turns, so that many values of one alternative hide none of the next.
    yield from islice(by_turns(_made(Rules(layers), depth) for layers in choices), _CANDIDATES)


def _made(rules: Rules, depth: int) -> Iterator[Any]:
    yield from rules.given()
    yield from by_turns(iter(_MAKERS[name](rules, depth)) for name in rules.types())


def _array(rules: Rules, depth: int) -> Iterator[Any]:
    least = int(rules.most("minItems"))
    most = rules.least("maxItems")
    contained = [*islice(rules.contained(), _MOST_PARTS + 1)]
    prefix = max(map(len, rules.all("prefixItems")), default=0)
    wanted = max(least, int(min(most, prefix + len(contained))) if contained else 0)
    if wanted > _MOST_PARTS:
        return
    is_unique = True in rules.all("uniqueItems")
    for length in dict.fromkeys((max(wanted, prefix or 1) if depth < _DEPTH else wanted, wanted)):
        made: list[Any] = []
        length = int(min(length, most))
        # What must be contained stands at the end.
        asked = [*[()] * (length - len(contained)), *contained][:length]
        for index, further in enumerate(asked):
            kinds = (*rules.item(index), *further) or rules.below("unevaluatedItems") or rules.anything
            values = _values(kinds, depth + 1)
            found = [*islice((value for value in values if not is_unique or value not in made), 1)]
            if not found:
                break
            made += found
        yield made
    # Where several are wanted that differ.
    if made and depth < _DEPTH:
        yield from ([*made[:-1], value] for value in values)


def _object(rules: Rules, depth: int) -> Iterator[Any]:
    required = dict.fromkeys(chain.from_iterable(rules.all("required")))
    named = dict.fromkeys(chain.from_iterable(rules.all("properties")))
    optional = [name for name in named if name not in required] if depth < _DEPTH else []
    least = int(rules.most("minProperties"))
    if least > _MOST_PARTS:
        return
    whole = _members(rules, [*named, *required], required, depth)
    if whole is None:
        return
    if optional:
        yield _filled(rules, whole, least, depth)
    few = {name: value for name, value in whole.items() if name in required}
    yield _filled(rules, few, least, depth)
    yield from ({**few, name: whole[name]} for name in optional if name in whole)
    # Where several are wanted that differ.
    for name in whole if depth < _DEPTH else ():
        yield from ({**whole, name: value} for value in _values(rules.member(name), depth + 1))


def _members(
    rules: Rules, names: Iterable[str], required: Iterable[str], depth: int
) -> dict[str, Any] | None:
    """The members that can be made; None if one that is required cannot."""
    made = {}
    for name in dict.fromkeys(names):
        schemas = rules.member(name)
        if name not in required and (depth >= _DEPTH or any(each.is_marked("writeOnly") for each in schemas)):
            continue
        try:
            made[name] = _one(schemas, depth + 1)
        except NoExample:
            if name in required:
                return None
    return made


def _filled(rules: Rules, made: dict[str, Any], least: int, depth: int) -> dict[str, Any]:
    """The object with the members that its others ask for, and with further ones up to the least number."""
    made = dict(made)
    asked = [each for given in rules.all("dependentRequired") for each in given.items()]
    while names := [name for given, needed in asked if given in made for name in needed if name not in made]:
        further = _members(rules, names, names, depth)
        if further is None:
            break
        made |= further
    patterns = chain.from_iterable(rules.all("patternProperties"))
    fitting = (name[:50] for name in chain.from_iterable(map(matching, patterns)) if name)
    named = chain.from_iterable(rules.all("properties"))
    spelt = rules.below("propertyNames")
    allowed = (name for name in (_values(spelt, depth + 1) if spelt else ()) if isinstance(name, str))
    for name in chain(named, fitting, allowed, map("member{}".format, range(1, least + 1))):
        if len(made) >= least:
            break
        if name not in made:
            made |= _members(rules, [name], [name], depth) or {}
    return made


def _numbers(rules: Rules, steps: Iterable[Fraction]) -> Iterator[Fraction]:
    """Multiples of all steps, from the least upwards, or from the largest downwards; exact, unlike a double."""
    steps = [*steps, *_exact(rules, "multipleOf")]
    least = max(_exact(rules, "minimum", "exclusiveMinimum"), default=None)
    most = min(_exact(rules, "maximum", "exclusiveMaximum"), default=None)
    start = next((each for each in (least, most) if each is not None), Fraction(0))
    if not steps:
        if least is not None and most is not None:
            parts = dict.fromkeys(Fraction(part, 16) for part in (8, 0, 16, *range(1, 16)))
            yield from (least + (most - least) * part for part in parts)
        yield from (start + sign * (index + Fraction(1, 2)) for index in range(20) for sign in (1, -1))
        yield start
        return
    step = Fraction(lcm(*(each.numerator for each in steps)), gcd(*(each.denominator for each in steps)))
    if least is not None:
        yield from ((ceil(least / step) + index) * step for index in _FURTHER)
    elif most is not None:
        yield from ((floor(most / step) - index) * step for index in _FURTHER)
    else:
        yield from (index * step for index in _FURTHER[1:])
        yield start


def _exact(rules: Rules, *keywords: str) -> Iterator[Fraction]:
    return (Fraction(str(each)) for keyword in keywords for each in rules.all(keyword))


def _number(rules: Rules, _depth: int) -> Iterator[float]:
    for each in _numbers(rules, ()):
        with suppress(OverflowError):
            yield float(each)


_MAKERS: dict[str, Callable[[Rules, int], Iterable[Any]]] = {
    "null": lambda _rules, _depth: [None],
    "boolean": lambda _rules, _depth: [True, False],
    "integer": lambda rules, _depth: (int(each) for each in _numbers(rules, (Fraction(1),))),
    "number": _number,
    "string": lambda rules, _depth: texts(rules),
    "array": _array,
    "object": _object,
}
