"""What is looked for as a regular expression of PostgreSQL, which finds it whatever the database's locale.

Letters are equal by Unicode's canonical caseless matching (The Unicode Standard, definition D145): small and capital
ones, and composed and decomposed ones. PostgreSQL's own functions for that differ from version to version and from
locale to locale, while the engine of its regular expressions reads a text once, whatever is looked for.
"""

from collections.abc import Iterator
from functools import cache
from itertools import permutations
from unicodedata import combining, normalize

# Where characters have a case or a decomposition; Chinese ones have neither, but for their variants.
_RANGES = (range(0xA0, 0x3400), range(0xA000, 0xD800), range(0xE000, 0x1F200), range(0x2F800, 0x2FA20))
_LONGEST = 4
# So many marks stay with the letter that they belong to; more are no writing.
_MOST_MARKS = 3
# A letter is not found in the same letter with an accent, in either of the two forms.
_NO_ACCENT = "(?![\u0300-\u036f])"


def pattern_of(text: str) -> str:
    """The pattern of the texts that hold `text`."""
    folded = _fold(text)
    return "".join(_parts(folded)) + (_NO_ACCENT if folded[-1:].isalpha() else "")


def _fold(text: str) -> str:
    return normalize("NFD", normalize("NFD", text).casefold())


@cache
def _spellings() -> dict[str, list[str]]:
    """The characters that are equal to a folded text of several characters, or to one that they are not themselves."""
    spellings: dict[str, list[str]] = {}
    for codes in (range(ord("A"), ord("Z") + 1), *_RANGES):
        for character in map(chr, codes):
            if (folded := _fold(character)) != character:
                spellings.setdefault(folded, []).append(character)
    return spellings


def _parts(folded: str) -> Iterator[str]:
    start = 0
    while start < len(folded):
        ends = range(min(start + _LONGEST, len(folded)), start + 1, -1)
        end = next((end for end in ends if folded[start:end] in _spellings()), start + 1)
        letters = next((place for place in range(start + 1, end) if combining(folded[place])), end)
        # A mark may be one character with its letter, also where that letter can be in a ligature.
        while end < min(letters + _MOST_MARKS, len(folded)) and combining(folded[end]):
            end += 1
        ways = [way for order in _orders(folded[start:letters], folded[letters:end]) for way in _ways(order)]
        yield ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"
        start = end


def _orders(letters: str, marks: str) -> Iterator[str]:
    """Each order of the marks that Unicode has as equal (The Unicode Standard, section 3.11)."""
    for order in dict.fromkeys(map("".join, permutations(marks))):
        if normalize("NFD", letters + order) == letters + marks:
            yield letters + order


def _ways(folded: str) -> Iterator[str]:
    """Each way in which a folded text can be made of characters, as a pattern."""
    if not folded:
        yield ""
    for length in range(1, len(folded) + 1):
        head = folded[:length]
        characters = [*(head if length == 1 else ""), *_spellings().get(head, ())]
        if characters:
            one = "".join(map(_escaped, characters))
            for rest in _ways(folded[length:]):
                yield (f"[{one}]" if len(characters) > 1 else one) + rest


def _escaped(character: str) -> str:
    is_plain = character.isalnum() or not character.isascii()
    return character if is_plain else f"\\{character}"
