"""The request body: received within its limit, of a media type that the operation takes, read by that type."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import ContractError, Place, pointer_to
from openapi.bridge.failures import (
    BadRequest,
    ContentTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
    Violation,
)
from openapi.bridge.media_types import MediaType, read_media_type
from openapi.bridge.request.contents import ContentReader, Defaults, content_kind, content_readers
from openapi.bridge.request.sentences import BODY

# The server puts this into a request's `state` (ASGI's lifespan state) when it has waited for it long enough.
TOOK_TOO_LONG = "took_too_long"

# What a body is whose sender does not say (RFC 9110, section 8.3).
_UNNAMED = b"application/octet-stream"
# A list may have empty members (RFC 9110, section 5.6.1).
_NO_CODING = {b"", b"identity"}


class ReceivedBody(NamedTuple):
    """A body as it was sent and what reads it."""

    content: bytes
    media_type: MediaType
    reader: ContentReader


class BodyReader:
    """Reads the body of one operation; all that can be is compiled when it is made.

    Args:
        body: the operation's request body object.

    Raises:
        ContractError: for a key of its `content` that is no media type or range.
    """

    def __init__(self, contract: Contract, body: Place) -> None:
        self._media_types = ", ".join(body.node["content"])
        self._required: bool = body.node.get("required", False)
        self._max_bytes = contract.max_body_bytes
        self._ranges: list[tuple[MediaType, dict[str, ContentReader]]] = []
        # Most clients write the media type as the contract does, which then needs no reading.
        self._literal: dict[bytes, ReceivedBody] = {}
        for key in body.node["content"]:
            place = body / "content" / key
            media_range = read_media_type(key)
            if media_range is None:
                raise ContractError(f"#{place.pointer}: it is no media type (RFC 9110, section 8.3.1)")
            readers = content_readers(contract, place, media_range)
            self._ranges.append((media_range, readers))
            if "*" not in key:
                self._literal[key.encode()] = ReceivedBody(b"", media_range, *readers.values())
        # The most specific range that covers a media type decides.
        self._ranges.sort(key=lambda each: each[0].specificity, reverse=True)
        first = pointer_to(body.pointer, "content", next(iter(body.node["content"]), ""), "schema")
        self._defaults = Defaults(contract.requests.at(first))

    async def receive(self, scope: Scope, receive: Receive) -> ReceivedBody | None:
        """The whole body as it was sent, None where there is none.

        Raises:
            RequestTimeout: if the server has given up waiting for the rest of it.
            ContentTooLarge: as soon as more bytes are announced or sent than the contract allows.
            UnsupportedMediaType: for a body of another type, charset or encoding.
        """
        content_types: list[bytes] = []
        codings: set[bytes] = set()
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > self._max_bytes:
                raise ContentTooLarge
            if name == b"content-type":
                content_types.append(value)
            elif name == b"content-encoding":
                codings.update(coding.strip(b" \t").lower() for coding in value.split(b","))
        content = await self._receive_all(scope, receive)
        if not content and not content_types:
            return None
        is_encoded = not codings <= _NO_CODING
        choice = None if is_encoded else self._choose(content_types or [_UNNAMED])
        if not content:
            return choice if choice and choice.reader.takes_empty else None
        if choice is None:
            raise UnsupportedMediaType(self._media_types, scope.get("method", ""), is_encoded=is_encoded)
        return ReceivedBody(content, choice.media_type, choice.reader)

    async def _receive_all(self, scope: Scope, receive: Receive) -> bytes:
        chunks = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_bytes:
                raise ContentTooLarge
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)
            if TOOK_TOO_LONG in scope.get("state", ()):
                raise RequestTimeout

    def _choose(self, content_types: Sequence[bytes]) -> ReceivedBody | None:
        """What reads a body of the one media type that is named, None where nothing does."""
        if len(content_types) != 1:
            return None
        if (literal := self._literal.get(content_types[0])) is not None:
            return literal
        media_type = read_media_type(content_types[0].decode("latin-1"))
        if media_type is None or "*" in media_type[:2]:
            return None
        for media_range, readers in self._ranges:
            if media_range.covers(media_type):
                reader = readers.get(content_kind(media_type)) or next(iter(readers.values()))
                accepted = reader.charsets is None or media_type.charset in reader.charsets
                return ReceivedBody(b"", media_type, reader) if accepted else None
        return None

    def parse(self, received: ReceivedBody | None) -> Any:
        """The valid value with the contract's defaults filled in; of no body, the schema's own default.

        Raises:
            BadRequest: with the contract's sentence for the rule that the body breaks.
        """
        if received is not None:
            return received.reader.read(received.content, received.media_type)
        if self._required:
            sentence = f"{BODY} is required, as {self._media_types}"
            raise BadRequest(sentence, [Violation(sentence, "required", pointer="")])
        return self._defaults.of_nothing()
