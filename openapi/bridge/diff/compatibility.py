"""Two versions of the contract: which of their differences break the clients of the older one, and which do not.

What goes over the wire is compared, and the operationIds, after which generated clients name their functions. The
hosts of servers, servers after the first, links, callbacks, webhooks and texts for people are not.
"""

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any, NamedTuple

from openapi.bridge.contract import Contract
from openapi.bridge.diff.narrowing import changes
from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import Json, Place
from openapi.bridge.media_types import read_media_type
from openapi.bridge.request.styles import DEFAULT_STYLES, StyleReader

# What decides how a parameter is read, beside its style.
_READ_BY = ("allowReserved", "x-list", "x-owner")


class Difference(NamedTuple):
    """What differs, in a sentence, and in which part ("body", "404") of which operation ("GET /things")."""

    breaking: bool
    sentence: str
    part: str = ""
    operation: str = ""


class Part(NamedTuple):
    """A node of one of the contracts."""

    contract: Contract
    place: Place

    def __truediv__(self, key: str | int) -> "Part":
        return Part(self.contract, self.contract.follow(self.place / key))

    def get(self, key: str, default: Any = None) -> Any:
        return self.place.node.get(key, default)

    def parts(self, key: str) -> dict[str, "Part"]:
        """What stands below a key, by name, without the case that headers do not have."""
        names = {name.lower() if key == "headers" else name: name for name in self.get(key, {})}
        return {name: self / key / original for name, original in names.items()}


def differences(old: Contract, new: Contract) -> list[Difference]:
    """How `new` differs from `old` for a client of `old`; an empty list where the client cannot tell them apart.

    A difference whose meaning cannot be told counts as a breaking one.
    """
    olds, news = _operations(old), _operations(new)
    found = []
    for key in dict.fromkeys((*olds, *news)):
        operation = news.get(key) or olds[key]
        if key in olds and key in news:
            inside = list(_operation((old, olds[key]), (new, news[key])))
        else:
            inside = [_appeared("the operation", key in news, breaks=False)]
        name = f"{operation.method} {operation.path}"
        found += [each._replace(operation=name) for each in inside]
    return found


def _operations(contract: Contract) -> dict[tuple[str, str], Operation]:
    """By method and path; what a path calls its parameters makes no other path."""
    operations = contract.operations.values()
    return {(each.method, re.sub(r"\{[^}]*\}", "{}", each.path)): each for each in operations}


def _appeared(what: str, is_new: bool, breaks: bool) -> Difference:
    """What only one of the contracts has: whoever used it misses it, and `breaks` says whether a new one does harm."""
    return Difference(breaks or not is_new, f"{what} is {'new' if is_new else 'gone'}")


def _operation(old: tuple[Contract, Operation], new: tuple[Contract, Operation]) -> Iterator[Difference]:
    was, now = (each.place.node.get("operationId") for _, each in (old, new))
    if was != now:
        yield Difference(True, f"the operationId was {was or 'none'}, is {now or 'none'}")
    yield from _security(old, new)
    yield from _parameters(_own_parameters(*old), _own_parameters(*new))
    yield from _bodies(*(Part(contract, each.body) if each.body else None for contract, each in (old, new)))
    for status in dict.fromkeys((*old[1].responses, *new[1].responses)):
        before, after = (
            Part(contract, place) if (place := each.response(status)) else None
            for contract, each in (old, new)
        )
        if before and after:
            for difference in _answers(before, after):
                yield difference._replace(part=status)
        else:
            # Clients know a refusal by the class of its status (RFC 9110, section 15); a success they read.
            yield _appeared(f"the answer {status}", after is not None, breaks=status[0] not in "45")


def _security(old: tuple[Contract, Operation], new: tuple[Contract, Operation]) -> Iterator[Difference]:
    if old[1].secured != new[1].secured:
        yield Difference(new[1].secured, f"a token is {'' if new[1].secured else 'not '}needed now")
        return
    olds, news = _alternatives(*old), _alternatives(*new)
    for each in olds:
        # Who proves more than what is asked for is let in.
        if not any(asked <= each for asked in news):
            yield Difference(True, f"{_credentials(each)} is not enough any more")
    for each in news:
        if not any(asked <= each for asked in olds):
            yield Difference(False, f"{_credentials(each)} is enough now")


def _alternatives(contract: Contract, operation: Operation) -> list[frozenset[str]]:
    """What each alternative asks for: schemes, whatever they are called, and their scopes."""
    schemes = Part(contract, Place("/components", contract.document.get("components", {}))).parts(
        "securitySchemes"
    )
    return [
        frozenset(
            text
            for name, scopes in requirement.items()
            for scheme in [_scheme(schemes[name].place.node)]
            for text in (scheme, *(f"{scheme} scope {scope}" for scope in scopes))
        )
        for requirement in operation.security or ({},)
    ]


def _scheme(node: Json) -> str:
    name = node.get("name", "").lower() if node.get("in") == "header" else node.get("name")
    parts = (node["type"], node.get("scheme", "").lower(), node.get("in"), name, node.get("openIdConnectUrl"))
    return " ".join(filter(None, parts))


