"""The pages for people: Swagger UI at `/docs/`, the contract at `/openapi.yaml` and `/openapi.json`."""

import json
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import flask_swagger_ui
import werkzeug
import yaml
from flask import Flask, Response, redirect, render_template, request
from werkzeug import exceptions
from werkzeug.http import generate_etag

from openapi.bridge.answers import AnswerWriter
from openapi.bridge.contract import Contract
from openapi.bridge.document.places import Json, Place
from openapi.bridge.failures import BadRequest, Failure, InternalError, MethodNotAllowed, PathNotFound
from server.identity.issuer import is_loopback

STATIC = Path(__file__).with_name("static")
SWAGGER_UI = Path(flask_swagger_ui.__file__).with_name("dist")
SWAGGER_UI_VERSION = version("flask-swagger-ui")
SWAGGER_UI_FILES = {
    "favicon-32x32.png": "image/png",
    "index.css": "text/css",
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
ASK_EACH_TIME = "no-cache"
KEEP = "public, max-age=31536000, immutable"  # RFC 8246

SECURITY_HEADERS = {
    # Everything comes from this server; scripts stand in files, so nothing that is written into a page runs.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class PageHasChanged(Failure):
    """`If-Match` names another state of a page; no operation of the contract is concerned."""

    status_code = HTTPStatus.PRECONDITION_FAILED
    sentence = exceptions.PreconditionFailed.description or ""


def create_pages(
    contract: Contract, issue_token: Callable[[], str | None] = lambda: None, root_path: str = ""
) -> Flask:
    """The Flask application that answers every path of which `is_page` is true.

    Args:
        contract: what is published; without a `root_path` its text is served byte for byte.
        root_path: the path below which clients find the service; the published `servers` lie below it.
        issue_token: in development mode, gives a fresh JWT with which Swagger UI is signed in from the start.
    """
    app = Flask(__name__, static_folder=None)
    # Flask's own redirects would name the host that the request claims, and its OPTIONS is in no contract.
    app.url_map.merge_slashes = False
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.register_error_handler(exceptions.HTTPException, partial(_refuse, AnswerWriter(contract)))
    app.after_request(_secure)

    @app.get("/")
    @app.get("/docs")
    def to_docs() -> werkzeug.Response:
        # Relative, so that it stays below a path that no setting names; where one does, the server puts it in front.
        return redirect("/docs/" if root_path else "docs/")

    @app.get("/docs/")
    def docs() -> Response:
        page = render_template(
            "docs.html",
            title=contract.document["info"]["title"],
            version=SWAGGER_UI_VERSION,
            scheme=_bearer_scheme(contract),
            token=issue_token() if _is_own_navigation() else None,
        )
        return Response(f"{page}\n", headers={"Cache-Control": "no-store"})

    document = _below(root_path, contract.published)
    as_json = json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"
    as_yaml = (
        contract.text if not root_path else yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    )
    _add_file(app, "/openapi.json", as_json.encode(), "application/json", ASK_EACH_TIME)
    _add_file(app, "/openapi.yaml", as_yaml.encode(), "application/yaml", ASK_EACH_TIME)  # RFC 9512
    _add_file(app, "/docs/docs.js", (STATIC / "docs.js").read_bytes(), "text/javascript", ASK_EACH_TIME)
    # Beside the style that it goes on from.
    style = (STATIC / "docs.css").read_bytes()
    _add_file(app, f"/docs/{SWAGGER_UI_VERSION}/docs.css", style, "text/css", ASK_EACH_TIME)
    for name, media_type in SWAGGER_UI_FILES.items():
        content = (SWAGGER_UI / name).read_bytes()
        _add_file(app, f"/docs/{SWAGGER_UI_VERSION}/{name}", content, media_type, KEEP)
    return app


def _below(root_path: str, document: Json) -> Json:
    """The document with its servers below `root_path`, as clients behind a proxy find them."""
    if not root_path:
        return document
    servers = document.get("servers") or [{"url": "/"}]
    moved = [
        {**server, "url": root_path + server["url"].rstrip("/")} if server["url"].startswith("/") else server
        for server in servers
    ]
    return {**document, "servers": moved}


def _add_file(app: Flask, path: str, content: bytes, media_type: str, caching: str) -> None:
    """Lets `app` answer `content` at `path`, or 304 to a client that has it (RFC 9110, section 13.1.2)."""
    entity_tag = generate_etag(content)

    def view() -> Response:
        response = Response(content, mimetype=media_type, headers={"Cache-Control": caching})
        response.set_etag(entity_tag)
        response.make_conditional(request)
        if response.status_code == HTTPStatus.PRECONDITION_FAILED:
            raise exceptions.PreconditionFailed
        return response

    app.add_url_rule(path, endpoint=path.replace(".", "_"), view_func=view)


def _is_own_navigation() -> bool:
    """Whether a person of this machine opens the page, so that it may hold the token of development mode.

    A page of another site that makes its own name lead to this machine (DNS rebinding) is recognised by the Host
    header, and one that reads across origins, should CORS_ORIGINS let it, by the Origin header.
    """
    host = urlsplit(f"//{request.host}").hostname or ""
    return is_loopback(host) and "Origin" not in request.headers


def _bearer_scheme(contract: Contract) -> str | None:
    schemes = Place("", contract.document.get("components", {}).get("securitySchemes", {}))
    for name in schemes.node:
        scheme = contract.follow(schemes / name).node
        if scheme["type"] == "http" and scheme["scheme"].lower() == "bearer":
            return str(name)
    return None


def _refuse(writer: AnswerWriter, error: exceptions.HTTPException) -> Response:
    failure: Failure
    if isinstance(error, exceptions.NotFound):
        failure = PathNotFound()
    elif isinstance(error, exceptions.MethodNotAllowed):
        failure = MethodNotAllowed(", ".join(sorted(error.valid_methods or ())))
    elif isinstance(error, exceptions.PreconditionFailed):
        failure = PageHasChanged()
    elif error.code == HTTPStatus.INTERNAL_SERVER_ERROR:
        failure = InternalError()
    else:
        failure = BadRequest(str(error.description))
    answer = writer.refuse(failure, request.headers.get("Accept", "").encode("latin-1"))
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.fields]
    return Response(answer.content, answer.status, fields)


def _secure(response: Response) -> Response:
    response.headers.update(SECURITY_HEADERS)
    # Without a word on it a cache may keep a refusal or a redirect as it likes (RFC 9111, section 4.2.2).
    response.headers.setdefault("Cache-Control", ASK_EACH_TIME)
    # Werkzeug dates an answer that may be 304; the server dates every answer.
    response.headers.pop("Date", None)
    return response
