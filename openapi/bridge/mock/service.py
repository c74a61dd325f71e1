"""A contract served without handlers and without a database, for those who build and test clients."""

import json
from collections.abc import Mapping, Set
from contextvars import ContextVar
from functools import cache
from typing import Any

from starlette.types import Receive, Scope, Send

from openapi.bridge.answer_rules import AnswerRules
from openapi.bridge.answers import Answer, AnswerWriter, WrittenAnswer
from openapi.bridge.contract import Contract
from openapi.bridge.document.grammar import parts
from openapi.bridge.document.operations import Operation, base_path
from openapi.bridge.document.places import copy_of
from openapi.bridge.failures import Failure, InternalError, PathNotFound, Unauthorized
from openapi.bridge.media_types import JSON
from openapi.bridge.mock.answers import ExampleAnswers, Wish, wish_of
from openapi.bridge.mock.generate import NoExample
from openapi.bridge.operation import Handler
from openapi.bridge.service import ContractService

_WISH: ContextVar[Wish] = ContextVar("wish")


class MockService:
    """An ASGI application that answers every operation of a contract, with whatever credentials it asks for.

    An `x-owner` is not compared with the credentials, since those are not read. The paths are served below the path
    of each server that the contract names, and also by themselves. `/openapi.yaml` and `/openapi.json` publish the
    contract.

    Args:
        added: the names of the headers that the server adds to each answer, in small letters.

    Raises:
        ContractError: for a contract that cannot be served.
    """

    def __init__(self, contract: Contract, added: Set[str] = frozenset()) -> None:
        self._published = {
            "/openapi.yaml": (contract.text.encode(), "application/yaml"),
            "/openapi.json": (
                json.dumps(contract.published, ensure_ascii=False).encode(),
                "application/json",
            ),
        }
        if any(operation.owner for operation in contract.operations.values()):
            without = copy_of(contract.published)
            for kind, place in parts(without):
                if kind == "parameters":
                    place.node.pop("x-owner", None)
            contract = Contract(json.dumps(without))
        self.contract = contract
        servers = (place for kind, place in parts(contract.document) if kind == "servers")
        self._bases = sorted({"", *map(base_path, servers)})
        self._answers = ExampleAnswers(contract, added)
        self.writer = _MockWriter(contract, self._answers, added)
        self._service = ContractService(
            contract, self._handler, lambda _claims: None, _verifiers(contract), self._beyond, self.writer
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _WISH.set(wish_of(scope))
        path, raw_path = self._meant(scope["path"], scope["raw_path"], scope["method"])
        await self._service({**scope, "path": path, "raw_path": raw_path}, receive, send)

    def _meant(self, path: str, raw_path: bytes, method: str) -> tuple[str, bytes]:
        """The path as it was sent, or the one below another server if only that has an operation of this method."""

        def fit(way: tuple[str, bytes]) -> int:
            found, _ = self._service.find(way[0])
            if found is None:
                return 2 if way[0] in self._published else 0
            return 2 if method in found.operations else 1

        ways = [
            (base + path[len(own) :], base.encode() + raw_path[len(own) :])
            for own in self._bases
            if path.startswith(f"{own}/") and raw_path.startswith(own.encode())
            for base in self._bases
        ]
        return max([(path, raw_path), *ways], key=fit)

    def _handler(self, operation_id: str) -> Handler:
        operation = self.contract.operations[operation_id]

        async def answer(_caller: object, /, **_arguments: object) -> Answer[Any]:
            return self._answers.answer(operation, _WISH.get())

        return answer

    async def _beyond(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in self._published and scope["method"] in ("GET", "HEAD"):
            content, media_type = self._published[path]
            await self.writer.write(200, content, media_type=media_type).send(send)
            return
        raise PathNotFound


def _verifiers(contract: Contract) -> dict[str, Any]:
    """What takes any credentials of a scheme's form, and grants every scope."""
    schemes = contract.document.get("components", {}).get("securitySchemes", {})
    required = (each for operation in contract.operations.values() for each in operation.security)
    granted = sorted({scope for each in required for scopes in each.values() for scope in scopes})

    def verify(*credentials: str) -> Mapping[str, Any]:
        if not all(credentials):
            raise Unauthorized("the credentials are empty")
        return {"sub": "mock", "scope": granted}

    return dict.fromkeys(schemes, verify)


class _MockWriter(AnswerWriter):
    """Refuses with what the contract declares, headers that it requires included, or by its example."""

    def __init__(self, contract: Contract, answers: ExampleAnswers, added: Set[str]) -> None:
        super().__init__(contract)
        self._answers = answers
        # Made for an operation when it first refuses, since those of a large contract take half a minute.
        self._rules_of = cache(lambda name: AnswerRules(contract, contract.operations[name], added))

    def refuse(
        self, failure: Failure, accept: bytes = b"", operation: Operation | None = None
    ) -> WrittenAnswer:
        refused = super().refuse(failure, accept, operation)
        if operation is None or operation.response(refused.status) is None:
            return refused
        try:
            example = self._answers.answer(operation, Wish(code=refused.status))
        except NoExample:
            return refused
        declared = {name.lower().encode(): value.encode("latin-1") for name, value in example.headers.items()}
        given = {name for name, _ in refused.fields}
        missing = [each for each in declared.items() if each[0] not in given]
        refused = refused._replace(fields=[*refused.fields, *missing])
        try:
            self._rules_of(operation.id).check(refused)
        except InternalError:
            headers = {**example.headers, **failure.headers}
            return self.write(refused.status, example.body, headers, example.media_type or JSON)
        return refused
