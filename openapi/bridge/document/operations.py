"""The operations of a document: what one method of one path takes and answers."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from urllib.parse import urlsplit

from openapi.bridge.document.grammar import METHODS, parts
from openapi.bridge.document.places import ContractError, Json, Place, follow, pointer_to
from openapi.bridge.media_types import JSON, is_token, read_media_type

# OpenAPI has parameters for these headers ignored.
_NOT_PARAMETERS = ("accept", "content-type", "authorization")
# What is raised where something has another form than the grammar gives it, which has been reported by then.
_CONSEQUENCES = (AttributeError, IndexError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Operation:
    """One method of one path; the path's own parameters are merged in and `$ref`s are followed.

    Attributes:
        place: where it stands in the document.
        id: its operationId, or its method and path where it names no id.
        path: the template, led by the path of the first server.
        owner: the path parameter that must equal the token's `sub` (`x-owner`), if there is one.
        success: the status of an ordinary answer.
    """

    id: str
    place: Place
    method: str
    path: str
    tag: str
    parameters: tuple[Place, ...]
    body: Place | None
    responses: Mapping[str, Place]
    security: tuple[Json, ...]
    owner: str | None
    success: int

    @property
    def secured(self) -> bool:
        """Whether a token must be sent."""
        return bool(self.security) and {} not in self.security

    def response(self, status: int | str) -> Place | None:
        """What is declared for answers of a status, or of what a contract may have for one: by its number, its class
        (`4XX`) or `default`."""
        own = str(status)
        names = (own, f"{own[0]}XX", "default")
        return next((self.responses[name] for name in names if name in self.responses), None)

    def answer_type(self, status: int) -> str:
        """The media type that answers of a status are declared to have, the first of JSON or else of any kind."""
        response = self.response(status)
        written = [key for key in (response.node.get("content", {}) if response else ()) if "*" not in key]
        of_json = (key for key in written if (read := read_media_type(key)) and read.is_json)
        return next(chain(of_json, written), JSON)


def read_operations(document: Json, problems: list[str]) -> list[Operation]:
    """The operations of a document that can be reached, in its order.

    Args:
        problems: what `check_document` has reported, which is passed over here; each fault of an operation is added.
    """
    operations: list[Operation] = []
    is_sound = not problems
    templates: dict[str, Place] = {}
    ids: dict[str, Place] = {}

    def read(path: Place, template: str) -> None:
        _note(templates, re.sub(r"\{[^}]*\}", "{}", template), path, "the same path")
        # What a path item's `$ref` leads to stands behind the item's own fields.
        items = [path, follow(document, path)] if "$ref" in path.node else [path]
        for method in METHODS:
            place = next((item / method for item in items if method in item.node), None)
            if place is not None:
                with _collected(problems, is_sound):
                    identifier = place.node.get("operationId", f"{method.upper()} {template}")
                    with _collected(problems, is_sound):
                        _note(ids, identifier, place, f"the operationId {identifier!r}")
                    operations.append(_operation(document, template, items, place, identifier))

    with _collected(problems, is_sound):
        paths = Place("/paths", document.get("paths", {}))
        for template in paths.node:
            if not template.startswith("x-") and not _is_unreachable(template):
                with _collected(problems, is_sound):
                    read(paths / template, template)
    return operations


@contextmanager
def _collected(problems: list[str], is_sound: bool = True) -> Iterator[None]:
    """Keeps what is wrong for later, so that one fault does not hide the next."""
    with suppress(*(() if is_sound else _CONSEQUENCES)):
        try:
            yield
        except ContractError as error:
            problems += error.problems


def _note(seen: dict[str, Place], key: str, place: Place, what: str) -> None:
    if key in seen:
        raise ContractError(f"#{place.pointer}: {what} stands at #{seen[key].pointer} too")
    seen[key] = place


def _operation(document: Json, path: str, items: Sequence[Place], place: Place, identifier: str) -> Operation:
    parameters = _parameters(document, (*reversed(items), place))
    faults: list[str] = []
    with _collected(faults):
        _check_template(path, place, parameters)
    with _collected(faults):
        security = _security(document, place)
    if faults:
        raise ContractError(*faults)
    responses = {
        status: follow(document, place / "responses" / status)
        for status in place.node.get("responses", {})
        if not status.startswith("x-")
    }
    return Operation(
        id=identifier,
        place=place,
        method=place.pointer.rpartition("/")[2].upper(),
        path=_base_path((place, *items, Place("", document))) + path,
        tag=next(iter(place.node.get("tags", ())), ""),
        parameters=parameters,
        body=follow(document, place / "requestBody") if "requestBody" in place.node else None,
        responses=responses,
        security=security,
        owner=_owner(place, parameters, security),
        success=_success(responses),
    )


def _parameters(document: Json, owners: Sequence[Place]) -> tuple[Place, ...]:
    """The parameters of an operation; those of later owners take the place of earlier ones."""
    merged: dict[tuple[str, str], Place] = {}
    for owner in owners:
        own: dict[str, Place] = {}
        for index in range(len(owner.node.get("parameters", ()))):
            parameter = follow(document, owner / "parameters" / index)
            where, name = parameter.node["in"], parameter.node["name"]
            key = name.lower() if where == "header" else name
            _note(own, f"{where} {key}", owner / "parameters" / index, f"the {where} parameter {name!r}")
            if where != "header" or (key not in _NOT_PARAMETERS and is_token(key)):
                merged[where, key] = parameter
    return tuple(merged.values())


def _check_template(path: str, place: Place, parameters: Sequence[Place]) -> None:
    names = re.findall(r"\{([^}]*)\}", path)
    if re.search("[{}]", re.sub(r"\{[^{}]*\}", "", path)):
        raise ContractError(f"#{place.pointer}: the path has a brace that stands alone")
    if "" in names:
        raise ContractError(f"#{place.pointer}: the path has a parameter without a name")
    declared = [parameter.node["name"] for parameter in parameters if parameter.node["in"] == "path"]
    if sorted(names) != sorted(declared):
        raise ContractError(
            f"#{place.pointer}: the path has the parameters {names}, but {declared} are declared"
        )


def _security(document: Json, place: Place) -> tuple[Json, ...]:
    """The operation's security requirements, each a scheme's name to the scopes that it asks for."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    requirements = place.node.get("security", document.get("security", ()))
    for name in (name for requirement in requirements for name in requirement):
        if name not in schemes:
            raise ContractError(
                f"#{place.pointer}: the security requirement {name!r} is not among components.securitySchemes"
            )
    return tuple(requirements)


