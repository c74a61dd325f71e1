"""Texts that a schema allows: of its formats, by its patterns, of its lengths."""

import re
from collections.abc import Iterator
from itertools import product, zip_longest
from random import Random
from typing import Any

from rstr import Rstr

from openapi.bridge.mock.formats import SAMPLES
from openapi.bridge.mock.rules import Rules

# A text that has to be longer is not made: it would take all memory, and the turns of the others.
_MOST_CHARACTERS = 100_000
_PLAIN = ("text", *(f"text {number}" for number in range(1, 40)), "Text", "0", "")
# How many more times than it must a text that is made from a pattern repeats each part, and how often parts repeat in
# all.
_REPEATS = (3, 100)
_MOST_REPEATS = 5_000


def texts(rules: Rules) -> Iterator[str]:
    """Texts that may be valid by the rules."""
    least = int(rules.most("minLength"))
    if least > _MOST_CHARACTERS:
        return
    most = int(min(rules.least("maxLength"), least + 1000))
    for name in rules.all("format"):
        for text in SAMPLES.get(name, ()):
            # Base64 has its characters by fours, and what fills the last four at its end.
            yield text.rjust(-(-least // 4) * 4, text[0]) if name == "byte" else text.ljust(least, text[-1])
    # Of a short text the end is kept, which tells it from others.
    plain = [_PLAIN[0].ljust(least, ".")[:most], *(text.ljust(least, ".")[-most:] for text in _PLAIN[1:])]
    # Many a pattern takes it, and people read it more easily than what is made from the pattern.
    yield plain[0]
    # What matches one of several patterns may stand beside what matches another one.
    for found in zip_longest(*map(matching, rules.all("pattern")), fillvalue=""):
        for text in dict.fromkeys((*found, "".join(found))):
            yield (text + text[-1:] * (least - len(text)))[:most]
    yield from plain


class _Chosen(Random):
    """Repeats parts of a pattern at most some times more than they must be, and not without end, and takes letters and
    digits where it can, the same ones in every process."""

    def __init__(self, seed: int, repeats: int) -> None:
        super().__init__(seed)
        self._further, self._left = repeats, _MOST_REPEATS

    def choice(self, seq: Any) -> Any:
        # Choices that are no texts are branches of the pattern. Some texts are made of sets, which have no order.
        if isinstance(seq[0], str):
            seq = sorted(filter(str.isalnum, seq)) or sorted(seq)
        return super().choice(seq)

    def randint(self, a: int, b: int) -> int:
        times = super().randint(a, max(a, min(b, a + self._further)))
        self._left -= times
        if self._left < 0:
            raise OverflowError
        return times


def matching(pattern: str) -> Iterator[str]:
    """Texts that match, as far as Python's expressions are those of ECMAScript."""
    letters = _with_characters(pattern, r"\\p\{[^}]*\}", "a-zA-Z")
    # A flag in the middle of a pattern is no ECMAScript, but the library that matches takes it.
    letters = re.sub(r"\(\?[a-z]+\)", "", letters)
    letters = re.sub(r"\(\?<(?=\w)", "(?P<", re.sub(r"\\k<(\w+)>", r"(?P=\1)", letters))
    known = _with_characters(letters, r"\\d", "0-9")
    made: dict[str, None] = {}
    for repeats, seed, text in product(_REPEATS, range(12), dict.fromkeys((known, letters, pattern))):
        try:
            found = Rstr(_Chosen(seed, repeats)).xeger(text)
        except Exception:  # noqa: S112 - the library raises what it likes for what it does not know
            continue
        # What has no anchor may have more around it.
        word = f"text{seed}" if seed else ""
        found = f"{'' if '^' in pattern[:1] else word}{found}{'' if '$' in pattern[-1:] else word}"
        if found not in made:
            made[found] = None
            yield found


def _with_characters(pattern: str, escape: str, characters: str) -> str:
    """The pattern with these characters in the place of an escape, as a class of their own where they are in none."""

    def spelt(found: re.Match[str]) -> str:
        return re.sub(escape, characters, found[1]) if found[1] else f"[{characters}]"

    return re.sub(rf"(\[(?:\\.|[^\]\\])+\])|{escape}", spelt, pattern, flags=re.DOTALL)
