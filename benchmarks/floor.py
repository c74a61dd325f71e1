"""What this API costs in Python at the least: bare ASGI, psycopg2 on the event loop, hand-written SQL that is prepared
once for each connection, orjson. Nothing here comes from a contract, nothing keeps users apart but the queries, and
nothing has a deadline; cursors, conditional requests and Idempotency-Keys are left out.
"""

import asyncio
import os
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any
from urllib.parse import parse_qsl

import jwt
import orjson
import psycopg2
from psycopg2.extensions import POLL_OK, POLL_WRITE

CONNECTIONS = 8
SECRET = os.environ["AUTH_JWT_SECRET"]
COLUMNS = (
    "id, user_id, title, description, status, priority, due_date, tags, "
    "timezone('UTC', created_at) AS created_at, timezone('UTC', updated_at) AS updated_at"
)
NAMES = (
    "id",
    "user_id",
    "title",
    "description",
    "status",
    "priority",
    "due_date",
    "tags",
    "created_at",
    "updated_at",
)
GIVEN = {"title", "description", "priority", "due_date", "tags"}
THIS = "WHERE user_id = %(user)s AND id = %(id)s AND deleted_at IS NULL"

LIST = f"SELECT {COLUMNS} FROM tasks WHERE user_id = %(user)s AND deleted_at IS NULL "  # noqa: S608
WITH_STATUS = "AND status = %(status)s "
WITH_TEXT = "AND (strpos(lower(title), lower(%(q)s)) > 0 OR strpos(lower(description), lower(%(q)s)) > 0) "
ORDERS = {
    "-created_at": "ORDER BY created_at DESC, id DESC LIMIT %(limit)s",
    "priority": "ORDER BY CASE priority WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END, id DESC LIMIT %(limit)s",
    "due_date": "ORDER BY due_date NULLS LAST, id DESC LIMIT %(limit)s",
    "-due_date": "ORDER BY due_date DESC NULLS LAST, id DESC LIMIT %(limit)s",
}
CREATE = (
    "WITH registered AS (INSERT INTO users (id) VALUES (%(user)s) ON CONFLICT DO NOTHING) "  # noqa: S608
    "INSERT INTO tasks (user_id, title, description, priority, due_date, tags) "
    f"VALUES (%(user)s, %(title)s, %(description)s, %(priority)s, %(due_date)s, %(tags)s) RETURNING {COLUMNS}"
)
GET = f"SELECT {COLUMNS} FROM tasks {THIS}"  # noqa: S608
UPDATE = f"UPDATE tasks SET {{changes}}, updated_at = now() {THIS} RETURNING {COLUMNS}"  # noqa: S608
COMPLETE = (
    f"UPDATE tasks SET status = %(status)s, "  # noqa: S608
    f"updated_at = CASE WHEN status = %(status)s THEN updated_at ELSE now() END {THIS} RETURNING {COLUMNS}"
)
DELETE = f"DELETE FROM tasks {THIS} RETURNING {COLUMNS}"  # noqa: S608

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

path_pattern = re.compile(r"/api/([^/]+)/tasks(?:/([^/]+)(/complete)?)?")
statements: dict[str, tuple[str, str]] = {}
idle: list["Connection"] = []
waiting: deque[asyncio.Future["Connection"]] = deque()
opened: list["Connection"] = []
known_tokens: dict[bytes, tuple[str, float]] = {}


class RefusedError(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        self.sentence = sentence


class Connection:
    """One connection, whose socket the event loop watches as long as it lives."""

    def __init__(self) -> None:
        self.prepared: set[str] = set()
        self._connection = psycopg2.connect(os.environ["DATABASE_URL"], async_=True)
        while self._connection.poll() != POLL_OK:
            time.sleep(0.001)
        self._cursor = self._connection.cursor()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._connection.fileno(), self._advance)

    async def run(self, text: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        self._answered: asyncio.Future[None] = self._loop.create_future()
        self._cursor.execute(text, parameters)
        self._advance()
        await self._answered
        return self._cursor.fetchall()  # type: ignore[no-any-return]

    def _advance(self) -> None:
        try:
            state = self._connection.poll()
        except psycopg2.Error as error:
            self._answered.set_exception(error)
            return
        if state == POLL_WRITE:
            self._loop.call_later(0.001, self._advance)
        elif state == POLL_OK and not self._answered.done():
            self._answered.set_result(None)


async def run(query: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    if idle:
        connection = idle.pop()
    elif len(opened) < CONNECTIONS:
        connection = Connection()
        opened.append(connection)
    else:
        future: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        waiting.append(future)
        connection = await future
    if query not in statements:
        names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", query)))
        numbered = query % {name: f"${number}" for number, name in enumerate(names, 1)}
        execute = f"EXECUTE s{len(statements)}({', '.join(f'%({name})s' for name in names)})"
        statements[query] = execute, f"PREPARE s{len(statements)} AS {numbered}; {execute}"
    execute, prepare = statements[query]
    text = execute if query in connection.prepared else prepare
    connection.prepared.add(query)
    try:
        return [
            with_etag(dict(zip(NAMES, row, strict=True))) for row in await connection.run(text, parameters)
        ]
    finally:
        if waiting:
            waiting.popleft().set_result(connection)
        else:
            idle.append(connection)


def with_etag(task: dict[str, Any]) -> dict[str, Any]:
    task["etag"] = f'"{task["updated_at"]}"'
    return task


def user_of(headers: list[tuple[bytes, bytes]]) -> str:
    value = next((value for name, value in headers if name == b"authorization"), b"")
    known = known_tokens.get(value)
    if known is not None and time.time() < known[1]:
        return known[0]
    try:
        if not value.startswith(b"Bearer "):
            raise RefusedError(401, "Unauthorized")
        claims = jwt.decode(value[7:], SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]})
    except jwt.PyJWTError:
        raise RefusedError(401, "Unauthorized") from None
    if len(known_tokens) < 4096:
        known_tokens[value] = claims["sub"], claims["exp"]
    return str(claims["sub"])


