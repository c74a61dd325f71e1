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
    bases = [python_name(name) for name in names]
    taken, made = set(reserved), []
    for base in bases:
        name, number = base, 2
        while name in taken or (name != base and name in bases):
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        made.append(name)
    return made
