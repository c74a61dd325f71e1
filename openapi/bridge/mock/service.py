"""A contract served without handlers and without a database, for those who build and test clients."""

import json
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from starlette.types import Receive, Scope, Send

from openapi.bridge.answers import Answer, AnswerWriter, WrittenAnswer
from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import Json, copy_of
from openapi.bridge.failures import BadRequest, Failure, PathNotFound, Unauthorized
from openapi.bridge.mock.answers import ExampleAnswers, NoExample, Wish, wish_of
from openapi.bridge.operation import Handler
from openapi.bridge.service import ContractService

_WISH: ContextVar[Wish] = ContextVar("wish")
# Where the contract's own error schema takes a sentence.
_SENTENCE_MEMBERS = ("error", "message", "detail", "title", "description", "reason")


class MockService:
    """An ASGI application that answers every operation of a contract, with whatever credentials it asks for.

    An `x-owner` is not compared with the credentials, since those are not read. The paths are served below the path
    of each server that the contract names, and also by themselves. `/openapi.yaml` and `/openapi.json` publish the
    contract.

    Raises:
        ContractError: for a contract that cannot be served.
    """

    def __init__(self, contract: Contract) -> None:
        self._published = {
            "/openapi.yaml": (contract.text.encode(), "application/yaml"),
            "/openapi.json": (json.dumps(contract.document, ensure_ascii=False).encode(), "application/json"),
        }
        contract = Contract(json.dumps(_without_owners(contract.document)))
        self.operations = contract.operations
        self._bases = sorted({operation.base for operation in contract.operations.values()})
        self._answers = ExampleAnswers(contract)
        self._writer = _MockWriter(contract, self._answers)
        self._service = ContractService(
            contract, self._handler, lambda _claims: None, _verifiers(contract), self._beyond, self._writer
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            _WISH.set(wish_of(headers))
        await self._service(scope, receive, send)

    def _handler(self, operation_id: str) -> Handler:
        operation = self.operations[operation_id]

        async def answer(_caller: object, **_arguments: object) -> Answer[Any]:
            return self._answers.answer(operation, _WISH.get())

        return answer

    async def _beyond(self, scope: Scope, receive: Receive, send: Send) -> None:
        others = scope.setdefault("mock_paths", list(self._other_paths(scope)))
        if others:
            path, raw_path = others[0]
            await self._service(
                {**scope, "path": path, "raw_path": raw_path, "mock_paths": others[1:]}, receive, send
            )
        elif scope["path"] in self._published and scope["method"] in ("GET", "HEAD"):
            content, media_type = self._published[scope["path"]]
            await self._writer.write(200, content, media_type=media_type).send(send)
        else:
            raise PathNotFound

    def _other_paths(self, scope: Scope) -> Iterator[tuple[str, bytes]]:
        """The same path below each server's, for those who leave the server's path out."""
        if scope["path"] not in self._published:
            yield from (
                (base + scope["path"], base.encode() + scope["raw_path"]) for base in self._bases if base
            )


def _without_owners(document: Json) -> Json:
    def cleaned(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: cleaned(value) for key, value in node.items() if key != "x-owner"}
        return [cleaned(item) for item in node] if isinstance(node, list) else node

    made: Json = cleaned(copy_of(document))
    return made


def _verifiers(contract: Contract) -> dict[str, Any]:
    """What takes any credentials of a scheme's form, and grants every scope."""
    schemes = contract.document.get("components", {}).get("securitySchemes", {})
    granted = sorted(
        {
            scope
            for operation in contract.operations.values()
            for requirement in operation.security
            for scopes in requirement.values()
            for scope in scopes
        }
    )

    def verify(*credentials: str) -> Mapping[str, Any]:
        if not all(credentials):
            raise Unauthorized("the credentials are empty")
        return {"sub": "mock", "scope": granted}

    return dict.fromkeys(schemes, verify)


class _MockWriter(AnswerWriter):
    """Refuses as the contract says: with the response that the operation declares, and a body that this allows."""

    def __init__(self, contract: Contract, answers: ExampleAnswers) -> None:
        super().__init__(contract)
        self._answers = answers
        self._contract = contract

    def refuse(
        self, failure: Failure, accept: bytes = b"", operation: Operation | None = None
    ) -> WrittenAnswer:
        """The refusal, with another status where the operation declares 422 but not 400."""
        if operation is not None and not isinstance(failure, NoExample):
            _, sentence, headers = self._contract.refusal(failure)
            statuses = (400, 422) if isinstance(failure, BadRequest) else (failure.status_code,)
            declared = operation.place.node.get("responses", {})
            exact = [status for status in statuses if str(status) in declared]
            for status in (*exact, *statuses):
                response = self._answers.response(operation, status)
                if response is None:
                    continue
                content = response.node.get("content", {})
                if "application/json" in content and self._answers.is_valid(
                    response / "content" / "application/json", {"error": sentence}
                ):
                    break
                try:
                    return self._declared(operation, status, sentence, headers)
                except NoExample:
                    break
            else:
                status = statuses[0]
            return self.write(status, {"error": sentence}, headers)
        return super().refuse(failure, accept)

    def _declared(
        self, operation: Operation, status: int, sentence: str, headers: Mapping[str, str]
    ) -> WrittenAnswer:
        answer = self._answers.answer(operation, Wish(code=status))
        body = answer.body
        response = self._answers.response(operation, status)
        if isinstance(body, dict) and response is not None:
            for name in _SENTENCE_MEMBERS:
                said = {**body, name: sentence}
                media_types = response.node["content"]
                media_type = response / "content" / next(iter(media_types))
                if isinstance(body.get(name), str) and self._answers.is_valid(media_type, said):
                    body = said
                    break
        return self.write(status, body, {**answer.headers, **headers}, answer.media_type)