async def body_of(receive: Receive, allowed: set[str]) -> dict[str, Any]:
    message = await receive()
    content = message["body"]
    while message.get("more_body"):
        message = await receive()
        content += message["body"]
    try:
        body = orjson.loads(content) if content else {}
    except ValueError:
        raise RefusedError(400, "The request body must be valid JSON") from None
    if not isinstance(body, dict) or body.keys() - allowed:
        raise RefusedError(400, "The request body must be an object with known members only")
    if "title" in body:
        title = body["title"]
        if not isinstance(title, str) or len(title) > 255 or not title.strip() or "\0" in title:
            raise RefusedError(400, "title must be 1 to 255 characters and not blank")
    if (description := body.get("description")) is not None and (
        not isinstance(description, str) or len(description) > 5000 or "\0" in description
    ):
        raise RefusedError(400, "description must be up to 5000 characters or null")
    if "status" in body and body["status"] not in ("incomplete", "complete"):
        raise RefusedError(400, "status must be incomplete or complete")
    if "priority" in body and body["priority"] not in ("low", "medium", "high"):
        raise RefusedError(400, "priority must be low, medium or high")
    if not isinstance(tags := body.get("tags", []), list) or not all(isinstance(tag, str) for tag in tags):
        raise RefusedError(400, "tags must be a list of strings")
    if body.get("due_date") is not None and not is_date(body["due_date"]):
        raise RefusedError(400, "due_date must be a date or null")
    return body


def is_date(value: object) -> bool:
    try:
        return isinstance(value, str) and str(date.fromisoformat(value)) == value
    except ValueError:
        return False


def listing(query_string: bytes) -> tuple[str, dict[str, Any]]:
    given = dict(parse_qsl(query_string.decode(), keep_blank_values=True)) if query_string else {}
    limit = given.get("limit", "1000")
    if not limit.isdecimal() or not 1 <= int(limit) <= 1000:
        raise RefusedError(400, "limit must be from 1 to 1000")
    query = LIST
    if "status" in given:
        if given["status"] not in ("incomplete", "complete"):
            raise RefusedError(400, "status must be incomplete or complete")
        query += WITH_STATUS
    if "q" in given:
        if len(given["q"]) > 64 or "\0" in given["q"]:
            raise RefusedError(400, "q must be up to 64 characters")
        query += WITH_TEXT
    order = ORDERS.get(given.get("sort", "-created_at"))
    if order is None:
        raise RefusedError(400, "sort must be -created_at, priority, due_date or -due_date")
    return query + order, {**given, "limit": int(limit)}


async def statement(method: str, complete: bool, receive: Receive) -> tuple[str, dict[str, Any]]:
    if complete and method == "PATCH":
        return COMPLETE, {"status": "complete", **await body_of(receive, {"status"})}
    if not complete and method == "GET":
        return GET, {}
    if not complete and method == "PUT":
        body = await body_of(receive, GIVEN | {"status"})
        if not body:
            raise RefusedError(400, "At least one field must be provided")
        return UPDATE.format(changes=", ".join(f"{name} = %({name})s" for name in body)), body
    if not complete and method == "DELETE":
        return DELETE, {}
    raise RefusedError(405, "Method not allowed")


async def answer(scope: dict[str, Any], receive: Receive) -> tuple[int, Any, list[tuple[bytes, bytes]]]:
    match = path_pattern.fullmatch(scope["path"])
    if match is None:
        raise RefusedError(404, "Not found")
    user, number, complete = match.groups()
    if user_of(scope["headers"]) != user:
        raise RefusedError(403, "Forbidden")
    if number is None:
        if scope["method"] == "GET":
            query, parameters = listing(scope["query_string"])
            return 200, await run(query, {"user": user, **parameters}), []
        if scope["method"] != "POST":
            raise RefusedError(405, "Method not allowed")
        body = await body_of(receive, GIVEN)
        if "title" not in body:
            raise RefusedError(400, "Title is required")
        values = {
            "user": user,
            "description": None,
            "priority": "medium",
            "due_date": None,
            "tags": [],
            **body,
        }
        (task,) = await run(CREATE, values)
        return 201, task, [(b"location", f"/api/{user}/tasks/{task['id']}".encode())]
    if not number.isdecimal() or not 1 <= int(number) < 2**63:
        raise RefusedError(400, "Invalid task ID")
    query, parameters = await statement(scope["method"], complete is not None, receive)
    rows = await run(query, {"user": user, "id": int(number), **parameters})
    if not rows:
        raise RefusedError(404, "Task not found")
    return (204, None, []) if scope["method"] == "DELETE" else (200, rows[0], [])


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    try:
        status, value, headers = await answer(scope, receive)
    except RefusedError as error:
        status, value, headers = error.status, {"error": error.sentence}, []
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
    content = b"" if value is None else orjson.dumps(value, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)
    headers.append((b"content-type", b"application/json"))
    headers.append((b"content-length", b"%d" % len(content)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
