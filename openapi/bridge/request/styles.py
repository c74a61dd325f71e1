"""How a parameter's value is taken apart, by its `style`, `explode` and schema (OpenAPI 3.1, "Style Values")."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import chain
from typing import Any, Final
from urllib.parse import unquote_plus

from openapi.bridge.document.places import Json
from openapi.bridge.document.schemas import Schema
from openapi.bridge.failures import BadRequest, Violation
from openapi.bridge.media_types import MediaType, read_media_type
from openapi.bridge.request import strict_json
from openapi.bridge.request.coercion import coercion_of, ways
from openapi.bridge.request.sentences import capital

# The texts of one part of a request, by name; those of the query are still percent-encoded.
Texts = Mapping[str, Sequence[str]]

ABSENT: Final = object()

# How a parameter is written where it does not say, by its location.
DEFAULT_STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
_DELIMITERS = {"spaceDelimited": " ", "pipeDelimited": "|"}
# A nested member may stand so deep in others; what is deeper is taken for a part of its name.
_DEEPEST = 20


class StyleReader:
    """Reads one parameter: a primitive, an array of primitives or an object. Where its schema has several of these
    types, or branches, a value is read as each of them until it is valid.

    A delimiter that is percent-encoded is data if it stands beside one that is not. Where all are encoded they
    delimit, because many clients encode a whole value, and because a path arrives decoded.

    Args:
        parameter: the contract's parameter object.
        schema: its schema.
        pointer: the JSON pointer to it where it is a member of a form.
    """

    others: "Sequence[StyleReader]" = ()
    """The readers of the query parameters beside this one."""

    def __init__(self, parameter: Json, schema: Schema, pointer: str | None = None) -> None:
        self._parameter = parameter
        self._pointer = pointer
        self.name: str = parameter["name"]
        self._location: str = parameter["in"]
        self.key = self.name.lower() if self._location == "header" else self.name
        """The name under which its texts are found."""
        self._style: str = parameter.get("style", DEFAULT_STYLES[self._location])
        self._explode: bool = parameter.get("explode", self._style == "form")
        self._schema = schema
        self._coercion = coercion_of(schema)
        types = self._coercion.types
        # A list field of HTTP may come on several lines, which are one list (RFC 9110, section 5.3).
        is_list = parameter.get("x-list") is True or ("array" in types and "content" not in parameter)
        self._is_list = is_list and self._location == "header"
        self.decode: Callable[[str], str] = unquote_plus if self._location == "query" else str
        is_spread = self._explode or self._style == "deepObject"
        self._is_spread = is_spread and self._location in ("query", "cookie")
        media_type = read_media_type(next(iter(parameter.get("content", ())), ""))
        self._ways = [*self._ways_to_read(types, media_type)]
        self.is_spread_object = self._read_spread in self._ways
        """Whether its members stand beside other parameters, so that it is not found by its name."""
        is_asked = self._ways == [self._read_spread] and parameter.get("required", False)
        self._may_be_nothing = is_asked and schema.is_valid({})
        """Whether it must be there as an object that may have no members, which are all that is sent of it."""
        is_plain = self._ways == [self._read_primitive] and self._style not in ("label", "matrix")
        self.plain = self._coercion.meanings if is_plain else None
        """What a text that is the whole value can mean beside itself; None where the value has to be taken apart."""
        members = [(name, self._coercion.member(name).types) for name in self._coercion.members]
        self._holders = {name for name, types in members if not types or types & {"array", "object"}}
        """The members that may hold others."""
        has_nested = any("object" in types for _, types in members)
        self._is_bracketed = self._style == "deepObject" or has_nested
        """Whether its members may stand in brackets after its own name."""

    def _ways_to_read(
        self, types: Set[str], media_type: MediaType | None
    ) -> Iterator[Callable[[Texts], Any]]:
        if media_type is not None:
            # A text of another media type is the value, whatever stands in it.
            yield self._read_json if media_type.is_json else self._read_primitive
            return
        if "array" in types:
            yield self._read_repeated if self._is_spread else self._read_array
        if "object" in types:
            yield self._read_spread if self._is_spread else self._read_object
        if not types or types - {"array", "object"}:
            yield self._read_primitive

    def read(self, texts: Texts) -> Any:
        """The typed value in the texts, not validated yet, or ABSENT.

        Raises:
            BadRequest: where it cannot be read.
        """
        if not (self.key in texts or self.is_spread_object):
            return ABSENT
        if self.plain is not None or (len(self._ways) == 1 and not self._alone):
            return self._ways[0](texts)
        read = self._outcomes(texts)
        # A text for a number, or an array for an object, would be another meaning and not the same one read better.
        kinds = {type(each) for each in read}
        others = (each for reader in self._alone for each in reader._outcomes(texts) if type(each) in kinds)
        for each in chain(read, others):
            if not isinstance(each, BadRequest) and self._schema.is_valid(each):
                return each
        if read and isinstance(read[0], BadRequest):
            raise read[0]
        return read[0] if read else ABSENT

    def _outcomes(self, texts: Texts) -> list[Any]:
        ways = (way for way in self._ways if self.key in texts or way == self._read_spread)
        return [each for way in ways if (each := _outcome(way, texts)) is not ABSENT]

    @cached_property
    def _alone(self) -> "list[StyleReader]":
        """What reads the value by each branch alone: the same text may be a number in one and a text in another."""
        # What a media type says is the same by each.
        branches = () if "content" in self._parameter else ways(self._schema)
        readers = [StyleReader(self._parameter, way, self._pointer) for way in branches]
        for reader in readers:
            reader.others = self.others
        return readers

    @property
    def is_free(self) -> bool:
        """Whether this is an object whose members are whatever query parameters nobody else takes."""
        is_open = self.is_spread_object and self._coercion.is_open
        return is_open and self._location == "query" and self._style != "deepObject"

    def takes(self, sent: str) -> bool:
        """Whether a query parameter of this name, as it is sent, belongs here."""
        return self.is_named(sent) or self._is_left(sent)

    def is_named(self, sent: str) -> bool:
        """Whether a query parameter of this name is this one, or a member of it that its schema names."""
        return sent == self.key or (self.is_spread_object and bool(self._path(sent)))

    def _is_left(self, sent: str) -> bool:
        return self.is_free and not any(other.is_named(sent) for other in self.others)

    def _path(self, sent: str) -> list[str]:
        """The names of the members, each in the one before it, that a parameter of this name gives: `a` and `b` for
        `color[a][b]`; none where its schema names no such member."""
        if self._is_bracketed and (keys := _keys(sent, self.name)):
            return keys
        if self._style == "deepObject":
            return []
        if sent in self._coercion.members:
            return [sent]
        holder = sent.partition("[")[0]
        if holder in self._holders and (keys := _keys(sent, holder)):
            return [holder, *keys]
        return []

    def _read_primitive(self, texts: Texts) -> Any:
        return self._coercion.convert(self.decode(self._one(texts)))

    def _read_json(self, texts: Texts) -> Any:
        # Bytes reach us as Latin-1 in headers (RFC 9110, section 5.5), decoded from UTF-8 elsewhere.
        charset = "latin-1" if self._location in ("header", "cookie") else "utf-8"
        try:
            return strict_json.loads(self.decode(self._one(texts)).encode(charset))
        except ValueError:
            raise self._refusal("must be valid JSON") from None

    def _read_repeated(self, texts: Texts) -> Any:
        given = texts[self.key]
        if self._location == "cookie":
            given = given[0].split(f"&{self.name}=")
        return self._coercion.value([self.decode(text) for text in given])

    def _read_array(self, texts: Texts) -> Any:
        return self._coercion.value(self._parts(texts))

    def _read_spread(self, texts: Texts) -> Any:
        tree: dict[str, Any] = {}
        # An object without members has no form of its own; Schemathesis writes it as its name alone.
        is_empty = self.key in texts and not any(texts[self.key])
        for sent, given in texts.items():
            names = self._path(sent)
            if not names and self._is_left(sent) and not (is_empty and sent == self.key):
                names = [sent]
            if not names:
                continue
            *above, last = names
            holder = tree
            for name in above:
                holder = holder.setdefault(name, {})
                if not isinstance(holder, dict):
                    raise self._refusal("must be given once")
            if last in holder:
                raise self._refusal("must be given once")
            holder[last] = [self.decode(text) for text in given]
        if self.key in texts and self.key not in tree and not is_empty:
            raise self._refusal("must come as one parameter for each member")
        if not (tree or is_empty or self._may_be_nothing):
            return ABSENT
        try:
            return self._coercion.value(tree)
        except ValueError:
            raise self._refusal("must be given once") from None

    def _read_object(self, texts: Texts) -> Any:
        parts = self._parts(texts, is_object=True)
        if len(parts) % 2 if not self._explode else not all("=" in part for part in parts):
            raise self._refusal("must be pairs of a name and a value")
        pairs = (
            [part.partition("=")[::2] for part in parts]
            if self._explode
            else zip(parts[::2], parts[1::2], strict=True)
        )
        members: dict[str, Any] = {}
        for name, text in pairs:
            if name in members:
                raise self._refusal("must name each member once")
            members[name] = self._coercion.member(name).convert(text)
        return members

    def _parts(self, texts: Texts, *, is_object: bool = False) -> list[str]:
        """The parts of a value that its style joins."""
        text = self._one(texts, is_object=is_object)
        if not text:
            return []
        delimiter = self._punctuation(is_object=is_object)[1]
        if self._style == "label" and delimiter not in text:
            # OpenAPI 3.1.0 has dots where 3.1.1 has commas, as RFC 6570 does.
            delimiter = "."
        parts = list(map(self.decode, text.split(delimiter)))
        if len(parts) == 1:
            parts = parts[0].split(delimiter)
        return [part.strip(" \t") for part in parts] if self._location == "header" else parts

    def _one(self, texts: Texts, *, is_object: bool = False) -> str:
        """The text without what its style puts before it."""
        given = texts[self.key]
        if len(given) > 1 and not self._is_list:
            raise self._refusal("must be given once")
        text, prefix = ", ".join(given), self._punctuation(is_object=is_object)[0]
        if text.startswith(prefix):
            return text[len(prefix) :]
        if self._style == "matrix" and text == f";{self.name}":
            return ""
        raise self._refusal(f"must begin with '{prefix}'")

    def _punctuation(self, *, is_object: bool) -> tuple[str, str]:
        """What stands before the value and between its parts."""
        if self._style == "label":
            return ".", "." if self._explode else ","
        if self._style == "matrix":
            assignment = f";{self.name}="
            if is_object and self._explode:
                return ";", ";"
            return assignment, assignment if self._explode else ","
        return "", _DELIMITERS.get(self._style, ",")

    def _refusal(self, rule: str) -> BadRequest:
        # It can be read in no way, so no rule of its schema is broken.
        sentence = f"{capital(self.name)} {rule}"
        parameter = self.name if self._pointer is None else None
        return BadRequest(sentence, [Violation(sentence, "style", self._pointer, parameter)])


def _outcome(way: Callable[[Texts], Any], texts: Texts) -> Any:
    try:
        return way(texts)
    except BadRequest as refused:
        return refused


def _keys(sent: str, name: str) -> list[str]:
    """What stands in the brackets after `name`, as in `name[key][key]`; nothing where `sent` is not of this form."""
    if not (sent.startswith(f"{name}[") and sent.endswith("]")):
        return []
    return sent[len(name) + 1 : -1].split("][", _DEEPEST)
