"""Holds every answer that a test receives against the contract: its status, headers, media type and body.

A test module takes part by the line `service = conforming.service`: from then on its clients check what they get.
"""

import json
import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
import pytest

from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import Place
from openapi.contract import contract
from tests.support.running import Service

# The declared headers that are rightly absent at times: on the last page of a list, where nobody asks to count,
# and where no front end asks.
OPTIONAL_HEADERS = {"accept-encoding", "link", "x-total-count", "accept-patch", "access-control-allow-origin"}


class ConformingService(Service):
    """A service whose clients fail on the first answer that the contract does not declare."""

    def client(self, user: str | None = None, **claims: Any) -> httpx.Client:
        """Like `Service.client`, with `check` on every answer."""
        client = super().client(user, **claims)
        client.event_hooks = {"response": [check]}
        return client


@pytest.fixture(scope="session")
def service(service: Service) -> ConformingService:
    """The service that all tests share, with clients that check its answers."""
    return ConformingService(service.url, service.secret)


def check(response: httpx.Response) -> None:
    """Fails unless the contract declares this answer to this request."""
    response.read()
    always = contract().headers
    assert always == {name: response.headers.get(name) for name in always}
    path = response.request.url.raw_path.partition(b"?")[0].decode("ascii")
    operations = [each for each in contract().operations.values() if _pattern(each.path).fullmatch(path)]
    if not operations:
        assert 404 == response.status_code, (
            f"{path} is not in the contract, but answers {response.status_code}"
        )
        _check_json(response, "/components/schemas/Refusal")
        return
    operation = next((each for each in operations if each.method == _method(response)), None)
    if operation is None:
        assert 405 == response.status_code, (
            f"{path} does not take the method, but answers {response.status_code}"
        )
        methods = {each.method for each in operations if each.path == operations[0].path}
        # HEAD stands beside GET (RFC 9110, section 9.3.2).
        allowed = sorted(methods | ({"HEAD"} if "GET" in methods else set()))
        assert ", ".join(allowed) == response.headers["Allow"]
    _check_answer(response, operation or operations[0])


def _method(response: httpx.Response) -> str:
    return "GET" if response.request.method == "HEAD" else response.request.method


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", path))))


def _check_answer(response: httpx.Response, operation: Operation) -> None:
    declared = (
        Place("/paths", contract().document["paths"])
        / operation.path
        / operation.method.lower()
        / "responses"
    )
    status = str(response.status_code)
    assert status in declared.node, f"{operation.id} does not declare the status {status}"
    answer = contract().follow(declared / status)
    _check_headers(response, answer)
    if "content" in answer.node:
        _check_json(response, (answer / "content" / "application/json" / "schema").pointer)
    else:
        assert b"" == response.content
        assert "Content-Type" not in response.headers


def _check_headers(response: httpx.Response, answer: Place) -> None:
    declared = {name.lower(): name for name in answer.node.get("headers", {})}
    undeclared = (_declared_anywhere() - declared.keys()) & response.headers.keys()
    assert not undeclared, f"{undeclared} is not declared for {response.status_code}"
    missing = declared.keys() - response.headers.keys() - OPTIONAL_HEADERS
    assert not missing, f"{missing} is missing from {response.status_code}"
    for name in declared.keys() & response.headers.keys():
        header = contract().follow(answer / "headers" / declared[name])
        text = response.headers[name]
        _validator(f"{header.pointer}/schema").validate(
            int(text) if contract().follow(header / "schema").node["type"] == "integer" else text
        )


@cache
def _declared_anywhere() -> frozenset[str]:
    """The names of all headers that the contract declares for some answer: each has a meaning where it stands."""
    operations = contract().operations.values()
    responses = [response for operation in operations for response in operation.responses.values()]
    return frozenset(name.lower() for response in responses for name in response.node.get("headers", {}))


def _check_json(response: httpx.Response, schema: str) -> None:
    assert "application/json" == response.headers["Content-Type"]
    if response.request.method == "HEAD":
        assert b"" == response.content
        return
    assert str(len(response.content)) == response.headers["Content-Length"]
    _validator(schema).validate(json.loads(response.content))


@cache
def _validator(pointer: str) -> jsonschema_rs.Draft202012Validator:
    return contract().schemas.validator(pointer)
