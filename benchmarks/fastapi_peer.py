"""The same API as a team would write it without todo-api: FastAPI, SQLModel, psycopg2, PyJWT, each as its own
documentation shows it. Users are kept apart by the queries alone; cursors, conditional requests and Idempotency-Keys
are left out, which saves this peer work.
"""

import os
from collections.abc import Iterator
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator, ConfigDict, model_validator
from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Identity, Text, case, func, or_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, Session, SQLModel, col, create_engine, select
from starlette.exceptions import HTTPException as StarletteHTTPException

# Starlette's default. With fewer connections than requests under way it could stall: FastAPI serialises an answer in
# one of the threads, all of which may be waiting for the connection that the answer's session still holds.
THREADS = 40
SECRET = os.environ["AUTH_JWT_SECRET"]

engine = create_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://"),
    pool_size=THREADS,
    max_overflow=0,
)


class Status(StrEnum):
    INCOMPLETE = "incomplete"
    COMPLETE = "complete"


class Priority(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Sort(StrEnum):
    NEWEST_FIRST = "-created_at"
    HIGHEST_FIRST = "priority"
    EARLIEST_FIRST = "due_date"
    LATEST_FIRST = "-due_date"


def not_blank(title: str) -> str:
    if not title.strip():
        raise ValueError("must not be blank")
    return title


def no_null_character(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain U+0000")
    return text


Title = Annotated[
    str, Field(min_length=1, max_length=255), AfterValidator(not_blank), AfterValidator(no_null_character)
]
Description = Annotated[str, Field(max_length=5000), AfterValidator(no_null_character)]


class User(SQLModel, table=True):
    __tablename__ = "users"

    id: str = Field(primary_key=True)
    email: str | None = None


class TaskPublic(SQLModel):
    id: int
    user_id: str
    title: str
    description: str | None
    status: Status
    priority: Priority
    due_date: date | None
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    etag: str


class Task(SQLModel, table=True):
    __tablename__ = "tasks"

    user_id: str = Field(primary_key=True, foreign_key="users.id")
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    title: str
    description: str | None = None
    status: str = Status.INCOMPLETE
    priority: str = Priority.MEDIUM
    due_date: date | None = None
    tags: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    created_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now())
    )
    updated_at: datetime | None = Field(
        default=None,
        sa_column=Column(
            DateTime(timezone=True), nullable=False, server_default=func.now(), onupdate=func.now()
        ),
    )
    deleted_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))

    @property
    def etag(self) -> str:
        return f'"{self.updated_at}"'


ORDERS = {
    Sort.NEWEST_FIRST: col(Task.created_at).desc(),
    Sort.HIGHEST_FIRST: case({"high": 0, "medium": 1, "low": 2}, value=col(Task.priority)),
    Sort.EARLIEST_FIRST: col(Task.due_date).asc().nulls_last(),
    Sort.LATEST_FIRST: col(Task.due_date).desc().nulls_last(),
}


class TaskCreate(SQLModel):
    model_config = ConfigDict(extra="forbid")  # type: ignore[assignment]  # SQLModel's own type is narrower

    title: Title
    description: Description | None = None
    priority: Priority = Priority.MEDIUM
    due_date: date | None = None
    tags: list[str] = []


class TaskUpdate(SQLModel):
    model_config = ConfigDict(extra="forbid")  # type: ignore[assignment]  # as above

    title: Title | None = None
    description: Description | None = None
    status: Status | None = None
    priority: Priority | None = None
    due_date: date | None = None
    tags: list[str] | None = None

    @model_validator(mode="after")
    def something_is_given(self) -> "TaskUpdate":
        if not self.model_fields_set:
            raise ValueError("at least one field must be provided")
        never_null = self.model_fields_set & {"title", "status", "priority", "tags"}
        if any(getattr(self, name) is None for name in never_null):
            raise ValueError("title, status, priority and tags must not be null")
        return self


