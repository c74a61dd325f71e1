"""How Connexion 3.3, which knows only OpenAPI 3.0, routes and secures a 3.1 contract without being patched."""

import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import unquote

from connexion.frameworks.starlette import starlettify_path
from connexion.middleware.routing import RoutingMiddleware
from connexion.spec import OpenAPISpecification
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from openapi.bridge.document.operations import Operation, allowed_methods, read_operations
from openapi.bridge.document.places import Json, Place, follow
from openapi.bridge.failures import BadRequest, MethodNotAllowed, PathNotFound
from openapi.bridge.request.percent_encoding import decoded


class OpenAPI31Specification(OpenAPISpecification):
    """What Connexion needs for routing and security of a document that has passed `openapi.bridge.document.checks`.

    It gets no more than that. With the schemas it would replace each `$ref` by what it leads to, siblings
    overwritten and cycles followed, and with the parameters it would give Starlette converters which take `+1` and
    `01` for integers and turn `abc` into a 404.
    """

    def __init__(self, raw_spec: Json, *, base_uri: str = "") -> None:
        operations = sorted(read_operations(raw_spec), key=_generality)
        self.allowed_methods = allowed_methods(operations)
        paths: dict[str, Json] = {}
        for operation in operations:
            paths.setdefault(unquote(operation.path), {})[operation.method.lower()] = {
                "operationId": operation.id,
                # One who sends a token is its user even where none is needed, so the empty requirement comes last.
                "security": sorted(operation.security, key=lambda requirement: not requirement),
            }
        schemes = Place("", raw_spec.get("components", {}).get("securitySchemes", {}))
        super().__init__(
            {
                "openapi": raw_spec["openapi"],
                "paths": paths,
                "components": {
                    "securitySchemes": {name: follow(raw_spec, schemes / name).node for name in schemes.node}
                },
            },
            base_uri=base_uri,
        )

    @classmethod
    def _validate_spec(cls, spec: dict[str, Any]) -> None:
        """Leaves out Connexion's check against the meta-schema of OpenAPI 3.0."""


def _generality(operation: Operation) -> list[tuple[bool, int]]:
    """Sorts a path that is written out before one with parameters (OpenAPI 3.1, "Path Templating Matching")."""
    parts = operation.path.split("/")
    return [("{" in part, -len(re.sub(r"\{[^}]*\}", "", part))) for part in parts]


class ContractRouting(RoutingMiddleware):
    """Connexion's routing, strict where Starlette's router is lax.

    No redirect from `/x/` to `/x` (it trusts the Host header), a complete `Allow` on 405 (Starlette names only
    the first route's methods), and no path that means something else once it is decoded.
    """

    def add_api(self, specification: OpenAPI31Specification, *args: Any, **kwargs: Any) -> None:
        super().add_api(specification, *args, **kwargs)
        mount = self.router.routes[-1]
        assert isinstance(mount, Mount)
        assert isinstance(mount.app, Router)
        # Starlette's `.*` would end at a line break, which a user's name may hold.
        mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
        self.router.redirect_slashes = mount.app.redirect_slashes = False
        operations: dict[str, dict[str, ASGIApp]] = {}
        # Starlette lets GET take HEAD too; one that the contract declares comes after it and has the last word.
        routes = sorted(cast(list[Route], mount.app.routes), key=lambda route: -len(route.methods or ()))
        for route in routes:
            operations.setdefault(route.path, {}).update(dict.fromkeys(route.methods or (), route.endpoint))
        allowed = {
            starlettify_path(unquote(path)): value for path, value in specification.allowed_methods.items()
        }
        # One route for each path, the more specific before the more general. The longest come first, since one that
        # has another number of segments cannot match, and most requests are for a single thing.
        mount.app.routes = [
            Route(path, _Methods(operations[path], allowed[path]))
            for path in sorted(allowed, key=lambda path: -path.count("/"))
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and b"%" in scope["raw_path"]:
            check_path_encoding(scope["raw_path"])
        await super().__call__(scope, receive, send)


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


class _Methods:
    """The operations of one path by method; any other method is refused."""

    def __init__(self, operations: Mapping[str, ASGIApp], allow: str) -> None:
        self._operations = operations
        self._allow = allow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = self._operations.get(scope["method"])
        if operation is None:
            raise MethodNotAllowed(self._allow)
        await operation(scope, receive, send)
