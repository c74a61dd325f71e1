"""What Python calls the things of a contract."""

import re
from keyword import iskeyword


def python_name(name: str) -> str:
    """A contract's name as Python can have it: with `_` for what no name holds, before a digit and after a keyword."""
    text = re.sub(r"\W", "_", name)
    if iskeyword(text):
        return f"{text}_"
    return text if text.isidentifier() else f"_{text}"
