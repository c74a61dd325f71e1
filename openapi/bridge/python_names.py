"""What Python calls the things of a contract."""

import re
from collections.abc import Iterable
from keyword import iskeyword


def python_name(name: str) -> str:
    """A contract's name as Python can have it: with `_` for what no name holds, before a digit and after a keyword."""
    text = re.sub(r"\W", "_", name)
    if iskeyword(text):
        return f"{text}_"
    return text if text.isidentifier() else f"_{text}"


def python_names(names: Iterable[str], reserved: Iterable[str] = ()) -> list[str]:
    """Names that stand side by side in Python: the second of two that are the same gets a number, `id` and `id_2`, and
    so does what has a reserved name; the number makes no name that another has."""
    taken, names = dict.fromkeys(reserved), [*names]
    kept = len(taken)
    for name in names:
        base = made = python_name(name)
        number = 2
        while made in taken or (made != base and made in names):
            made, number = f"{base}_{number}", number + 1
        taken[made] = None
    return [*taken][kept:]
