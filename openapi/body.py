"""The request body: read within its limit, of the right media type, strict JSON, valid by its schema."""

from collections.abc import Sequence
from copy import deepcopy
from email.message import Message
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from openapi import strict_json
from openapi.contract import Contract, Place
from openapi.errors import BadRequest, ContentTooLarge, UnsupportedMediaType
from openapi.sentences import sentence

_NAME = "The request body"


class BodyReader:
    """Reads the JSON body of one operation; the validator is compiled when it is made.

    Args:
        body: the operation's request body object, with the media type `application/json`.
    """

    def __init__(self, contract: Contract, body: Place) -> None:
        media_type = next(iter(body.node["content"]))
        self._contract = contract
        self._media_type = media_type.encode()
        self._schema = body / "content" / media_type / "schema"
        self._validator = contract.validator(self._schema)
        self._required: bool = body.node.get("required", False)
        self._max_bytes = contract.max_body_bytes
        schema = contract.follow(self._schema).node
        self._default: Any = schema.get("default")
        self._member_defaults = {
            name: declared["default"]
            for name, declared in schema.get("properties", {}).items()
            if isinstance(declared, dict) and "default" in declared
        }

    async def receive(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body as it was sent, `b""` where there is none.

        Raises:
            ContentTooLarge: as soon as more bytes are announced or sent than the contract allows.
            UnsupportedMediaType: for a body of another type, charset or encoding.
        """
        content_types, encodings = [], []
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > self._max_bytes:
                raise ContentTooLarge
            if name == b"content-type":
                content_types.append(value)
            elif name == b"content-encoding":
                encodings.append(value)
        content = await self._receive_all(receive)
        if content and (encodings not in ([], [b"identity"]) or not self._accepts(content_types)):
            raise UnsupportedMediaType
        return content

    async def _receive_all(self, receive: Receive) -> bytes:
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

    def _accepts(self, content_types: Sequence[bytes]) -> bool:
        if len(content_types) != 1:
            return False
        if content_types[0] == self._media_type:
            return True
        header = Message()
        header["content-type"] = content_types[0].decode("latin-1")
        charset = str(header.get_param("charset", "utf-8")).lower()
        return header.get_content_type() == self._media_type.decode() and charset in ("utf-8", "utf8")

    def parse(self, content: bytes) -> Any:
        """The valid value with the contract's defaults filled in; of no body, the schema's own default.

        Raises:
            BadRequest: with the contract's sentence for the rule that the body breaks.
        """
        if not content:
            if self._required:
                raise BadRequest(f"{_NAME} is required, as {self._media_type.decode()}")
            value = deepcopy(self._default)
        else:
            value = self._parse(content)
        if self._member_defaults and isinstance(value, dict):
            return {**self._member_defaults, **value}
        return value

    def _parse(self, content: bytes) -> Any:
        try:
            value = strict_json.loads(content)
        except strict_json.JSONError as error:
            raise BadRequest(str(error)) from None
        if not self._validator.is_valid(value):
            errors = self._validator.iter_errors(value)
            raise BadRequest(sentence(self._contract.document, self._schema, _NAME, errors))
        return value
