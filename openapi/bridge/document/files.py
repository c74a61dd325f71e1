"""A document that is split over files, as one: what its `$ref`s name in other files is put into its components."""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from openapi.bridge.document import strict_yaml
from openapi.bridge.document.grammar import SECTIONS, parts, relative_to_document
from openapi.bridge.document.places import ContractError, Json, Place, copy_of, keys_of, look_up, pointer_to
from openapi.bridge.request import strict_json

_LARGEST_FILE = 32 * 1024 * 1024


class Bundle(NamedTuple):
    """A whole document.

    Attributes:
        text: what is published: the file itself, or where there were several, one document as JSON.
        origins: the file and the place in it, `common.yaml#/Error` for example, by the pointer to what came from there.
    """

    text: str
    document: Any
    origins: dict[str, str]

    def located(self, error: ContractError) -> ContractError:
        """The same fault, with places in other files named after the files."""

        def named(match: re.Match[str]) -> str:
            above = match[0].removeprefix("#")
            while above and above not in self.origins:
                above = above.rpartition("/")[0]
            return self.origins[above] + match[0].removeprefix(f"#{above}") if above else match[0]

        return ContractError(
            *(re.sub(r"#/components/[^/:\s]+/[^:\s]+", named, line) for line in error.problems)
        )


def parse(text: str, is_json: bool = False) -> Any:
    """The value of a text in YAML or JSON.

    Raises:
        ContractError: with the line at which it is neither.
    """
    if is_json or text.lstrip()[:1] == "{":
        # YAML takes escapes of characters beyond U+FFFF, which are pairs in JSON, for two characters.
        try:
            return strict_json.loads(text.encode())
        except ValueError as error:
            if is_json:
                raise ContractError(_json_fault(text, error)) from None
    try:
        return strict_yaml.parse_yaml(text)
    except strict_yaml.YAMLError as error:
        raise ContractError(str(error)) from error


def _json_fault(text: str, fault: ValueError) -> str:
    if "deeper" in strict_json.reason(fault):
        return f"line 1: this is nested deeper than {strict_yaml.MAX_DEPTH} levels"
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}: this is not JSON: {error.msg[:1].lower()}{error.msg[1:]}"
    except ValueError:
        return "line 1: this is not JSON that can be read: a number has more than 4300 digits"
    if twice := re.fullmatch("Detected duplicate key (.*) at line ([0-9]+) column [0-9]+", str(fault)):
        return f"line {twice[2]}: the key {twice[1]} stands twice"
    return "line 1: this is not strict JSON (RFC 8259, RFC 7493): a number is too large, for example"


