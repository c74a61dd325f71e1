"""The request body: read within its limit, of the right media type, strict JSON, valid by its schema."""

from collections.abc import Sequence
from email.message import Message
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import Place, copy_of
from openapi.bridge.document.schemas import Schema, json_schema_in
from openapi.bridge.failures import BadRequest, ContentTooLarge, RequestTimeout, UnsupportedMediaType
from openapi.bridge.request import strict_json
from openapi.bridge.request.sentences import SpeakingValidator

_NAME = "The request body"

# The server puts this into a request's `state` (ASGI's lifespan state) when it has waited for it long enough.
TOOK_TOO_LONG = "took_too_long"


class BodyReader:
    """Reads the JSON body of one operation; the validator is compiled when it is made.

    Args:
        body: the operation's request body object.

    Raises:
        ContractError: for a body that is not JSON, or where the contract sets it no limit.
    """

    def __init__(self, contract: Contract, body: Place) -> None:
        place = json_schema_in(body)
        schema = contract.schema_at(place)
        self._media_type = next(iter(body.node["content"])).lower().encode()
        self._validator = SpeakingValidator(contract, place, _NAME)
        self._required: bool = body.node.get("required", False)
        self._max_bytes = contract.max_body_bytes
        self._default = next(iter(schema.defaults()), None)
        self._member_defaults = _member_defaults(schema)

    async def receive(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body as it was sent, `b""` where there is none.

        Raises:
            RequestTimeout: if the server has given up waiting for the rest of it.
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
        content = await self._receive_all(scope, receive)
        if content and (encodings not in ([], [b"identity"]) or not self._accepts(content_types)):
            raise UnsupportedMediaType(self._media_type.decode())
        return content

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
        if content:
            value = self._parse(content)
        elif self._required:
            raise BadRequest(f"{_NAME} is required, as {self._media_type.decode()}")
        else:
            value = copy_of(self._default)
        if self._member_defaults and isinstance(value, dict):
            return {**copy_of(self._member_defaults), **value}
        return value

    def _parse(self, content: bytes) -> Any:
        try:
            value = strict_json.loads(content)
        except strict_json.JSONError as error:
            raise BadRequest(str(error)) from None
        self._validator.check(value, len(content))
        return value


def _member_defaults(schema: Schema) -> dict[str, Any]:
    """The defaults of an object's members by name; where several layers name a member, the outermost decides."""
    defaults: dict[str, Any] = {}
    for layer in schema.layers():
        for name in layer.node.get("properties", {}):
            member = layer.below("properties", name)
            for default in member.defaults()[:1]:
                defaults.setdefault(name, default)
    return defaults
