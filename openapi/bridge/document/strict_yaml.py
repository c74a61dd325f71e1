"""YAML as OpenAPI 3.1 asks for it (section "Format"): what JSON can say, and no key twice."""

import json
import re
from math import isinf
from typing import Any

import yaml

# The most values that aliases may add to those that are written out; a few lines could stand for billions.
MAX_ALIASED = 100_000
# As many as JSON may have (`openapi.bridge.request.strict_json`).
MAX_DEPTH = 200
_TAG = "tag:yaml.org,2002:"
_CONSTRUCTED = ("null", "bool", "int", "float", "str", "seq", "map")
# The JSON schema of YAML 1.2, where `on` is a string and `010` no octal number, with the usual other spellings.
_RESOLVED = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    # Python makes no number of more digits.
    "int": (r"[-+]?(0|[1-9][0-9]{0,4299})", list("-+0123456789")),
    "float": (r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    "merge": (r"<<", ["<"]),
}


# What ends a line in YAML 1.1, as in the library, and is a character like others in YAML 1.2 (section 5.4); and what
# stands for it meanwhile.
_LINE_ENDS = "\x85\u2028\u2029"
_PRIVATE = range(0xE000, 0xF900)


class YAMLError(ValueError):
    """The text is not such YAML; the message is one line that names the line of the fault."""


class _Loader(yaml.CSafeLoader):
    pass


class _SlowLoader(yaml.SafeLoader):
    pass


for _loader in (_Loader, _SlowLoader):
    _loader.yaml_constructors = {
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.removeprefix(_TAG) in _CONSTRUCTED
    }
    _loader.yaml_implicit_resolvers = {}
    for _name, (_pattern, _first) in _RESOLVED.items():
        _loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), _first)


def parse_yaml(text: str) -> Any:
    """The value that `text` holds, made of what JSON has: the keys of a mapping are strings.

    Raises:
        YAMLError: for anything but one such document.
    """
    escapes = text.lower()
    spare = (code for code in _PRIVATE if chr(code) not in text and f"{code:x}" not in escapes)
    stand_ins = dict(zip((ord(each) for each in _LINE_ENDS if each in text), spare, strict=False))
    value = _parsed(text.translate(stand_ins), _Loader)
    if not stand_ins:
        return value
    # All of these stand as they are in a string of JSON.
    meant = {code: end for end, code in stand_ins.items()}
    return json.loads(json.dumps(value, ensure_ascii=False).translate(meant))


def _parsed(text: str, loading: type[_Loader | _SlowLoader]) -> Any:
    try:
        _check_depth(text, loading)
        loader = loading(text)
        root = loader.get_single_node()
        if root is None:
            return None
        size, depth = _check(root, (), {})
        if size > len(text) + MAX_ALIASED or depth > MAX_DEPTH:
            raise YAMLError(
                f"line 1: the aliases stand for more than {MAX_ALIASED} values or {MAX_DEPTH} levels"
            )
        return loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        # libyaml takes a tab in the first line of a text for an indentation, which Python's own parser does not.
        if loading is _Loader and "tab character" in str(error.problem):
            return _parsed(text, _SlowLoader)
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YAMLError(f"line {line}: this is not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise YAMLError("this is not YAML: it holds a character that YAML does not allow") from error


def _check_depth(text: str, loading: type[_Loader | _SlowLoader]) -> None:
    """Raises YAMLError for what is nested so deep that the program would end with it: libyaml has no bound."""
    depth = 0
    for event in yaml.parse(text, loading):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise YAMLError(f"line {line}: this is nested deeper than {MAX_DEPTH} levels")


def _check(
    node: yaml.Node, above: tuple[yaml.Node, ...], sizes: dict[yaml.Node, tuple[int, int]]
) -> tuple[int, int]:
    """How many values and levels the node is with its aliases filled in; makes every key a string.

    Args:
        above: the nodes that it stands in.
        sizes: what is known by now, so that no node is looked at twice.

    Raises:
        YAMLError: for a key that cannot be a string, and for what JSON cannot say.
    """
    if node in sizes:
        return sizes[node]
    parts = []
    line = f"line {node.start_mark.line + 1}"
    if node in above:
        raise YAMLError(f"{line}: an alias stands within what it stands for")
    if isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise YAMLError(f"line {key.start_mark.line + 1}: a key is not a string")
            if key.value in keys:
                raise YAMLError(f"line {key.start_mark.line + 1}: the key {key.value!r} stands twice")
            keys.add(key.value)
            if key.tag != f"{_TAG}merge":
                key.tag = f"{_TAG}str"
            parts.append(_check(value, (*above, node), sizes))
    elif isinstance(node, yaml.SequenceNode):
        parts = [_check(item, (*above, node), sizes) for item in node.value]
    else:
        _check_scalar(node, line)
    sizes[node] = 1 + sum(size for size, _ in parts), max((1 + depth for _, depth in parts), default=0)
    return sizes[node]


def _check_scalar(node: yaml.Node, line: str) -> None:
    name = node.tag.removeprefix(_TAG)
    pattern, _ = _RESOLVED.get(name, (".*", []))
    # A tag that is written out may stand before anything.
    if not re.fullmatch(pattern, node.value, re.DOTALL) or (name == "float" and isinf(float(node.value))):
        raise YAMLError(f"{line}: {node.value!r} is no {name} that JSON can hold")
