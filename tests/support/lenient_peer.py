"""An ASGI application that refuses nothing: what the benchmarks' check is there to find."""

from collections.abc import Awaitable, Callable
from typing import Any


async def app(scope: Any, _receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
    """Answers everything with 200 and an empty list."""
    assert "http" == scope["type"]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"[]"})
