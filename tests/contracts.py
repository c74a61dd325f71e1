"""Contracts made by tests: small ones from nothing, and edited copies of the service's own."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from openapi.contract import CONTRACT_FILE, Contract
from tests.running import PROJECT

Json = dict[str, Any]

# Data that others wrote; see the README of the folder.
VECTORS = Path(os.environ.get("TEST_VECTORS") or Path(__file__).parents[2] / "shared" / "vectors")


REFUSALS = {
    "BadRequest": "400",
    "Unauthorized": "401",
    "Forbidden": "403",
    "MethodNotAllowed": "405",
    "ContentTooLarge": "413",
    "UnsupportedMediaType": "415",
    "InternalError": "500",
}


def refusals() -> Json:
    """Response components for every refusal that comes before a handler, and the 405 and 500 of every path."""
    components: Json = {name: {"description": f"Refused with {status}"} for name, status in REFUSALS.items()}
    components["ContentTooLarge"]["x-max-body-bytes"] = 1024
    return components


def refusing() -> Json:
    """The responses of an operation that can be refused in all these ways."""
    return {status: {"$ref": f"#/components/responses/{name}"} for name, status in REFUSALS.items()}


def operation(identifier: str = "act", **fields: Any) -> Json:
    """An operation that answers 200, with further fields of an operation object."""
    return {"operationId": identifier, "responses": {"200": {"description": "Done"}}, **fields}


def document(paths: Json | None = None, **fields: Any) -> Json:
    """A document with one operation, `GET /things`, unless other paths are given."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Test", "version": "1"},
        "paths": {"/things": {"get": operation()}} if paths is None else paths,
        "components": {"responses": refusals()},
        **fields,
    }


def contract_of(document: Json) -> Contract:
    """The contract that a document makes; JSON is YAML too."""
    return Contract(json.dumps(document, ensure_ascii=False))


def with_body(schema: Any, *, required: bool = True, media_type: str = "application/json") -> Contract:
    """A contract whose one operation, `POST /things`, takes a body of this schema."""
    body = {"required": required, "content": {media_type: {"schema": schema}}}
    return contract_of(document({"/things": {"post": operation(requestBody=body)}}))


def edited(*edits: tuple[str, str]) -> str:
    """The service's own contract with some passages, each of which must be there, replaced where they first stand."""
    text = CONTRACT_FILE.read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def project_with(contract: str, folder: Path) -> Path:
    """A copy of the service in `folder` that has another contract, and nothing else in another way."""
    for package in ("openapi", "handlers", "db", "server", "alembic"):
        shutil.copytree(PROJECT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "openapi" / "openapi.yaml").write_text(contract, encoding="utf-8")
    return folder
