"""The API against a plain model of itself: whatever a user does, in whatever order, both hold the same tasks."""

import uuid
from typing import Any

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.support import conforming
from tests.support.conforming import ConformingService

service = conforming.service

titles = st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=20)
descriptions = st.none() | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20
)
statuses = st.sampled_from(["incomplete", "complete"])
priorities = st.sampled_from(["low", "medium", "high"])
due_dates = st.none() | st.dates().map(str)
conditions = st.sampled_from(["none", "any", "current", "stale"])


class Tasks(RuleBasedStateMachine):
    """A user of the service, and in `model` what the user's tasks must be: each with its tag, oldest first."""

    service: ConformingService
    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        user = f"model-{uuid.uuid4()}"
        self.user = user
        self.path = f"/api/{user}/tasks"
        self.client = self.service.client(user)
        self.model: dict[int, tuple[dict[str, Any], str]] = {}

    def teardown(self) -> None:
        self.client.close()

    @rule(
        target=ids,
        body=st.fixed_dictionaries(
            {"title": titles},
            optional={"description": descriptions, "priority": priorities, "due_date": due_dates},
        ),
    )
    def create(self, body: dict[str, Any]) -> int:
        response = self.client.post(self.path, json=body)
        assert 201 == response.status_code
        task = response.json()
        rest = {
            "description": None,
            "status": "incomplete",
            "priority": "medium",
            "due_date": None,
            "tags": [],
        }
        assert {
            **task,
            "user_id": self.user,
            **rest,
            **body,
            "updated_at": task["created_at"],
            "etag": task["etag"],
        } == task
        assert task["id"] not in self.model
        self.model[task["id"]] = (task, response.headers["ETag"])
        return int(task["id"])

    @rule(target=ids, title=titles, key=st.sampled_from(["a", "b"]))
    def create_twice(self, title: str, key: str) -> Any:
        key = f"{key}-{uuid.uuid4()}"
        first, second = (
            self.client.post(self.path, json={"title": title}, headers={"Idempotency-Key": key})
            for _ in range(2)
        )
        assert first.content == second.content
        self.model[first.json()["id"]] = (first.json(), first.headers["ETag"])
        return multiple(first.json()["id"])

    @rule(
        id=ids,
        change=st.fixed_dictionaries(
            {},
            optional={
                "title": titles,
                "description": descriptions,
                "status": statuses,
                "priority": priorities,
                "due_date": due_dates,
            },
        ).filter(bool),
        condition=conditions,
    )
    def update(self, id: int, change: dict[str, Any], condition: str) -> None:
        response = self.client.put(f"{self.path}/{id}", json=change, headers=self.condition(id, condition))
        if self.refused(response, id, condition):
            return
        before, _ = self.model[id]
        after = response.json()
        assert {**before, **change, "updated_at": after["updated_at"], "etag": after["etag"]} == after
        assert before["updated_at"] < after["updated_at"]
        self.model[id] = (after, response.headers["ETag"])

    @rule(
        id=ids,
        body=st.none() | st.fixed_dictionaries({}, optional={"status": statuses}),
        condition=conditions,
    )
    def complete(self, id: int, body: dict[str, str] | None, condition: str) -> None:
        content = {} if body is None else {"json": body}
        response = self.client.patch(
            f"{self.path}/{id}/complete", headers=self.condition(id, condition), **content
        )
        if self.refused(response, id, condition):
            return
        before, tag = self.model[id]
        after = response.json()
        status = (body or {}).get("status", "complete")
        assert {**before, "status": status, "updated_at": after["updated_at"], "etag": after["etag"]} == after
        same = before["status"] == status
        assert same == (before["updated_at"] == after["updated_at"]) == (tag == response.headers["ETag"])
        self.model[id] = (after, response.headers["ETag"])

    @rule(id=ids, condition=conditions)
    def delete(self, id: int, condition: str) -> None:
        response = self.client.delete(f"{self.path}/{id}", headers=self.condition(id, condition))
        if not self.refused(response, id, condition):
            assert 204 == response.status_code
            del self.model[id]

    @rule(id=ids)
    def read(self, id: int) -> None:
        response = self.client.get(f"{self.path}/{id}")
        if id not in self.model:
            assert 404 == response.status_code
            return
        task, tag = self.model[id]
        assert (200, task, tag) == (response.status_code, response.json(), response.headers["ETag"])
        assert 304 == self.client.get(f"{self.path}/{id}", headers={"If-None-Match": tag}).status_code

    @rule(status=st.none() | statuses, limit=st.integers(1, 5))
    def list_by_pages(self, status: str | None, limit: int) -> None:
        address = f"{self.path}?limit={limit}" + (f"&status={status}" if status else "")
        listed: list[dict[str, Any]] = []
        while address:
            response = self.client.get(address)
            listed += response.json()
            address = response.links.get("next", {}).get("url", "")
        assert [task for task in self.newest_first() if status in (None, task["status"])] == listed

    @invariant()
    def the_list_is_the_model(self) -> None:
        assert self.newest_first() == self.client.get(self.path).json()

    def newest_first(self) -> list[dict[str, Any]]:
        return [task for task, _ in self.model.values()][::-1]

    def condition(self, id: int, condition: str) -> dict[str, str]:
        """The header for a condition."""
        current = self.model[id][1] if id in self.model else '"gone"'
        tags = {"none": {}, "any": {"If-Match": "*"}, "stale": {"If-Match": f'"stale", W/{current}'}}
        return tags.get(condition, {"If-Match": f'"other", {current}'})

    def refused(self, response: httpx.Response, id: int, condition: str) -> bool:
        """Whether the model says that the change is refused; the service must say the same."""
        if id not in self.model:
            assert (404, {"error": "Task not found"}) == (response.status_code, response.json())
        elif condition == "stale":
            assert 412 == response.status_code
        else:
            assert response.is_success
            return False
        return True


def test_the_service_is_as_its_model(service: ConformingService) -> None:
    """After any sequence of requests the user's tasks are those of a plain dictionary after the same sequence."""
    machine = type("TasksOfService", (Tasks,), {"service": service})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
