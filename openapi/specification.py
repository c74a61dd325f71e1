"""How Connexion 3.3, which knows only OpenAPI 3.0, loads and routes a 3.1 contract without being patched."""

import re
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from connexion.middleware.routing import RoutingMiddleware
from connexion.operations import OpenAPIOperation
from connexion.spec import OpenAPISpecification
from starlette.routing import Mount, Router
from starlette.types import Receive, Scope, Send

from openapi.contract import contract
from openapi.errors import BadRequest, MethodNotAllowed, PathNotFound

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class StringPathOperation(OpenAPIOperation):
    """An operation whose path parameters reach our own validation as the text that was sent.

    Connexion would give Starlette an `int` converter, which takes `+1` and `01` and turns `abc` into a 404.
    """

    def get_path_parameter_types(self) -> dict[str, str]:
        return {}


class OpenAPI31Specification(OpenAPISpecification):
    """A specification that `openapi.checks` has validated already, by the 3.1 meta-schema."""

    operation_cls = StringPathOperation

    @classmethod
    def _validate_spec(cls, spec: dict[str, Any]) -> None:
        """Leaves out Connexion's check against the meta-schema of OpenAPI 3.0."""


class ContractRouting(RoutingMiddleware):
    """Connexion's routing, strict where Starlette's router is lax.

    No redirect from `/x/` to `/x` (it trusts the Host header), a complete `Allow` on 405 (Starlette names only
    the first route's methods), and no path that means something else once it is decoded.
    """

    def add_api(self, *args: Any, **kwargs: Any) -> None:
        super().add_api(*args, **kwargs)
        self.router.redirect_slashes = False
        for mount in self.router.routes:
            if isinstance(mount, Mount) and isinstance(mount.app, Router):
                self._make_strict(mount.app)

    def _make_strict(self, router: Router) -> None:
        router.redirect_slashes = False
        for path, allow in contract().allowed_methods.items():
            # The last route of a path takes the methods that none before it took.
            router.add_route(path, _OtherMethods(allow))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and b"%" in scope["raw_path"]:
            check_path_encoding(scope["raw_path"])
        await super().__call__(scope, receive, send)


def check_path_encoding(raw_path: bytes) -> None:
    """Lets a path pass that is percent-encoded UTF-8 and still has its segments once it is decoded.

    Raises:
        BadRequest: for a broken escape or bytes that are not UTF-8 (RFC 3986, section 2.1).
        PathNotFound: for `%2F`, which would be taken for a separator, and `%0A` at the end, which Starlette's
            route patterns (`$`) overlook.
    """
    try:
        decoded = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError:
        decoded = ""
    if not decoded or _BROKEN_ESCAPE.search(raw_path):
        raise BadRequest("The path must be percent-encoded UTF-8")
    if b"%2f" in raw_path.lower() or decoded.endswith("\n"):
        raise PathNotFound


class _OtherMethods:
    def __init__(self, allow: str) -> None:
        self.allow = allow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> NoReturn:
        raise MethodNotAllowed(self.allow)


