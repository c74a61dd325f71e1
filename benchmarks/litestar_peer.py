"""The same API on what is fastest in Python: Litestar, msgspec and hand-written SQL on asyncpg, one statement for each
request. Users are kept apart by the queries alone; cursors, conditional requests and Idempotency-Keys are left out,
which saves this peer work.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Annotated, Any, Literal

import asyncpg  # type: ignore[import-untyped]
import jwt
import msgspec
from litestar import Litestar, Request, Response, delete, get, patch, post, put
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import (
    HTTPException,
    NotAuthorizedException,
    NotFoundException,
    PermissionDeniedException,
    ValidationException,
)
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

CONNECTIONS = 16
SECRET = os.environ["AUTH_JWT_SECRET"]
COLUMNS = "id, user_id, title, description, status, priority, due_date, tags, created_at, updated_at"
THIS = "WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL"

Status = Literal["incomplete", "complete"]
Priority = Literal["low", "medium", "high"]
Sort = Literal["-created_at", "priority", "due_date", "-due_date"]
ORDERS = {
    "-created_at": "created_at DESC",
    "priority": "CASE priority WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END",
    "due_date": "due_date NULLS LAST",
    "-due_date": "due_date DESC NULLS LAST",
}
SEARCH = "AND (strpos(lower(title), lower($4)) > 0 OR strpos(lower(description), lower($4)) > 0)"
# At least one character that is no white space, and none that is U+0000.
Title = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\0]*[^\s\0][^\0]*\Z")]
Description = Annotated[str, Meta(max_length=5000, pattern=r"^[^\0]*\Z")]
TaskId = Annotated[int, Parameter(ge=1, le=2**63 - 1)]


class Task(msgspec.Struct):
    id: int
    user_id: str
    title: str
    description: str | None
    status: str
    priority: str
    due_date: date | None
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    etag: str


class TaskCreate(msgspec.Struct, forbid_unknown_fields=True):
    title: Title
    description: Description | None = None
    priority: Priority = "medium"
    due_date: date | None = None
    tags: list[str] = []


class TaskUpdate(msgspec.Struct, forbid_unknown_fields=True):
    title: Title | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    due_date: date | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET


class TaskCompletion(msgspec.Struct, forbid_unknown_fields=True):
    status: Status = "complete"


class BearerAuthentication(AbstractAuthenticationMiddleware):
    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise NotAuthorizedException("Unauthorized", headers={"WWW-Authenticate": "Bearer"})
        try:
            claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]})
        except jwt.PyJWTError:
            raise NotAuthorizedException("Unauthorized", headers={"WWW-Authenticate": "Bearer"}) from None
        if claims["sub"] != connection.path_params["user_id"]:
            raise PermissionDeniedException("Forbidden")
        return AuthenticationResult(user=claims["sub"], auth=claims)


async def keep_as_it_is(_connection: object) -> None:
    """Saves the round trip in which asyncpg would undo, after each request, what this peer never does to a session."""


def found(row: asyncpg.Record | None) -> Task:
    if row is None:
        raise NotFoundException("Task not found")
    return task_of(row)


def task_of(row: asyncpg.Record) -> Task:
    return Task(*row, f'"{row["updated_at"]}"')


@get("/api/{user_id:str}/tasks")
async def list_tasks(
    state: State,
    user_id: str,
    status: Status | None = None,
    q: Annotated[str | None, Parameter(max_length=64, pattern=r"^[^\0]*\Z")] = None,
    sort: Sort = "-created_at",
    limit: Annotated[int, Parameter(ge=1, le=1000)] = 1000,
) -> list[Task]:
    rows = await state.pool.fetch(
        f"SELECT {COLUMNS} FROM tasks WHERE user_id = $1 AND deleted_at IS NULL AND ($2::text IS NULL OR status = $2) "  # noqa: S608
        f"{SEARCH if q is not None else ''} ORDER BY {ORDERS[sort]}, id DESC LIMIT $3",
        user_id,
        status,
        limit,
        *([q] if q is not None else []),
    )
    return [task_of(row) for row in rows]


@post("/api/{user_id:str}/tasks")
async def create_task(state: State, user_id: str, data: TaskCreate) -> Response[Task]:
    row = await state.pool.fetchrow(
        "WITH registered AS (INSERT INTO users (id) VALUES ($1) ON CONFLICT DO NOTHING) "  # noqa: S608
        "INSERT INTO tasks (user_id, title, description, priority, due_date, tags) "
        f"VALUES ($1, $2, $3, $4, $5, $6) RETURNING {COLUMNS}",
        user_id,
        data.title,
        data.description,
        data.priority,
        data.due_date,
        data.tags,
    )
    task = found(row)
    return Response(task, headers={"Location": f"/api/{user_id}/tasks/{task.id}"})


@get("/api/{user_id:str}/tasks/{task_id:str}")
async def get_task(state: State, user_id: str, task_id: TaskId) -> Task:
    query = f"SELECT {COLUMNS} FROM tasks {THIS}"  # noqa: S608
    return found(await state.pool.fetchrow(query, user_id, task_id))


@put("/api/{user_id:str}/tasks/{task_id:str}")
async def update_task(state: State, user_id: str, task_id: TaskId, data: TaskUpdate) -> Task:
    given = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET}
    if not given:
        raise ValidationException("At least one field must be provided")
    changes = ", ".join(f"{name} = ${number}" for number, name in enumerate(given, 3))
    query = f"UPDATE tasks SET updated_at = now(), {changes} {THIS} RETURNING {COLUMNS}"  # noqa: S608
    return found(await state.pool.fetchrow(query, user_id, task_id, *given.values()))


@patch("/api/{user_id:str}/tasks/{task_id:str}/complete")
async def complete_task(
    state: State, user_id: str, task_id: TaskId, data: TaskCompletion | None = None
) -> Task:
    row = await state.pool.fetchrow(
        "UPDATE tasks SET status = $3, updated_at = CASE WHEN status = $3 THEN updated_at ELSE now() END "  # noqa: S608
        f"{THIS} RETURNING {COLUMNS}",
        user_id,
        task_id,
        data.status if data else "complete",
    )
    return found(row)


@delete("/api/{user_id:str}/tasks/{task_id:str}")
async def delete_task(state: State, user_id: str, task_id: TaskId) -> None:
    query = f"DELETE FROM tasks WHERE user_id = $1 AND id = $2 RETURNING {COLUMNS}"  # noqa: S608
    found(await state.pool.fetchrow(query, user_id, task_id))


def refuse(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, str]]:
    return Response({"error": error.detail}, status_code=error.status_code, headers=error.headers)


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["DATABASE_URL"], min_size=CONNECTIONS, max_size=CONNECTIONS, reset=keep_as_it_is
    ) as app.state.pool:
        yield


app = Litestar(
    [list_tasks, create_task, get_task, update_task, complete_task, delete_task],
    middleware=[BearerAuthentication],
    exception_handlers={HTTPException: refuse},
    lifespan=[lifespan],
)
