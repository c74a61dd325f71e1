"""Patterns as ECMA-262 has them, written so that the library that matches them can compile them."""

import json
import re
from typing import Any

import jsonschema_rs

from openapi.bridge.document.places import Json

# Where the author's pattern stands beside the one that is matched.
WRITTEN = "$pattern"
# A larger bound makes an expression of megabytes for some classes, so it becomes a length where it can. Python makes no
# number of more digits.
_LARGEST_BOUND = 1000
_BOUNDED = re.compile(
    r"\^(\\[dDsSwW]|\.|\[(?:\\.|[^\]\\])+\])\{([0-9]{1,4300})(?:(,)([0-9]{0,4300}))?\}\$", re.DOTALL
)
# The class of no character and that of all, another class, what is escaped, and a brace that begins no quantifier.
_PARTS = re.compile(r"\[\^?\]|(\[(?:\\.|[^\]\\])+\])|\\[pPu]\{[^}]*\}|\\.|\{(?!\d+(?:,\d*)?\})", re.DOTALL)
# The library has other words for these; such a brace stands for itself. Nobody means a Z by `\Z`, which is Python's.
_WORDS = {
    "[]": r"[^\s\S]",
    "[^]": r"[\s\S]",
    r"\0": r"\x00",
    "{": r"\{",
    r"\<": "<",
    r"\>": ">",
    r"\Z": r"\z",
}
_CLASS_WORDS = {r"\0": r"\x00", r"\b": r"\x08", "-": r"\-", r"\<": "<", r"\>": ">"}
# A character of two escapes, a range of halves, which no text has by themselves, and any other escape.
_HALVES = re.compile(
    r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})"
    r"|\\ud[89a-f][0-9a-f]{2}-\\ud[89a-f][0-9a-f]{2}(?!\\ud[c-f])|\\.",
    re.DOTALL | re.IGNORECASE,
)
_CLASS_PARTS = re.compile(r"(\\[dDsSwW])-(?!\])|\\.|-(?=\\[dDsSwW])", re.DOTALL)


def compilable(schema: Json) -> Json:
    """A schema that means the same as `schema` by itself, and whose `pattern` the library compiles if it can be."""
    pattern, above = schema.get("pattern"), schema.get("allOf", [])
    if not isinstance(pattern, str) or not isinstance(above, list):
        return schema
    changes: Json = {"pattern": spelt(pattern)}
    bounded = _BOUNDED.fullmatch(pattern)
    if bounded is not None and max(int(bounded[2]), int(bounded[4] or 0)) > _LARGEST_BOUND:
        single, least, comma, most = bounded.groups()
        length: Json = {"minLength": int(least)}
        if most or not comma:
            length["maxLength"] = int(most or least)
        changes = {"pattern": spelt(f"^{single}*$"), "allOf": [*above, length]}
    return schema if changes["pattern"] == pattern else {WRITTEN: pattern, **schema, **changes}


def as_written(schema: Any) -> Json:
    """The rules of a schema with the pattern that its author wrote; of true and false there are none."""
    rules: Json = schema if isinstance(schema, dict) else {}
    return {**rules, "pattern": rules[WRITTEN]} if WRITTEN in rules else rules


def spelt(pattern: str) -> str:
    """The pattern in the library's words."""
    # Only where the library expects to look back does it look for a group by its name.
    looking = "(?=)" if r"\k<" in pattern else ""
    return looking + _PARTS.sub(_part, _HALVES.sub(_joined, pattern))


def _joined(match: re.Match[str]) -> str:
    if match[1]:
        return bytes.fromhex(match[1] + match[2]).decode("utf-16-be")
    return "" if len(match[0]) > 2 else match[0]


def _part(match: re.Match[str]) -> str:
    if match[1]:
        # Beside a class such as `\w` a hyphen can make no range, so it stands for itself.
        return _CLASS_PARTS.sub(_class_part, match[1])
    return _WORDS.get(match[0], match[0])


def _class_part(match: re.Match[str]) -> str:
    if match[1]:
        return f"{match[1]}\\-"
    return _CLASS_WORDS.get(match[0], match[0])


def fault(pattern: str) -> str | None:
    """What is wrong with a pattern that cannot be compiled, else None."""
    try:
        jsonschema_rs.Draft202012Validator(compilable({"pattern": pattern}))
    except jsonschema_rs.ValidationError:
        return f'{json.dumps(pattern, ensure_ascii=False)} is not a "regex"'
    return None
