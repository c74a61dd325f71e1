"""Media types and fields with parameters as HTTP writes them, read in linear time."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

JSON = "application/json"

_WORD = r"[!#-'*+.^-z|~0-9A-Z-]++"
_TYPE = re.compile(rf"({_WORD})/({_WORD})")
# Parameters may be left out between semicolons (RFC 9110, section 5.6.6).
_PARAMETER = re.compile(rf'(?:[ \t]*+;)++[ \t]*+(?:({_WORD})=(?:({_WORD})|"((?:[^"\\]|\\.)*+)"))?', re.DOTALL)
# What stands between commas; one within quotation marks is a parameter's (RFC 9110, section 5.6.1.2).
_ELEMENT = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*+"?)++', re.DOTALL)
# Of more ranges than a client has reason to name, those that come first are read.
_MOST_RANGES = 100
_WEIGHT = re.compile(r"[01](\.[0-9]*)?", re.ASCII)
_JSON = re.compile(r"(?:application|text)/json|[^/]+/[^/]+\+json")


class MediaType(NamedTuple):
    """A media type, or a media range where `*` stands for any type or subtype; all but parameters in lower case."""

    type: str
    subtype: str
    parameters: Mapping[str, str]

    @property
    def name(self) -> str:
        """Type and subtype without parameters."""
        return f"{self.type}/{self.subtype}"

    @property
    def is_json(self) -> bool:
        """Whether the content is JSON (RFC 6839, section 3.1)."""
        return _JSON.fullmatch(self.name) is not None

    @property
    def charset(self) -> str:
        """The `charset` in lower case, `utf-8` where it names no charset."""
        return self.parameters.get("charset", "utf-8").lower()

    @property
    def specificity(self) -> tuple[bool, int, int]:
        """Sorts media ranges: of those that cover a type the greatest decides (RFC 9110, section 12.5.1)."""
        own = self.parameters.keys() - {"charset"}
        return self.type != "*", (self.subtype != "*") + ("*" not in self.subtype), len(own)

    def covers(self, other: "MediaType") -> bool:
        """Whether `other` is in this range: of its type, with at least its parameters.

        The charset is left out, since it says how the content is encoded and not what it is. `application/*+json`, as
        some tools write it, is a range of all that is JSON.
        """
        return (
            self.type in ("*", other.type)
            and (self.subtype in ("*", other.subtype) or self._covers_suffix(other.subtype))
            and all(
                name == "charset" or other.parameters.get(name, "").lower() == value.lower()
                for name, value in self.parameters.items()
            )
        )

    def _covers_suffix(self, subtype: str) -> bool:
        star, plus, suffix = self.subtype.partition("+")
        return star == "*" and plus != "" and (subtype == suffix or subtype.endswith(f"+{suffix}"))


def is_token(text: Any) -> bool:
    """Whether it is a token, as the names of headers and of schemes are (RFC 9110, section 5.6.2)."""
    return isinstance(text, str) and re.fullmatch(_WORD, text) is not None


def read_media_type(text: str) -> MediaType | None:
    """The media type or range that `text` names, None for another text (RFC 9110, section 8.3.1).

    A parameter has no `*` in its name (RFC 6838, section 4.3): that is how mail splits and encodes values.
    """
    match = _TYPE.match(text := text.strip(" \t"))
    parameters = read_parameters(text, match.end()) if match else None
    if match is None or parameters is None or any("*" in name for name in parameters):
        return None
    return MediaType(match[1].lower(), match[2].lower(), parameters)


def read_parameters(text: str, start: int) -> dict[str, str] | None:
    """The parameters from `start` to the end of `text` by their names in lower case (RFC 9110, section 5.6.6).

    None for what is no list of parameters, and where one is named twice.
    """
    parameters: dict[str, str] = {}
    while start < len(text):
        match = _PARAMETER.match(text, start)
        if match is None or (name := (match[1] or "").lower()) in parameters:
            return None
        if name:
            quoted = match[3]
            parameters[name] = match[2] if quoted is None else re.sub(r"(?s)\\(.)", r"\1", quoted)
        start = match.end()
    return parameters


def accept_of(scope: Mapping[str, Any]) -> bytes:
    """The `Accept` of a request, which may come on several lines."""
    return b",".join(value for name, value in scope["headers"] if name == b"accept")


def accepted(accept: str) -> list[MediaType]:
    """The media ranges that an `Accept` header takes, the most wanted first (RFC 9110, section 12.5.1)."""
    ranges = []
    for media_range in filter(None, map(read_media_type, _ELEMENT.findall(accept)[:_MOST_RANGES])):
        weight = media_range.parameters.get("q", "1")
        wanted = media_range._replace(parameters={})
        ranges.append((float(weight) if _WEIGHT.fullmatch(weight) else 0, wanted))
    return [wanted for weight, wanted in sorted(ranges, key=lambda each: -each[0]) if weight > 0]


def preferred(names: Sequence[str], accept: str) -> tuple[str, MediaType | None]:
    """Which of some media types and ranges a client wants most, by its `Accept` (RFC 9110, section 12.5.1), and which
    type or range of it; the first if none."""
    offered = [(name, media_type) for name in names if (media_type := read_media_type(name))]
    for wanted in accepted(accept):
        for name, media_type in offered:
            if wanted.covers(media_type):
                return name, media_type
            if media_type.covers(wanted):
                return name, wanted
    return names[0], read_media_type(names[0])
