"""Cross-origin requests of the front ends that CORS_ORIGINS names; methods and headers come from the contract."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from openapi.bridge.answers import AnswerWriter
from openapi.bridge.contract import Contract
from openapi.bridge.failures import BadRequest
from openapi.contract import contract
from server.telemetry.observe import REQUEST_ID

# What a request may bring whatever its operation; the rest are the operations' parameters.
OF_EVERY_REQUEST = ("Authorization", "Content-Type", "Traceparent", "Tracestate", REQUEST_ID)


class EnvelopedCORS(CORSMiddleware):
    """Starlette's CORS, with the contract's error envelope where a preflight is refused."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            response.headers.update(contract().headers)
            return response
        sentence = (
            f"{bytes(response.body).decode()}: CORS_ORIGINS names the origins that may call this API, "
            "and /openapi.yaml the methods and headers"
        )
        accept = request_headers.get("accept", "").encode("latin-1")
        answer = AnswerWriter(contract()).refuse(BadRequest(sentence), accept)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.fields}
        return Response(answer.content, answer.status, {**self.preflight_headers, **headers})


def cors_middleware(contract: Contract, origins: Sequence[str]) -> list[Any]:
    """The middleware in a list, which is empty where no origin may call."""
    if not origins:
        return []
    operations = contract.operations.values()
    parameters = [place.node for operation in operations for place in operation.parameters]
    responses = [response for operation in operations for response in operation.responses.values()]
    return [
        partial(
            EnvelopedCORS,
            allow_origins=origins,
            allow_methods=sorted({"HEAD", *(operation.method for operation in operations)}),
            allow_headers=sorted(
                {*OF_EVERY_REQUEST, *(p["name"] for p in parameters if p["in"] == "header")}
            ),
            expose_headers=sorted(
                # The browser itself reads what CORS answers.
                {name for response in responses for name in response.get("headers", {})}
                - {"Access-Control-Allow-Origin"}
            ),
            # Tokens travel in a header that the front end sets itself, so cookies have no part in it.
            allow_credentials=False,
            max_age=600,
        )
    ]
