"""The operations of a document: what one method of one path takes and answers."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from openapi.bridge.document.places import ContractError, Json, Place, follow

# HEAD stands first, since whoever declares it means another answer than that of GET without its body.
METHODS = ("head", "get", "put", "post", "delete", "options", "patch", "trace")
# OpenAPI has parameters for these headers ignored.
_NOT_PARAMETERS = ("accept", "content-type", "authorization")


@dataclass(frozen=True)
class Operation:
    """One method of one path; the path's own parameters are merged in and `$ref`s are followed.

    Attributes:
        place: where it stands in the document.
        path: the template, led by the path of the first server.
        owner: the path parameter that must equal the token's `sub` (`x-owner`), if there is one.
        success: the status of an ordinary answer, the lowest 2xx that the contract names.
    """

    id: str
    place: Place
    method: str
    path: str
    tag: str
    parameters: tuple[Place, ...]
    body: Place | None
    responses: Mapping[str, Json]
    security: tuple[Json, ...]
    owner: str | None
    success: int

    @property
    def secured(self) -> bool:
        """Whether a token must be sent."""
        return bool(self.security) and {} not in self.security


def read_operations(document: Json) -> Iterator[Operation]:
    """The operations of a document that has passed `check_document`, in its order.

    Raises:
        ContractError: for the first that cannot be served.
    """
    templates: dict[str, Place] = {}
    ids: dict[str, Place] = {}
    paths = Place("/paths", document.get("paths", {}))
    for path in paths.node:
        place = paths / path
        _note(templates, re.sub(r"\{[^}]*\}", "{}", path), place, "the same path")
        item = follow(document, place)
        for method in METHODS:
            if method in item.node:
                operation = _operation(document, path, method, item)
                _note(ids, operation.id, item / method, f"the operationId {operation.id!r}")
                yield operation


def allowed_methods(operations: Iterable[Operation]) -> dict[str, str]:
    """The value of the `Allow` header by path; HEAD stands beside GET (RFC 9110, section 9.3.2)."""
    methods: dict[str, set[str]] = {}
    for operation in operations:
        names = {"GET", "HEAD"} if operation.method == "GET" else {operation.method}
        methods.setdefault(operation.path, set()).update(names)
    return {path: ", ".join(sorted(names)) for path, names in methods.items()}


def _note(seen: dict[str, Place], key: str, place: Place, what: str) -> None:
    if key in seen:
        raise ContractError(f"#{place.pointer}: {what} stands at #{seen[key].pointer} too")
    seen[key] = place


def _operation(document: Json, path: str, method: str, item: Place) -> Operation:
    place = item / method
    if "operationId" not in place.node:
        raise ContractError(f"#{place.pointer}: an operation needs an operationId, which names its handler")
    parameters = _parameters(document, item, place)
    _check_template(path, place, parameters)
    security = _security(document, place)
    responses = {
        status: follow(document, place / "responses" / status).node
        for status in place.node.get("responses", {})
    }
    return Operation(
        id=place.node["operationId"],
        place=place,
        method=method.upper(),
        path=_base_path(document, item, place) + path,
        tag=place.node.get("tags", [""])[0],
        parameters=parameters,
        body=follow(document, place / "requestBody") if "requestBody" in place.node else None,
        responses=responses,
        security=security,
        owner=_owner(place, parameters, security),
        success=_success(place, responses),
    )


def _parameters(document: Json, item: Place, place: Place) -> tuple[Place, ...]:
    merged: dict[tuple[str, str], Place] = {}
    for owner in (item, place):
        own: dict[str, Place] = {}
        for index in range(len(owner.node.get("parameters", ()))):
            parameter = follow(document, owner / "parameters" / index)
            where, name = parameter.node["in"], parameter.node["name"]
            key = name.lower() if where == "header" else name
            _note(own, f"{where} {key}", owner / "parameters" / index, f"the {where} parameter {name!r}")
            if where != "header" or key not in _NOT_PARAMETERS:
                merged[where, key] = parameter
    return tuple(merged.values())


def _check_template(path: str, place: Place, parameters: Sequence[Place]) -> None:
    names = re.findall(r"\{([^}]*)\}", path)
    for name in names:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
            raise ContractError(
                f"#{place.pointer}: the path parameter {name!r} must be letters, digits, '_' or '-'"
            )
    declared = [parameter.node["name"] for parameter in parameters if parameter.node["in"] == "path"]
    if sorted(names) != sorted(declared):
        raise ContractError(
            f"#{place.pointer}: the path has the parameters {names}, but {declared} are declared"
        )


def _security(document: Json, place: Place) -> tuple[Json, ...]:
    """The operation's security requirements, which a bearer token alone can fulfil."""
    schemes = Place("/components/securitySchemes", document.get("components", {}).get("securitySchemes", {}))
    requirements = place.node.get("security", document.get("security", ()))
    for requirement in requirements:
        for name, roles in requirement.items():
            where = f"#{place.pointer}: the security requirement {name!r}"
            if name not in schemes.node:
                raise ContractError(f"{where} is not among components.securitySchemes")
            scheme = follow(document, schemes / name).node
            if (
                scheme["type"] != "http"
                or scheme["scheme"].lower() != "bearer"
                or roles
                or len(requirement) > 1
            ):
                raise ContractError(f"{where} must be a bearer token alone, without roles")
    return tuple(requirements)


def _owner(place: Place, parameters: Sequence[Place], security: Sequence[Json]) -> str | None:
    owners = [parameter.node for parameter in parameters if parameter.node.get("x-owner")]
    if not owners:
        return None
    if len(owners) > 1 or owners[0]["in"] != "path" or not security:
        raise ContractError(
            f"#{place.pointer}: x-owner is for one path parameter of an operation with security"
        )
    return str(owners[0]["name"])


def _success(place: Place, responses: Mapping[str, Json]) -> int:
    statuses = [int(status) for status in responses if re.fullmatch("2[0-9][0-9]", status)]
    if not statuses:
        raise ContractError(f"#{place.pointer}: an operation needs a response with a status from 200 to 299")
    return min(statuses)


def _base_path(document: Json, item: Place, place: Place) -> str:
    """The path of the first server that the operation, its path or the document names."""
    holder = next(
        (holder for holder in (place, item, Place("", document)) if holder.node.get("servers")), None
    )
    if holder is None:
        return ""
    server = holder.node["servers"][0]
    variables = server.get("variables", {})
    for name in re.findall(r"\{([^}]*)\}", server["url"]):
        if name not in variables:
            raise ContractError(f"#{holder.pointer}/servers/0: the variable {name!r} has no default")
    url = re.sub(r"\{([^}]*)\}", lambda match: str(variables[match[1]]["default"]), server["url"])
    return urlsplit(url).path.rstrip("/")
