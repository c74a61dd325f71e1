"""Values that a schema allows, made from nothing else; the same schema gives the same value every time."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, product
from math import ceil, inf
from random import Random
from typing import Any

from rstr import Rstr

from openapi.bridge.document.schemas import Schema
from openapi.bridge.failures import Failure
from openapi.bridge.mock.formats import SAMPLES
from openapi.bridge.mock.rules import Rules, Schemas, alternatives

_CANDIDATES = 60
_CHOICES = 24
_DEPTH = 4
_DEEPEST = 24
# An answer that has to be larger is not made: it would take all memory, and the turns of the others.
_MOST_CHARACTERS = 100_000
_MOST_PARTS = 1_000


class NoExample(Failure):
    """The contract has no example of an answer, and none could be made from its schema."""

    status_code = 501
    sentence = "No valid answer could be made from the contract: give this operation's response an example"


def value_of(schema: Schema) -> Any:
    """A value that the schema allows, without `writeOnly` members; raises NoExample if none is found."""
    return _one((schema,), 0)


def _one(schemas: Schemas, depth: int) -> Any:
    for value in _values(schemas, depth):
        return value
    raise NoExample


def _values(schemas: Schemas, depth: int) -> Iterator[Any]:
    """Valid values, the one that says the most first."""
    if depth > _DEEPEST:
        return
    invalid = []
    for value in islice(_candidates(schemas, depth), _CANDIDATES):
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
    for layers in islice(alternatives(schemas), _CHOICES):
        rules = Rules(layers)
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
            values = _values(kinds or rules.anything(), depth + 1)
            taken = list(made) if is_unique else []
            found = [value for value in islice(values, index + 1 if is_unique else 1) if value not in taken]
            if not found:
                break
            made.append(found[0])
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
    allowed = _values(rules.below("propertyNames"), depth + 1) if rules.below("propertyNames") else ()
    for name in chain(named, matching, allowed, map("member{}".format, range(1, least + 1))):
        if len(made) >= least:
            break
        if name not in made:
            made |= _members(rules, [name], [name], depth) or {}
    return made


def _is_write_only(schemas: Schemas) -> bool:
    return any(layer.node.get("writeOnly") is True for schema in schemas for layer in schema.layers())


def _numbers(rules: Rules, default: float) -> Iterator[Any]:
    """Multiples of what the rules ask for, from the least upwards, or from the largest downwards."""
    step = max(rules.all("multipleOf"), default=1 if default == 1 else 0)
    least = max(rules.most("minimum", -inf), rules.most("exclusiveMinimum", -inf))
    most = min(rules.least("maximum", inf), rules.least("exclusiveMaximum", inf))
    if step == 0:
        if least > -inf and most < inf:
            yield from (least + (most - least) * part for part in (0.5, 0, 1, 0.25, 0.75))
        start = least if least > -inf else most if most < inf else 0
        yield from (start + sign * (index + default) for index in range(25) for sign in (1, -1))
        yield start
    elif least > -inf:
        yield from (ceil(least / step) * step + index * step for index in range(30))
    elif most < inf:
        yield from (most // step * step - index * step for index in range(30))
    else:
        yield from (index * step for index in range(1, 31))
        yield 0


def _matching(pattern: str, least: int, most: int) -> Iterator[str]:
    """Texts that match, as far as Python's expressions are those of ECMAScript."""
    letters = re.sub(r"\\p\{[^}]*\}", "a-zA-Z" if "[" in pattern else "[a-zA-Z]", pattern)
    known = letters.replace(r"\d", "[0-9]" if "[" not in letters else "0-9")
    for seed, text in product(range(12), dict.fromkeys((known, letters, pattern))):
        try:
            found = Rstr(Random(seed)).xeger(text)  # noqa: S311 - the same value every time is what is wanted
        except Exception:  # noqa: S112 - the library raises what it likes for what it does not know
            continue
        yield (found + found[-1:] * (least - len(found)))[:most]


_MAKERS: dict[str, Callable[[Rules, int], Iterable[Any]]] = {
    "null": lambda _rules, _depth: [None],
    "boolean": lambda _rules, _depth: [True, False],
    "integer": lambda rules, _depth: (int(each) for each in _numbers(rules, 1) if each == int(each)),
    "number": lambda rules, _depth: _numbers(rules, 0.5),
    "string": _string,
    "array": _array,
    "object": _object,
}
