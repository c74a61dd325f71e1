"""The contract's schemas and operations as Python types. Generated from it."""

from datetime import date, datetime
from typing import Any, Literal, NotRequired, Protocol, TypedDict, TypeVar

from openapi.bridge.answers import Answer

Caller = TypeVar("Caller", contravariant=True)

UserId = str
TaskId = int
Title = str
Description = str | None
Status = Literal["incomplete", "complete"]
Priority = Literal["low", "medium", "high"]
DueDate = date | None
Tag = str
Tags = list[Tag]
Timestamp = datetime
Day = date
Sort = Literal["-created_at", "priority", "due_date", "-due_date", "-updated_at", "title"]
Cursor = str
Since = str
EntityTag = str
EntityTags = str


class Task(TypedDict):
    id: TaskId
    user_id: UserId
    title: Title
    description: Description
    status: Status
    priority: Priority
    due_date: DueDate
    tags: Tags
    created_at: Timestamp
    updated_at: Timestamp
    etag: EntityTag


class TaskCreate(TypedDict):
    title: Title
    description: NotRequired[Description]
    priority: NotRequired[Priority]
    due_date: NotRequired[DueDate]
    tags: NotRequired[Tags]


class TaskUpdate(TypedDict):
    title: NotRequired[Title]
    description: NotRequired[Description]
    status: NotRequired[Status]
    priority: NotRequired[Priority]
    due_date: NotRequired[DueDate]
    tags: NotRequired[Tags]


class TaskCompletion(TypedDict):
    status: NotRequired[Status]


class Deletion(TypedDict):
    id: TaskId
    deleted_at: Timestamp


class Changes(TypedDict):
    tasks: list[Task]
    deleted: list[Deletion]
    next: Since
    more: bool


class Deletions(TypedDict):
    deleted: int


class Health(TypedDict):
    status: Literal["ok"]


class Refusal(TypedDict):
    error: str


class Problem(TypedDict):
    type: str
    title: str
    status: int
    detail: str
    errors: NotRequired[list[dict[str, Any]]]


class UsersHandlers(Protocol[Caller]):
    async def delete_user(
        self, caller: Caller, /, *, if_match: str | None, if_none_match: str | None
    ) -> Answer[None]: ...


class TasksHandlers(Protocol[Caller]):
    async def list_tasks(
        self,
        caller: Caller,
        /,
        *,
        status: list[Status] | None,
        priority: list[Priority] | None,
        tag: list[Tag] | None,
        due_from: str | None,
        due_to: str | None,
        q: str | None,
        sort: Sort,
        limit: int,
        cursor: Cursor | None,
        count: bool,
    ) -> Answer[list[Task]]: ...

    async def create_task(
        self, caller: Caller, /, *, idempotency_key: str | None, body: TaskCreate
    ) -> Answer[Task]: ...

    async def delete_tasks(
        self, caller: Caller, /, *, status: list[Status], if_match: str | None, if_none_match: str | None
    ) -> Answer[Deletions]: ...

    async def get_task(
        self, caller: Caller, /, *, id: TaskId, if_match: str | None, if_none_match: str | None
    ) -> Answer[Task | None]: ...

    async def update_task(
        self,
        caller: Caller,
        /,
        *,
        id: TaskId,
        if_match: str | None,
        if_none_match: str | None,
        body: TaskUpdate,
    ) -> Answer[Task]: ...

    async def delete_task(
        self, caller: Caller, /, *, id: TaskId, if_match: str | None, if_none_match: str | None
    ) -> Answer[None]: ...

    async def patch_task(
        self,
        caller: Caller,
        /,
        *,
        id: TaskId,
        if_match: str | None,
        if_none_match: str | None,
        body: TaskUpdate,
    ) -> Answer[Task]: ...

    async def complete_task(
        self,
        caller: Caller,
        /,
        *,
        id: TaskId,
        if_match: str | None,
        if_none_match: str | None,
        body: TaskCompletion,
    ) -> Answer[Task]: ...

    async def restore_task(
        self, caller: Caller, /, *, id: TaskId, if_match: str | None, if_none_match: str | None
    ) -> Answer[Task]: ...


class ChangesHandlers(Protocol[Caller]):
    async def list_changes(
        self, caller: Caller, /, *, since: Since | None, limit: int
    ) -> Answer[Changes]: ...


class HealthHandlers(Protocol[Caller]):
    async def get_liveness(self, caller: Caller, /) -> Answer[Health]: ...

    async def get_readiness(self, caller: Caller, /) -> Answer[Health]: ...