def _owner(place: Place, parameters: Sequence[Place], security: Sequence[Json]) -> str | None:
    owners = [parameter.node for parameter in parameters if parameter.node.get("x-owner") is True]
    if not owners:
        return None
    if len(owners) > 1 or not security:
        raise ContractError(
            f"#{place.pointer}: x-owner is for one path parameter of an operation with security"
        )
    return str(owners[0]["name"])


def _success(responses: Iterable[str]) -> int:
    """The lowest status of a success that is declared, by itself or by its class; else 200."""
    declared = [status for status in sorted(responses) if re.fullmatch("[23][0-9X]{2}", status)]
    return int(declared[0].replace("X", "0")) if declared else 200


def _base_path(holders: Sequence[Place]) -> str:
    """The path of the first server of the first that has any: the operation, its path or the document."""
    holder = next((holder for holder in holders if holder.node.get("servers")), None)
    return "" if holder is None else base_path(holder / "servers" / 0)


def base_path(server: Place) -> str:
    """The path of a server, without a slash at its end; empty where a variable in it has no default.

    Raises:
        ContractError: for a server without a URL that can be read.
    """
    path = _path_of(server).rstrip("/")
    if "{" in path:
        return ""  # Nobody can tell what stands there.
    # A path without a slash is relative to where the document is published, which is the root.
    return f"/{path}" if path and not path.startswith("/") else path


def _path_of(server: Place) -> str:
    """The path of a server with the defaults of its variables; one that has no default stays as it is."""
    defaults = {name: str(each["default"]) for name, each in server.node.get("variables", {}).items()}
    url = re.sub(r"\{([^}]*)\}", lambda match: defaults.get(match[1], match[0]), server.node["url"])
    try:
        return urlsplit(url).path
    except ValueError:
        raise ContractError(f"#{server.pointer}/url: it is no URL (RFC 3986)") from None


def left_out(document: Json) -> Iterator[str]:
    """A line for each path, server's path and header that is not served, since no message can have it, for an
    extension of another tool that has the name of one of ours, and for a link that leads to no operation."""
    if isinstance(document.get("x-headers"), list):
        yield "#/x-headers: left out, since it is a list and not values by the names of headers"
    for path in document.get("paths", {}):
        if _is_unreachable(path):
            yield f"#{pointer_to('/paths', path)}: left out, since no request can have a path with '#' or '?'"
    objects = list(parts(document))
    ids = {place.node.get("operationId") for kind, place in objects if kind == "operations"}
    for kind, place in objects:
        if kind == "links" and place.node.get("operationId") not in {*ids, None}:
            yield f"#{place.pointer}: no operation has the operationId {place.node['operationId']!r}"
        if kind == "servers" and "{" in _path_of(place):
            yield f"#{place.pointer}: its path is left out, since a variable in it has no default"
        names: Iterable[str] = place.node.get("headers", ()) if kind == "responses" else ()
        # What stands beside a `$ref` says nothing.
        if kind == "parameters" and place.node.get("in") == "header" and "$ref" not in place.node:
            names = [place.node["name"]]
        for name in names:
            if not is_token(name):
                yield f"#{place.pointer}: the header {name!r} is left out, since no message can have this name"


def _is_unreachable(template: str) -> bool:
    # Its `#` or `?` ends the path in any URL (RFC 3986, section 3.3).
    return "#" in template or "?" in template
