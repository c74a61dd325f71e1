"""Values that a schema allows, made from nothing else; the same schema gives the same value every time."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from fractions import Fraction
from itertools import chain, count, islice, product
from math import ceil, floor, gcd, inf, lcm
from random import Random
from typing import Any

from rstr import Rstr

from openapi.bridge.document.schemas import Schema
from openapi.bridge.failures import Failure
from openapi.bridge.mock.formats import SAMPLES
from openapi.bridge.mock.rules import Rules, Schemas, alternatives, by_turns

_CANDIDATES = 60
_CHOICES = 24
_DEPTH = 4
_DEEPEST = 24
# An answer that has to be larger is not made: it would take all memory, and the turns of the others.
_MOST_CHARACTERS = 100_000
_MOST_PARTS = 1_000
_MOST_STEPS = 10_000
_STEPS: ContextVar[Iterator[int]] = ContextVar("steps")
# How many more times than it must a text that is made from a pattern repeats each part, and how often parts repeat in
# all.
_REPEATS = (100, 3)
_MOST_REPEATS = 5_000


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


def _of_one_branch(schemas: Schemas, objects: Iterable[Any]) -> Iterator[Any]:
    """Objects that several branches of a `oneOf` take, with members that all of them but one refuse."""
    layers = [layer.node for schema in schemas for layer in schema.layers()]
    names = dict.fromkeys(chain.from_iterable(node.get("properties", ()) for node in layers))
    for value, further in product(objects, (None, 0, "text")):
        if isinstance(value, dict) and any("oneOf" in node for node in layers):
            made = {**value, **{name: further for name in names if name not in value}}
            if all(schema.is_valid(made) for schema in schemas):
                yield made


def _candidates(schemas: Schemas, depth: int) -> Iterator[Any]:
    # One alternative after the other, and if they hold nothing by turns, so that many of one hide none of the next.
    for merged in (chain.from_iterable, by_turns):
        choices: Iterable[list[Schema]] = islice(alternatives(schemas, merged), _CHOICES)
        if depth >= _DEPTH:
            # Those first that ask for the least, so that what is within itself ends.
            choices = sorted(choices, key=lambda layers: len([*chain(*Rules(layers).all("required"))]))
        yield from islice(merged(_made(Rules(layers), depth) for layers in choices), _CANDIDATES)


def _made(rules: Rules, depth: int) -> Iterator[Any]:
    yield from rules.given()
    for name in rules.types():
        yield from _MAKERS[name](rules, depth)


def _string(rules: Rules, _depth: int) -> Iterator[Any]:
    least = int(rules.most("minLength", 0))
    if least > _MOST_CHARACTERS:
        return
    most = int(min(rules.least("maxLength", inf), least + 1000))
    formats, patterns = rules.all("format"), rules.all("pattern")
    for name in formats:
        yield from SAMPLES.get(name, ())
    texts = ["text", *(f"text {number}" for number in range(1, 20))]
    if least <= most:
        texts = [text.ljust(least, ".")[:most] for text in texts]
    # Many a pattern takes it, and people read it more easily than what is made from the pattern.
    yield texts[0]
    for pattern in patterns:
        yield from _matching(pattern, least, most)
    yield from texts


def _array(rules: Rules, depth: int) -> Iterator[Any]:
    least = int(rules.most("minItems", 0))
    most = rules.least("maxItems", inf)
    contained = rules.below("contains")
    wanted = max(least, int(rules.most("minContains", 1)) if contained else 0)
    if wanted > _MOST_PARTS:
        return
    for length in dict.fromkeys((max(wanted, 1 if depth < _DEPTH else 0), wanted)):
        made: list[Any] = []
        is_unique = True in rules.all("uniqueItems")
        while len(made) < min(length, most):
            index = len(made)
            first = rules.below("prefixItems", index)
            kinds = first or (*rules.beyond_prefix(index), *contained)
            values = _values(kinds or rules.below("unevaluatedItems") or rules.anything(), depth + 1)
            found = [*islice((value for value in values if not is_unique or value not in made), 1)]
            if not found:
                break
            made += found
        yield made


def _object(rules: Rules, depth: int) -> Iterator[Any]:
    required = dict.fromkeys(chain.from_iterable(rules.all("required")))
    named = dict.fromkeys(chain.from_iterable(rules.all("properties")))
    optional = [name for name in named if name not in required] if depth < _DEPTH else []
    least = int(rules.most("minProperties", 0))
    if least > _MOST_PARTS:
        return
    whole = _members(rules, [*named, *required], required, depth)
    if whole is None:
        return
    if optional:
        yield _filled(rules, whole, least, depth)
    few = {name: value for name, value in whole.items() if name in required}
    yield _filled(rules, few, least, depth)
    for name in optional:
        yield {**few, **({name: whole[name]} if name in whole else {})}
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
        if name not in required and (depth >= _DEPTH or _is_write_only(schemas)):
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
    for asked in rules.all("dependentRequired"):
        names = [name for given in asked if given in made for name in asked[given]]
        made |= _members(rules, [name for name in names if name not in made], names, depth) or {}
    patterns = chain.from_iterable(rules.all("patternProperties"))
    matching = chain.from_iterable(islice(_matching(pattern, 1, 50), 3) for pattern in patterns)
    named = chain.from_iterable(rules.all("properties"))
    spelt = rules.below("propertyNames")
    allowed = (name for name in (_values(spelt, depth + 1) if spelt else ()) if isinstance(name, str))
    for name in chain(named, matching, allowed, map("member{}".format, range(1, least + 1))):
        if len(made) >= least:
            break
        if name not in made:
            made |= _members(rules, [name], [name], depth) or {}
    return made


def _is_write_only(schemas: Schemas) -> bool:
    return any(layer.node.get("writeOnly") is True for schema in schemas for layer in schema.layers())


def _numbers(rules: Rules, steps: Iterable[Fraction]) -> Iterator[Fraction]:
    """Multiples of all steps, from the least upwards, or from the largest downwards; exact, unlike a double."""
    steps = [*steps, *_exact(rules, "multipleOf")]
    least = max(_exact(rules, "minimum", "exclusiveMinimum"), default=None)
    most = min(_exact(rules, "maximum", "exclusiveMaximum"), default=None)
    start = next((each for each in (least, most) if each is not None), Fraction(0))
    if not steps:
        if least is not None and most is not None:
            yield from (least + (most - least) * part / 4 for part in (2, 0, 4, 1, 3))
        yield from (start + sign * (index + Fraction(1, 2)) for index in range(25) for sign in (1, -1))
        yield start
        return
    step = Fraction(lcm(*(each.numerator for each in steps)), gcd(*(each.denominator for each in steps)))
    if least is not None:
        yield from ((ceil(least / step) + index) * step for index in range(_CANDIDATES))
    elif most is not None:
        yield from ((floor(most / step) - index) * step for index in range(_CANDIDATES))
    else:
        yield from (index * step for index in range(1, _CANDIDATES))
        yield start


def _exact(rules: Rules, *keywords: str) -> Iterator[Fraction]:
    return (Fraction(str(each)) for keyword in keywords for each in rules.all(keyword))


def _number(rules: Rules, _depth: int) -> Iterator[float]:
    for each in _numbers(rules, ()):
        with suppress(OverflowError):
            yield float(each)


class _FewRepeats(Random):
    """Repeats parts of a pattern at most some times more than they must be, and not without end."""

    def __init__(self, seed: int, repeats: int) -> None:
        super().__init__(seed)
        self._further, self._left = repeats, _MOST_REPEATS

    def randint(self, a: int, b: int) -> int:
        times = super().randint(a, max(a, min(b, a + self._further)))
        self._left -= times
        if self._left < 0:
            raise NoExample
        return times


def _matching(pattern: str, least: int, most: int) -> Iterator[str]:
    """Texts that match, as far as Python's expressions are those of ECMAScript."""
    letters = re.sub(r"\\p\{[^}]*\}", "a-zA-Z" if "[" in pattern else "[a-zA-Z]", pattern)
    letters = re.sub(r"\(\?<(?=\w)", "(?P<", re.sub(r"\\k<(\w+)>", r"(?P=\1)", letters))
    known = letters.replace(r"\d", "[0-9]" if "[" not in letters else "0-9")
    texts = dict.fromkeys((known, letters, pattern))
    for repeats, seed, text in product(_REPEATS, range(12), texts):
        try:
            found = Rstr(_FewRepeats(seed, repeats)).xeger(text)
        except Exception:  # noqa: S112 - the library raises what it likes for what it does not know
            continue
        yield (found + found[-1:] * (least - len(found)))[:most]


_MAKERS: dict[str, Callable[[Rules, int], Iterable[Any]]] = {
    "null": lambda _rules, _depth: [None],
    "boolean": lambda _rules, _depth: [True, False],
    "integer": lambda rules, _depth: (int(each) for each in _numbers(rules, (Fraction(1),))),
    "number": _number,
    "string": _string,
    "array": _array,
    "object": _object,
}
