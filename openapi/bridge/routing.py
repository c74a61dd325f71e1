"""How Connexion 3.3, which knows only OpenAPI 3.0, routes and secures a 3.1 contract without being patched.

At the start its routing and its security are built as for any service, and what they have made, its routes and
verification functions, is laid out flat; a request then needs neither Starlette's routers nor Connexion's middleware
(docs/decisions/0006-what-was-worth-it.md).
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

from connexion.middleware.routing import RoutingMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.resolver import Resolver
from connexion.spec import OpenAPISpecification
from starlette.types import Scope

from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import Json
from openapi.bridge.failures import BadRequest, MethodNotAllowed, PathNotFound
from openapi.bridge.request.percent_encoding import decoded
from openapi.bridge.security import CredentialsRequest, Security

Target = TypeVar("Target")
Verify = Callable[[CredentialsRequest], Awaitable[None]]


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


@dataclass
class _Path(Generic[Target]):
    """One path: how it is recognised, the names of its parameters and what serves its methods."""

    matches: Callable[[str], "re.Match[str] | None"]
    names: tuple[str, ...] = ()
    targets: dict[str, Target] = field(default_factory=dict)
    allow: str = ""


class Routes(Generic[Target]):
    """What serves a request, by Connexion's own routes.

    Stricter than Starlette's routers: no redirect from `/x/` to `/x` (it trusts the Host header), a complete `Allow`
    on 405 (Starlette names only the first route's methods), and no path that means something else once it is decoded.

    Args:
        specification: the routes, the more specific before the more general.
        operations: the same operations by their ids.
        targets: what serves each operation, by the operation's id.
    """

    def __init__(
        self,
        specification: OpenAPI31Specification,
        operations: dict[str, Operation],
        targets: dict[str, Target],
    ) -> None:
        # By the number of segments, since a parameter never holds a slash.
        self._paths: dict[int, list[_Path[Target]]] = {}
        self._fixed: dict[str, _Path[Target]] = {}
        known: dict[str, _Path[Target]] = {}
        # Starlette lets GET take HEAD too; one that the contract declares comes after it and has the last word.
        for route in sorted(routes_of(specification), key=lambda route: -len(route.methods)):
            path = known.setdefault(route.path, _Path(route.path_regex.fullmatch))
            path.targets.update(dict.fromkeys(route.methods, targets[route.endpoint.operation_id]))
            path.allow = ", ".join(sorted(path.targets))
            template = operations[route.endpoint.operation_id].path
            path.names = tuple(re.findall(r"\{([^}]*)\}", template))
        for template, path in sorted(
            known.items(), key=lambda item: list(specification["paths"]).index(item[0])
        ):
            if path.names:
                self._paths.setdefault(template.count("/"), []).append(path)
            else:
                self._fixed[template] = path

    def find(self, scope: Scope) -> Target | None:
        """What serves a request, None for a path that the contract does not have.

        The values of the path's parameters are noted in `scope["path_params"]`.

        Raises:
            BadRequest, PathNotFound: as `check_path_encoding`.
            MethodNotAllowed: for a method that the path does not take.
        """
        if b"%" in scope["raw_path"]:
            check_path_encoding(scope["raw_path"])
        text: str = scope["path"]
        path = self._fixed.get(text)
        scope["path_params"] = {}
        if path is None:
            for candidate in self._paths.get(text.count("/"), ()):
                if (match := candidate.matches(text)) is not None:
                    path = candidate
                    scope["path_params"] = dict(zip(path.names, match.groups(), strict=True))
                    break
            else:
                return None
        target = path.targets.get(scope["method"])
        if target is None:
            raise MethodNotAllowed(path.allow)
        return target


def routes_of(specification: OpenAPI31Specification) -> list[Any]:
    """The routes, Starlette's, that Connexion's routing makes of a specification."""
    routing = RoutingMiddleware(_unreachable)
    routing.add_api(specification, resolver=Resolver(lambda _operation_id: _unreachable))
    routes: list[Any] = routing.router.routes[-1].app.routes
    return routes


def verifications_of(specification: OpenAPI31Specification, security: Security) -> dict[str, Verify]:
    """What Connexion's security calls with a request, by the id of each operation that asks for credentials."""
    middleware = SecurityMiddleware(_unreachable)
    api = middleware.add_api(
        specification,
        resolver=Resolver(lambda _operation_id: _unreachable),
        security_map=security.security_map(),
    )
    return {
        identifier: operation.verification_fn
        for identifier, operation in api.operations.items()
        if operation.security
    }


async def _unreachable(*_: Any) -> None:
    """Stands where Connexion wants an application behind it."""
    raise NotImplementedError


def check_path_encoding(raw_path: bytes) -> None:
    """Lets a path pass that is percent-encoded UTF-8 and still has its segments once it is decoded.

    Raises:
        BadRequest: for a broken escape or bytes that are not UTF-8.
        PathNotFound: for `%2F`, which would be taken for a separator, and `%0A` at the end, which Starlette's
            route patterns (`$`) overlook.
    """
    path = decoded(raw_path)
    if path is None:
        raise BadRequest("The path must be percent-encoded UTF-8")
    if b"%2f" in raw_path.lower() or path.endswith("\n"):
        raise PathNotFound
