"""How Connexion 3.3, which knows only OpenAPI 3.0, routes and secures a 3.1 contract without being patched.

At the start its routing and its security are built as for any service, and what they have made, its routes and
verification functions, is laid out flat; a request then needs neither Starlette's routers nor Connexion's middleware
(docs/decisions/0006-what-was-worth-it.md).
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import Json
from openapi.bridge.failures import BadRequest, PathNotFound
from openapi.bridge.framework import OpenAPISpecification, Resolver, RoutingMiddleware, SecurityMiddleware
from openapi.bridge.operation import ServedOperation
from openapi.bridge.request.percent_encoding import decoded
from openapi.bridge.security import Security


class OpenAPI31Specification(OpenAPISpecification):
    """What Connexion needs for routing and security of a document that has passed `openapi.bridge.document.checks`.

    It gets no more than that. With the schemas it would replace each `$ref` by what it leads to, siblings
    overwritten and cycles followed, and with the parameters it would give Starlette converters which take `+1` and
    `01` for integers and turn `abc` into a 404. A path parameter has a number for its name, since Starlette takes
    names of Python only.
    """

    def __init__(self, version: str, operations: Iterable[Operation], security: Security) -> None:
        paths: dict[str, Json] = {}
        for operation in sorted(operations, key=_generality):
            paths.setdefault(_template(operation.path), {})[operation.method.lower()] = {
                "operationId": operation.id,
                "security": security.requirements(operation),
            }
        super().__init__(
            {"openapi": version, "paths": paths, "components": {"securitySchemes": security.schemes()}}
        )

    @classmethod
    def _validate_spec(cls, spec: dict[str, Any]) -> None:
        """Leaves out Connexion's check against the meta-schema of OpenAPI 3.0."""


def _template(path: str) -> str:
    numbers = iter(range(path.count("{")))
    return unquote(re.sub(r"\{[^}]*\}", lambda _: f"{{p{next(numbers)}}}", path))


def _generality(operation: Operation) -> list[tuple[bool, int]]:
    """Sorts a path that is written out before one with parameters (OpenAPI 3.1, "Path Templating Matching")."""
    parts = operation.path.split("/")
    return [("{" in part, -len(re.sub(r"\{[^}]*\}", "", part))) for part in parts]


async def _unreachable(*_: Any) -> None:
    """Stands where Connexion wants an application behind it."""
    raise NotImplementedError


_RESOLVER = Resolver(lambda _operation_id: _unreachable)


@dataclass(slots=True)
class Path:
    """One path: how it is recognised, the names of its parameters and its operations by method.

    Args:
        is_backwards: whether what matches reads texts from their end.
    """

    matches: Callable[[str], "re.Match[str] | None"]
    is_backwards: bool = False
    names: tuple[str, ...] = ()
    operations: dict[str, ServedOperation] = field(default_factory=dict)
    allow: str = ""


def paths_of(
    specification: OpenAPI31Specification, served: dict[str, ServedOperation]
) -> tuple[dict[str, Path], dict[int, list[Path]]]:
    """The paths by Connexion's own routes: those without parameters by their text, the others by their number of
    slashes, since a parameter never holds one, the more specific before the more general.

    Stricter than Starlette's routers: no redirect from `/x/` to `/x` (it trusts the Host header), a complete `Allow`
    on 405 (Starlette names only the first route's methods), and the most specific path decides which methods there are.
    """
    routing = RoutingMiddleware(_unreachable)
    routing.add_api(specification, resolver=_RESOLVER)
    paths: dict[str, Path] = {}
    # Starlette lets GET take HEAD too; one that the contract declares comes after it and has the last word.
    for route in sorted(routing.router.routes[-1].app.routes, key=lambda route: -len(route.methods)):
        operation = served[route.endpoint.operation_id]
        path = paths.setdefault(route.path, _path(route.path, route.path_regex))
        path.operations.update(dict.fromkeys(route.methods, operation))
        path.allow = ", ".join(sorted(path.operations))
        path.names = tuple(re.findall(r"\{([^}]*)\}", operation.operation.path))
    by_slashes: dict[int, list[Path]] = {}
    for template in specification["paths"]:
        if paths[template].names:
            by_slashes.setdefault(template.count("/"), []).append(paths[template])
    return {text: path for text, path in paths.items() if not path.names}, by_slashes


def _path(template: str, regex: "re.Pattern[str]") -> Path:
    """A path that is matched in linear time.

    Of `{a}-{b}` the first takes as much as it can, as in Connexion. Looked for from the end, that is the least that
    each of the others can take, so nothing is ever tried again, and a regular expression can be told so.
    """
    if not re.search(r"\}[^/]*\{", template):
        return Path(regex.fullmatch)
    last, *others = [re.escape(text[::-1]) for text in reversed(re.split(r"\{[^}]*\}", template))]
    backwards = re.compile(last + "".join(f"(?>([^/]+?){text})" for text in others))
    return Path(backwards.fullmatch, is_backwards=True)


def verifications_of(
    specification: OpenAPI31Specification, security: Security
) -> dict[str, Callable[[Any], Awaitable[None]]]:
    """What Connexion's security calls with a request, by the id of each operation that asks for credentials."""
    middleware = SecurityMiddleware(_unreachable)
    api = middleware.add_api(specification, resolver=_RESOLVER, security_map=security.security_map())
    return {name: each.verification_fn for name, each in api.operations.items() if each.security}


def check_path_encoding(raw_path: bytes) -> None:
    """Lets a path pass that is percent-encoded UTF-8 and still has its segments once it is decoded.

    Raises:
        BadRequest: for a broken escape or bytes that are not UTF-8.
        PathNotFound: for `%2F`, which would be taken for a separator.
    """
    if decoded(raw_path) is None:
        raise BadRequest("The path must be percent-encoded UTF-8")
    if b"%2f" in raw_path.lower():
        raise PathNotFound
