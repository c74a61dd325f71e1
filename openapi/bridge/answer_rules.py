"""What the contract says of an operation's answers: `writeOnly` members are left out, all else can be checked."""

import logging
from collections.abc import Set
from typing import Any, NamedTuple

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openapi.bridge.answers import AnswerWriter, WrittenAnswer
from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import Place, pointer_to
from openapi.bridge.document.schemas import Schema, Validator, members_of
from openapi.bridge.failures import BadRequest, InternalError
from openapi.bridge.media_types import MediaType, is_token, read_media_type
from openapi.bridge.request.styles import ABSENT, StyleReader

log = logging.getLogger(__name__)

# What is said of a message by whoever writes or forwards it (RFC 9110, sections 6.6, 7.6.1, 8.3, 8.4 and 8.6; RFC 9112,
# section 6.1).
_OF_THE_MESSAGE = {
    *("connection", "content-encoding", "content-length", "content-type", "date", "keep-alive"),
    *("trailer", "transfer-encoding", "upgrade"),
}


def is_left_out(name: str, added: Set[str] = frozenset()) -> bool:
    """Whether a declared header is not for the answer to have, or none that a message can have.

    Args:
        added: the names of headers that are left to others, in small letters.
    """
    return name.lower() in _OF_THE_MESSAGE | added or not is_token(name)


class _Content(NamedTuple):
    media_range: MediaType
    schema: Schema
    validator: Validator


class _Response:
    """One response object of an operation."""

    def __init__(self, contract: Contract, place: Place, added: Set[str]) -> None:
        answers = contract.answers
        self.contents = []
        for key in place.node.get("content", {}):
            pointer = pointer_to(place.pointer, "content", key, "schema")
            if (media_range := read_media_type(key)) is not None:
                content = _Content(media_range, answers.at(pointer), answers.validator(pointer))
                self.contents.append(content)
        self.contents.sort(key=lambda each: each.media_range.specificity, reverse=True)
        self.headers = []
        """What reads each header, its schema, and whether it is required."""
        for name in place.node.get("headers", {}):
            header = contract.follow(place / "headers" / name)
            if not is_left_out(name, added) and "schema" in header.node:
                schema = answers.at(f"{header.pointer}/schema")
                rules = {**header.node, "name": name, "in": "header", "x-list": True}
                self.headers.append((StyleReader(rules, schema), schema, header.node.get("required", False)))

    def content_of(self, media_type: str) -> _Content | None:
        """The most specific content that covers a media type."""
        read = read_media_type(media_type)
        return next((each for each in self.contents if read and each.media_range.covers(read)), None)


class AnswerRules:
    """The rules of one operation's answers.

    Args:
        added: as `is_left_out` has them.
    """

    def __init__(self, contract: Contract, operation: Operation, added: Set[str] = frozenset()) -> None:
        self._responses = {
            place.pointer: _Response(contract, place, added) for place in operation.responses.values()
        }
        self._place_of = operation.response

    def _response(self, status: int) -> _Response | None:
        place = self._place_of(status)
        return self._responses[place.pointer] if place else None

    def visible(self, status: int, body: Any, media_type: str) -> Any:
        """`body` without the members that are `writeOnly` (OpenAPI 3.1, "Fixed Fields" of the Schema Object)."""
        response = self._response(status)
        content = response and response.content_of(media_type)
        return visible_part(body, content.schema) if content else body

    def check(self, answer: WrittenAnswer, *, is_head: bool = False) -> None:
        """Returns if the contract has this answer.

        Args:
            is_head: whether its body is left out.

        Raises:
            InternalError: with what is wrong, by names and rules and not by values.
        """
        response = self._response(answer.status)
        if response is None:
            raise InternalError(f"the status {answer.status} is not in the contract")
        fields: dict[str, list[str]] = {}
        for name, value in answer.fields:
            fields.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        for reader, schema, is_required in response.headers:
            try:
                value = reader.read(fields)
            except BadRequest as error:
                raise InternalError(f"the header {reader.name} cannot be read: {error.reason}") from None
            if value is ABSENT:
                if is_required:
                    raise InternalError(f"the header {reader.name} is required")
            elif not schema.is_valid(value):
                raise InternalError(f"the header {reader.name} breaks its schema")
        if not is_head and (answer.content or response.contents):
            _check_body(response, fields.get("content-type", [""])[0], answer.content)


def _check_body(response: _Response, media_type: str, content: bytes) -> None:
    found = response.content_of(media_type)
    if found is None:
        raise InternalError(f"the contract has no body of the media type {media_type!r} for this status")
    read = read_media_type(media_type)
    if read is not None and read.is_json:
        for error in found.validator.iter_errors(orjson.loads(content)):
            rule = pointer_to("", *error.evaluation_path[1:])
            place = pointer_to("", *error.instance_path)
            raise InternalError(f"the body at {place!r} breaks the rule {rule}")


class AnswerValidation:
    """An ASGI layer for tests: an answer that the contract does not have becomes a fault (500), refusals included.

    Args:
        app: serves the contract with `ContractService`.
        added: the names of the headers that the server adds outside of `app`, in small letters.
    """

    def __init__(self, app: ASGIApp, contract: Contract, added: Set[str] = frozenset()) -> None:
        self._app = app
        self._writer = AnswerWriter(contract)
        self._rules = {name: AnswerRules(contract, each, added) for name, each in contract.operations.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep if scope["type"] == "http" else send)
        if messages and "operation" in scope:
            start, content = messages[0], b"".join(message.get("body", b"") for message in messages[1:])
            answer = WrittenAnswer(start["status"], list(start["headers"]), content)
            try:
                self._rules[scope["operation"].id].check(answer, is_head=scope["method"] == "HEAD")
            except InternalError as error:
                log.error("an answer is not in the contract: %s", error.reason)
                await self._writer.refuse(error).send(send)
                return
        for message in messages:
            await send(message)


def visible_part(value: Any, schema: Schema) -> Any:
    """`value` without what the schema of an answer has as `writeOnly`."""
    if isinstance(value, list | tuple):
        items = schema.find("items")
        return [visible_part(item, items) for item in value]
    if not isinstance(value, dict):
        return value
    members, others = members_of(schema.layers()), [schema.find("additionalProperties")]
    kept = {}
    for name, member in value.items():
        declared = members.get(name, others)
        if not any(each.is_marked("writeOnly") for each in declared):
            kept[name] = visible_part(member, declared[0])
    return kept
