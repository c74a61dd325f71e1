"""What a handler answers, and the one writer of every answer: its body, its media type and its headers."""

import json
from collections.abc import Callable, Mapping
from http.client import responses as phrases
from itertools import islice
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

import orjson
from starlette.types import Send

from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.error_bodies import PROBLEM, ErrorBodies
from openapi.bridge.failures import BadRequest, Failure, Refusal
from openapi.bridge.media_types import JSON, accepted, read_media_type

Body = TypeVar("Body", covariant=True)

MAX_VIOLATIONS = 50

# A line break at the end, which JSON allows (RFC 8259, section 2), keeps a shell's prompt on a line of its own.
_JSON = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def as_json(value: Any) -> bytes:
    """The JSON that a body is sent as: times without a zone are UTC and end in `Z` (RFC 3339), and a line break ends
    it."""
    try:
        return orjson.dumps(value, option=_JSON)
    except TypeError:
        # It may hold an integer of more than 64 bits; what is no JSON at all is a TypeError here too.
        return json.dumps(value, ensure_ascii=False, default=_plain).encode() + b"\n"


def _plain(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value, option=_JSON))


class Answer(NamedTuple, Generic[Body]):
    """A body, headers by name, a status and a media type.

    Where they are not given, the status is the operation's 2xx of the contract, and the media type the first of JSON
    that it declares, or else the first. A body of None is no body at all (204, 304); one of bytes is sent as it is, and
    so is a text that is not JSON, in UTF-8.

    Args:
        others: what makes the body in other media types, for clients whose `Accept` prefers one.
    """

    body: Body
    headers: Mapping[str, str] = _NOTHING
    status: int | None = None
    media_type: str | None = None
    others: Mapping[str, Callable[[], object]] = _NOTHING


class WrittenAnswer(NamedTuple):
    """An answer as it goes over the wire: status, header fields with lower-case names, and the whole body."""

    status: int
    fields: list[tuple[bytes, bytes]]
    content: bytes

    async def send(self, send: Send) -> None:
        """Sends it to an ASGI server."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.fields})
        await send({"type": "http.response.body", "body": self.content})


class AnswerWriter:
    """Writes the answers of a contract's service; what every answer carries (`x-headers`) is on each that has no header
    of that name itself."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._bodies = ErrorBodies(contract)
        self._always = {name.lower().encode(): value.encode() for name, value in contract.headers.items()}
        self._types: str | None = contract.document.get("x-problem-types")

    def write(
        self,
        status: int,
        body: object,
        headers: Mapping[str, str] = _NOTHING,
        media_type: str = JSON,
        *,
        is_head: bool = False,
    ) -> WrittenAnswer:
        """One whole answer, with a body as `Answer` has it.

        Args:
            is_head: whether nobody will see the body. It is not built then, and its length, which is known only by
                building it, is left out (RFC 9110, section 9.3.2).
        """
        own = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in headers.items()}
        fields = list((self._always | own).items())
        if body is None:
            return WrittenAnswer(status, fields, b"")
        fields.append((b"content-type", media_type.encode("latin-1")))
        if isinstance(body, str) and not ((read := read_media_type(media_type)) and read.is_json):
            body = body.encode()
        if is_head and not isinstance(body, bytes):
            return WrittenAnswer(status, fields, b"")
        content = body if isinstance(body, bytes) else as_json(body)
        fields.append((b"content-length", b"%d" % len(content)))
        return WrittenAnswer(status, fields, content)

    def refuse(
        self, failure: Failure, accept: bytes = b"", operation: Operation | None = None
    ) -> WrittenAnswer:
        """The refusal that answers a failure, in the contract's form for errors, or by RFC 9457 for who asks for that.

        Args:
            accept: the value of the request's `Accept`.
            operation: the one that was asked for, as far as it is known.
        """
        refusal = self._contract.refusal(failure)
        declared = operation.responses if operation else {}
        if refusal.status == 400 and "400" not in declared and "422" in declared:
            refusal = refusal._replace(status=422)  # Some contracts have that number for what breaks a rule.
        # Most clients do not name it, and to look is cheaper than to read.
        is_named = b"problem+json" in accept.lower()
        if is_named and any(each.name == PROBLEM for each in accepted(accept.decode("latin-1"))):
            return self.write(refusal.status, self._problem(failure, refusal), refusal.headers, PROBLEM)
        media_type, body = self._bodies.body(refusal, operation, lambda: self._problem(failure, refusal))
        return self.write(refusal.status, body, refusal.headers, media_type)

    def _problem(self, failure: Failure, refusal: Refusal) -> dict[str, Any]:
        """The members of RFC 9457, section 3.1; `errors` holds all violations (section 3.2)."""
        status, sentence, _, name = refusal
        problem: dict[str, Any] = {
            "type": "about:blank" if self._types is None else self._types + name,
            "title": phrases.get(status, "") if self._types is None else name.replace("-", " ").capitalize(),
            "status": status,
            "detail": sentence,
        }
        if isinstance(failure, BadRequest):
            problem["errors"] = [
                {
                    **({} if each.pointer is None else {"pointer": each.pointer}),
                    **({} if each.parameter is None else {"parameter": each.parameter}),
                    "code": each.code,
                    "detail": each.sentence,
                }
                for each in islice(failure.violations(), MAX_VIOLATIONS)
            ]
        return problem
