"""Cross-origin requests of the front ends that CORS_ORIGINS names (the Fetch standard, section 3.3)."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from openapi.bridge.answers import AnswerWriter, WrittenAnswer
from openapi.bridge.contract import Contract
from openapi.bridge.failures import BadRequest
from openapi.bridge.media_types import is_token

MAX_AGE_SECONDS = 600
_ORIGINS_KEPT = 64

Fields = tuple[tuple[bytes, bytes], ...]


class CrossOrigin:
    """Which origins may call, and what browsers learn of it; methods and headers come from the contract.

    Tokens travel in a header that the front end sets itself, so an origin that may call may send any header, and
    cookies have no part in it.

    Args:
        origins: each as browsers send it, or with one `*` that stands for characters of the first label of its
            host, or `*` alone for every origin.
    """

    def __init__(self, contract: Contract, writer: AnswerWriter, origins: Sequence[str]) -> None:
        self._writer = writer
        self._any = "*" in origins
        self._patterns = [
            re.compile(re.escape(origin).replace(r"\*", "[a-z0-9_-]+"), re.ASCII) for origin in origins
        ]
        operations = contract.operations.values()
        self._methods = sorted({"HEAD", *(operation.method for operation in operations)})
        responses = [response for operation in operations for response in operation.responses.values()]
        # The browser itself reads what CORS answers.
        exposed = sorted(
            {name for response in responses for name in response.node.get("headers", {}) if is_token(name)}
            - {"Access-Control-Allow-Origin"}
        )
        self._exposed = ", ".join(exposed).encode("latin-1")
        self.fields = lru_cache(_ORIGINS_KEPT)(self._fields)

    def _fields(self, origin: bytes | None) -> Fields:
        """The headers of an answer to a request of this origin; None is one that names no origin."""
        exposed = (b"access-control-expose-headers", self._exposed)
        if self._any:
            return ((b"access-control-allow-origin", b"*"), exposed)
        vary = (b"vary", b"Origin")
        if origin is None or not self._allows(origin):
            return (vary,)
        return (vary, (b"access-control-allow-origin", origin), exposed)

    def _allows(self, origin: bytes) -> bool:
        text = origin.decode("latin-1")
        return self._any or any(pattern.fullmatch(text) for pattern in self._patterns)

    def preflight(self, method: str, headers: Mapping[bytes, bytes]) -> WrittenAnswer | None:
        """The answer to the question that a browser asks before it sends a request; None for any other request."""
        asked = headers.get(b"access-control-request-method")
        origin = headers.get(b"origin")
        if method != "OPTIONS" or origin is None or asked is None:
            return None
        wrong = [] if self._allows(origin) else ["origin"]
        if asked.decode("latin-1") not in self._methods:
            wrong.append("method")
        if wrong:
            return self._writer.refuse(
                BadRequest(
                    f"Disallowed CORS {', '.join(wrong)}: CORS_ORIGINS names the origins that may call this API, "
                    "and /openapi.yaml the methods and headers"
                ),
                headers.get(b"accept", b""),
            )
        return self._writer.write(
            200,
            None,
            {
                "Access-Control-Allow-Methods": ", ".join(self._methods),
                # What was asked for, since `*` does not stand for Authorization.
                "Access-Control-Allow-Headers": headers.get(b"access-control-request-headers", b"").decode(
                    "latin-1"
                ),
                "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
            },
        )