def _credentials(asked: Set[str]) -> str:
    return " and ".join(sorted(asked)) or "no credentials"


def _own_parameters(contract: Contract, operation: Operation) -> dict[tuple[str, str], Part]:
    """By where they stand and their names, which in a path are their positions."""
    positions = {name: str(at) for at, name in enumerate(re.findall(r"\{([^}]*)\}", operation.path))}
    found = {}
    for place in operation.parameters:
        where, name = place.node["in"], place.node["name"]
        key = {"path": positions.get(name, name), "header": name.lower()}.get(where, name)
        found[where, key] = Part(contract, place)
    return found


def _parameters(olds: dict[tuple[str, str], Part], news: dict[tuple[str, str], Part]) -> Iterator[Difference]:
    for key in dict.fromkeys((*olds, *news)):
        part = news.get(key) or olds[key]
        name = f"{key[0]} parameter {part.get('name')}"
        if key not in news or key not in olds:
            was_taken = key[0] == "query" and any(map(_is_free, olds.values()))
            yield _appeared(f"the {name}", key in news, breaks=part.get("required", False) or was_taken)
            continue
        found = [*_required(olds[key], part), *_written(olds[key], part, sent=True)]
        yield from (each._replace(part=name) for each in found)


def _is_free(parameter: Part) -> bool:
    """Whether it takes every query parameter that no other takes."""
    schema = parameter.contract.requests.at(f"{parameter.place.pointer}/schema")
    return StyleReader(parameter.place.node, schema).is_free


def _written(old: Part, new: Part, *, sent: bool) -> Iterator[Difference]:
    """What differs in the values of a parameter or header, and in how they are written."""
    if _form(old) == _form(new):
        yield from _contents(old, new, sent=sent)
    else:
        yield Difference(True, "it is written in another way")
    was, now = (part.get("in") == "query" and part.get("allowEmptyValue", False) for part in (old, new))
    if was != now:
        yield Difference(was, f"it may {'' if now else 'not '}be empty now")


def _form(parameter: Part) -> list[Any]:
    style = parameter.get("style", DEFAULT_STYLES[parameter.get("in", "header")])
    return [
        "content" in parameter.place.node,
        style,
        parameter.get("explode", style == "form"),
        *(parameter.get(key) is True for key in _READ_BY),
    ]


def _bodies(old: Part | None, new: Part | None) -> Iterator[Difference]:
    if old and new:
        found = [*_required(old, new), *_contents(old, new, sent=True)]
        was, now = old.contract.max_body_bytes, new.contract.max_body_bytes
        if was != now:
            found.append(Difference(now < was, f"x-max-body-bytes was {was}, is {now}"))
        yield from (each._replace(part="body") for each in found)
    elif old or new:
        yield _appeared("the body", new is not None, breaks=new is not None and new.get("required", False))


def _required(old: Part, new: Part) -> Iterator[Difference]:
    was, now = old.get("required", False), new.get("required", False)
    if was != now:
        yield Difference(now, f"it is {'' if now else 'not '}required now")


def _answers(old: Part, new: Part) -> Iterator[Difference]:
    olds, news = old.parts("headers"), new.parts("headers")
    for name in dict.fromkeys((*olds, *news)):
        if name not in news or name not in olds:
            yield _appeared(f"the header {name}", name in news, breaks=False)
            continue
        # Whoever reads a header misses it where it need not be there any more.
        found = [each._replace(breaking=not each.breaking) for each in _required(olds[name], news[name])]
        found += _written(olds[name], news[name], sent=False)
        yield from (each._replace(sentence=f"header {name}: {each.sentence}") for each in found)
    yield from _contents(old, new, sent=False)


def _contents(old: Part, new: Part, *, sent: bool) -> Iterator[Difference]:
    """What differs in the schemas, or in the media types and theirs; `sent` tells requests from answers."""
    was, now = (part.contract.schemas.at(f"{part.place.pointer}/schema") for part in (old, new))
    for effect, sentence in changes(was, now):
        yield Difference(effect.senders if sent else effect.readers, sentence)
    if sent and old.get("encoding", {}) != new.get("encoding", {}):
        yield Difference(True, "its members are written in another way")
    olds, news = old.parts("content"), new.parts("content")
    for media_type in dict.fromkeys((*olds, *news)):
        before, after = _covering(media_type, olds), _covering(media_type, news)
        if before and after:
            yield from _contents(before, after, sent=sent)
        else:
            yield _appeared(f"the media type {media_type}", after is not None, breaks=not sent)


def _covering(media_type: str, contents: Mapping[str, Part]) -> Part | None:
    """What a content has for a media type: under its own name, or under that of the most specific range."""
    read = read_media_type(media_type)
    ranges = [
        (each, key) for key in contents if (each := read_media_type(key)) and read and each.covers(read)
    ]
    key = max(ranges, key=lambda each: each[0].specificity, default=(None, media_type))[1]
    return contents.get(media_type) or contents.get(key)