class TaskCompletion(SQLModel):
    model_config = ConfigDict(extra="forbid")  # type: ignore[assignment]  # as above

    status: Status = Status.COMPLETE


bearer = HTTPBearer(auto_error=False)


async def current_user(
    user_id: str, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> str:
    if credentials is None:
        raise HTTPException(401, "Unauthorized", {"WWW-Authenticate": "Bearer"})
    try:
        claims = jwt.decode(
            credentials.credentials, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]}
        )
    except jwt.PyJWTError:
        raise HTTPException(401, "Unauthorized", {"WWW-Authenticate": "Bearer"}) from None
    if claims["sub"] != user_id:
        raise HTTPException(403, "Forbidden")
    return user_id


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


CurrentUser = Annotated[str, Depends(current_user)]
CurrentSession = Annotated[Session, Depends(get_session)]


TaskId = Annotated[int, Path(ge=1, le=2**63 - 1)]


def find_task(session: Session, user: str, id: int) -> Task:
    task = session.get(Task, (user, id))
    if task is None or task.deleted_at is not None:
        raise HTTPException(404, "Task not found")
    return task


app = FastAPI()


@app.exception_handler(StarletteHTTPException)
async def refuse(_request: Request, error: StarletteHTTPException) -> JSONResponse:
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


@app.exception_handler(RequestValidationError)
async def refuse_invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
    first: Any = error.errors()[0]
    return JSONResponse({"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}, 400)


@app.get("/api/{user_id}/tasks", response_model=list[TaskPublic])
def list_tasks(
    user: CurrentUser,
    session: CurrentSession,
    status: Status | None = None,
    q: Annotated[str | None, Query(max_length=64), AfterValidator(no_null_character)] = None,
    sort: Sort = Sort.NEWEST_FIRST,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> Any:
    statement = select(Task).where(Task.user_id == user, col(Task.deleted_at).is_(None))
    if status is not None:
        statement = statement.where(Task.status == status)
    if q is not None:
        columns = col(Task.title), col(Task.description)
        statement = statement.where(or_(*(column.icontains(q, autoescape=True) for column in columns)))
    return session.exec(statement.order_by(ORDERS[sort], col(Task.id).desc()).limit(limit)).all()


@app.post("/api/{user_id}/tasks", response_model=TaskPublic, status_code=201)
def create_task(user: CurrentUser, session: CurrentSession, body: TaskCreate, response: Response) -> Any:
    session.connection().execute(insert(User).values(id=user).on_conflict_do_nothing())
    task = Task(user_id=user, **body.model_dump(exclude_unset=True))
    session.add(task)
    session.commit()
    session.refresh(task)
    response.headers["Location"] = f"/api/{user}/tasks/{task.id}"
    return task


@app.get("/api/{user_id}/tasks/{id}", response_model=TaskPublic)
def get_task(user: CurrentUser, session: CurrentSession, id: TaskId) -> Any:
    return find_task(session, user, id)


@app.put("/api/{user_id}/tasks/{id}", response_model=TaskPublic)
def update_task(user: CurrentUser, session: CurrentSession, id: TaskId, body: TaskUpdate) -> Any:
    task = find_task(session, user, id)
    task.sqlmodel_update(body.model_dump(exclude_unset=True))
    session.add(task)
    session.commit()
    session.refresh(task)
    return task


@app.patch("/api/{user_id}/tasks/{id}/complete", response_model=TaskPublic)
def complete_task(
    user: CurrentUser, session: CurrentSession, id: TaskId, body: TaskCompletion | None = None
) -> Any:
    task = find_task(session, user, id)
    task.status = body.status if body else Status.COMPLETE
    session.add(task)
    session.commit()
    session.refresh(task)
    return task


@app.delete("/api/{user_id}/tasks/{id}", status_code=204)
def delete_task(user: CurrentUser, session: CurrentSession, id: TaskId) -> None:
    session.delete(find_task(session, user, id))
    session.commit()