def load(path: Path) -> Bundle:
    """The document in the file `path` with all that it refers to in other files of its folder, and below.

    Raises:
        ContractError: for files that cannot be read, and for references that leave the folder or lead nowhere.
    """
    text = _read(path)
    document = parse(text, path.suffix == ".json")
    bundler = _Bundler(path, document)
    bundle = Bundle(text, document, bundler.origins)
    try:
        bundler.run()
    except ContractError as error:
        raise bundle.located(error) from None
    if bundler.origins:
        return bundle._replace(text=json.dumps(document, ensure_ascii=False, indent=2))
    return bundle


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) <= _LARGEST_FILE:
            return content.decode("utf-8-sig")
    except OSError as error:
        raise ContractError(f"the file cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ContractError("the file is not UTF-8 text") from error
    raise ContractError(f"the file is larger than {_LARGEST_FILE} bytes")


class _Bundler:
    """Rewrites the references of a document; each target is copied into the components once, however often named."""

    def __init__(self, path: Path, document: Any) -> None:
        self._folder = path.absolute().parent.resolve()
        self._name = path.name
        self._document = document
        self._files: dict[str, Any] = {}
        self._references: dict[tuple[str, str, str], str] = {}
        # What has still to be looked through: a kind, a place in the bundle and the file that it came from.
        self._waiting = [("document", Place("", document), path.name)]
        self._problems: list[str] = []
        self.origins: dict[str, str] = {}

    def run(self) -> None:
        """Raises ContractError with a line for each reference that cannot be followed."""
        while self._waiting:
            kind, root, file = self._waiting.pop()
            # A list, since what is copied meanwhile is looked through by itself, as of another file.
            for part, place in list(relative_to_document(parts(root.node, kind, root.pointer))):
                if isinstance(place.node, dict) and part in SECTIONS:
                    self._rewrite(part, place, file)
        if self._problems:
            raise ContractError(*self._problems)

    def _rewrite(self, kind: str, place: Place, file: str) -> None:
        for holder, key in _references(kind, place.node):
            reference = holder[key]
            # A discriminator's mapping holds names as well as references; where one leads nowhere, it is no rule.
            is_hint = holder is not place.node
            try:
                holder[key] = self._followed(kind, reference, file, is_hint)
            except ContractError as error:
                if not is_hint:
                    self._problems.append(f"#{place.pointer}: the $ref {reference!r} {error}")

    def _followed(self, kind: str, reference: str, file: str, is_hint: bool) -> str:
        try:
            parsed = urlsplit(reference)
        except ValueError:
            return reference
        if parsed.scheme or parsed.netloc or parsed.query or (is_hint and not _is_file(parsed.path)):
            return reference
        target = self._target(file, unquote(parsed.path)) if parsed.path else file
        if target == self._name:
            return f"#{parsed.fragment}"
        key = (target, unquote(parsed.fragment), kind)
        if key not in self._references:
            self._copy(*key)
        return self._references[key]

    def _target(self, file: str, path: str) -> str:
        """The name of a file, relative to the document's folder, from a path that is relative to another file."""
        try:
            resolved = (self._folder / PurePosixPath(file).parent / path).resolve()
            name = resolved.relative_to(self._folder).as_posix()
        except (ValueError, OSError):
            raise ContractError("leads out of the document's folder, which is not followed") from None
        if not resolved.is_file():
            raise ContractError("leads to no file")
        if resolved == (self._folder / self._name).resolve():
            return self._name
        if name not in self._files:
            try:
                self._files[name] = parse(_read(resolved), resolved.suffix == ".json")
            except ContractError as error:
                raise ContractError(f"leads to a file at fault: {name}: {error}") from error
        return name

    def _copy(self, file: str, fragment: str, kind: str) -> None:
        pointer, node = _found(self._files[file], fragment, kind)
        if not isinstance(node, dict | bool):
            raise ContractError(f"leads to what is not among {kind}")
        section = self._document
        for key in ("components", kind):
            section = held if isinstance(held := section.setdefault(key, {}), dict) else {}
        wanted = (keys_of(pointer) or [""])[-1] or PurePosixPath(file).stem
        base = re.sub(r"[^A-Za-z0-9._-]+", "_", wanted).strip("_") or kind
        name, number = base, 2
        while name in section:
            name, number = f"{base}_{number}", number + 1
        section[name] = copy_of(node)
        place = Place(pointer_to("/components", kind, name), section[name])
        self._references[file, fragment, kind] = f"#{place.pointer}"
        self.origins[place.pointer] = f"{file}#{pointer}"
        self._waiting.append((kind, place, file))


def _references(kind: str, node: Json) -> Iterator[tuple[Json, str]]:
    """Where references stand in an object: what holds each, and under which key."""
    if isinstance(node.get("$ref"), str):
        yield node, "$ref"
    discriminator = node.get("discriminator") if kind == "schemas" else None
    mapping = discriminator.get("mapping") if isinstance(discriminator, dict) else None
    if isinstance(mapping, dict):
        yield from ((mapping, name) for name, value in mapping.items() if isinstance(value, str))


def _is_file(path: str) -> bool:
    return not path or path.startswith(("./", "../")) or path.endswith((".yaml", ".yml", ".json"))


def _found(document: Any, fragment: str, kind: str) -> tuple[str, Any]:
    """The pointer and the node that a fragment names: a JSON pointer, or the `$anchor` of a schema."""
    if fragment and not fragment.startswith("/"):
        whole = "document" if isinstance(document, dict) and "openapi" in document else kind
        for _, place in parts(document, whole):
            if isinstance(place.node, dict) and place.node.get("$anchor") == fragment:
                return place
    else:
        try:
            return fragment, look_up(document, fragment)
        except (KeyError, IndexError, ValueError, TypeError):
            pass
    raise ContractError("leads nowhere")
