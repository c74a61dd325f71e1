"""Contracts made by tests: small ones from nothing, and edited copies of the service's own."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from openapi.bridge.contract import Contract
from openapi.bridge.document import strict_yaml
from openapi.bridge.document.places import look_up
from openapi.bridge.request.body import BodyReader
from openapi.contract import CONTRACT_FILE
from tests.support.running import SECRET, ServeProcess, Service, copy_project

Json = dict[str, Any]
Start = Callable[..., Service]

GONE: Any = object()

# Data that others wrote; see the README of the folder.
VECTORS = Path(os.environ.get("TEST_VECTORS") or Path(__file__).parents[3] / "shared" / "vectors")


REFUSALS = {
    "BadRequest": "400",
    "Unauthorized": "401",
    "Forbidden": "403",
    "MethodNotAllowed": "405",
    "RequestTimeout": "408",
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


def body_reader(content: Json, required: bool = True, limit: int = 1024, **schemas: Any) -> BodyReader:
    """What reads the body of an operation with this `content`, in a contract with these named schemas."""
    made = operation(requestBody={"required": required, "content": content})
    responses = {"ContentTooLarge": {"description": "", "x-max-body-bytes": limit}}
    components = {"responses": responses, "schemas": schemas}
    contract = contract_of(document({"/things": {"post": made}}, components=components))
    body = contract.operations["act"].body
    assert body is not None
    return BodyReader(contract, body)


def parsed(body: BodyReader, content: bytes, content_type: str | None = "application/json") -> Any:
    """What a handler gets of a body of this media type."""

    async def receive() -> Message:
        return {"type": "http.request", "body": content}

    headers = [] if content_type is None else [(b"content-type", content_type.encode("latin-1"))]
    return body.parse(asyncio.run(body.receive({"headers": headers}, receive)))


def edited(*edits: tuple[str, str]) -> str:
    """The service's own contract with some passages, each of which must be there, replaced where they first stand."""
    text = CONTRACT_FILE.read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def project_with(contract: str, folder: Path) -> Path:
    """A copy of the service in `folder` that has another contract, and nothing else in another way."""
    copy_project(folder)
    (folder / "openapi" / "openapi.yaml").write_text(contract, encoding="utf-8")
    return folder


def contract_with(edits: Json) -> str:
    """The service's own contract with the value at each JSON pointer replaced, or taken out where it is GONE."""
    document = strict_yaml.parse_yaml(CONTRACT_FILE.read_text(encoding="utf-8"))
    for pointer, value in edits.items():
        holder, _, key = pointer.rpartition("/")
        node = look_up(document, holder)
        name = int(key) if isinstance(node, list) else key.replace("~1", "/")
        if value is GONE:
            del node[name]
        else:
            node[name] = value
    return json.dumps(document, ensure_ascii=False)


@pytest.fixture(scope="module")
def start(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts the real service on another contract, in a copy of the project; all end with the test module.

    What is given beside the contract is written below the handlers of the copy.
    """
    with ExitStack() as processes:

        def start_on(contract: str, handlers: str = "") -> Service:
            project = project_with(contract, tmp_path_factory.mktemp("project"))
            with (project / "handlers" / "health.py").open("a", encoding="utf-8") as file:
                file.write(handlers)
            settings = {"DATABASE_URL": database_url, "AUTH_JWT_SECRET": SECRET.decode()}
            process = ServeProcess(cwd=project, PYTHONPATH=str(project), **settings)
            processes.enter_context(process).wait_until_live()
            return Service(process.url)

        yield start_on
