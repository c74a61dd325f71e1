"""The small HTTP test that each contestant passes before it is timed, so that all are measured doing the same work."""

import httpx

from benchmarks.contestants import BenchmarkError, Running, bearer, token

MEMBERS = [
    *("created_at", "description", "due_date", "etag", "id", "priority", "status"),
    *("tags", "title", "updated_at", "user_id"),
]
USER = "check-peer"
TASKS = f"/api/{USER}/tasks"
INVALID: tuple[object, ...] = (
    {},
    {"title": ""},
    {"title": " \t"},
    {"title": None},
    {"title": 1},
    {"title": "x" * 256},
    {"title": "a\0b"},
    {"title": "x", "description": "x" * 5001},
    {"title": "x", "colour": 1},
    {"title": "x", "priority": "urgent"},
    {"title": "x", "priority": None},
    {"title": "x", "due_date": "2026-02-29"},
    {"title": "x", "due_date": "soon"},
    {"title": "x", "tags": [1]},
    [],
    "x",
)


def check_peer(running: Running) -> None:
    """Returns if the contestant keeps the part of the contract that is measured; its user has no task before or after.

    Raises:
        BenchmarkError: with the first rule that it breaks.
    """
    with httpx.Client(base_url=running.url, timeout=30, trust_env=False) as client:
        try:
            _Check(running.contestant.label, client).run()
        except httpx.TransportError as error:
            raise BenchmarkError(
                f"{running.contestant.label}: a request of the check has no answer ({error})"
            ) from error


class _Check:
    def __init__(self, label: str, client: httpx.Client) -> None:
        self._label = label
        self._client = client

    def run(self) -> None:
        self._identity()
        self._client.headers.update(bearer(USER))
        self._life_of_a_task()
        self._validation()

    def _identity(self) -> None:
        self._refused(401, "GET", TASKS)
        forged = token(USER)[:-4] + "AAAA"
        self._refused(401, "GET", TASKS, headers={"Authorization": f"Bearer {forged}"})
        expired = token(USER, lifetime=-3600)
        self._refused(401, "GET", TASKS, headers={"Authorization": f"Bearer {expired}"})
        self._refused(403, "GET", "/api/user1/tasks", headers=dict(bearer(USER)))
        # Another user's task is no task of this user's.
        self._refused(404, "GET", f"{TASKS}/1", headers=dict(bearer(USER)))

    def _life_of_a_task(self) -> None:
        self._is([], self._sent(200, "GET", TASKS).json(), "a new user's list")
        first = self._sent(201, "POST", TASKS, json={"title": "Crème brûlée 🍮"})
        task = first.json()
        address = f"{TASKS}/{task['id']}"
        self._is(address, first.headers["location"], "Location")
        self._is(MEMBERS, sorted(task), "a task's members")
        self._is("Crème brûlée 🍮", task["title"], "the title")
        names = ("description", "status", "priority", "due_date", "tags", "user_id")
        rest = [task[name] for name in names]
        self._is([None, "incomplete", "medium", None, [], USER], rest, "the rest")
        self._is(
            ["Z", "Z"], [task[name][-1] for name in ("created_at", "updated_at")], "the ends of the times"
        )
        full = {
            "title": "Bread",
            "description": "100% rye",
            "priority": "low",
            "due_date": "2026-11-24",
            "tags": ["shopping", "home"],
        }
        second = self._sent(201, "POST", TASKS, json=full).json()
        self._is(full, {name: second[name] for name in full}, "what was given")
        for query, expected in {
            "": [second, task],
            "?sort=-created_at": [second, task],
            "?sort=priority": [task, second],
            "?sort=due_date": [second, task],
            "?sort=-due_date": [second, task],
            "?q=BR": [second, task],
            "?q=0%25&status=incomplete": [second],
            "?q=_": [],
        }.items():
            self._is(expected, self._sent(200, "GET", TASKS + query).json(), f"the list {query}")
        self._is([second], self._sent(200, "GET", f"{TASKS}?limit=1").json(), "the list of one")
        self._is(task, self._sent(200, "GET", address).json(), "the task")
        changed = self._sent(200, "PUT", address, json={**full, "title": "Flan"}).json()
        self._is(
            {**task, **full, "title": "Flan", **{name: changed[name] for name in ("updated_at", "etag")}},
            changed,
            "the changed task",
        )
        self._is(True, task["updated_at"] < changed["updated_at"], "whether updated_at grows")
        self._is(False, task["etag"] == changed["etag"], "whether the etag stays")
        cleared = self._sent(200, "PUT", address, json={"description": None, "due_date": None}).json()
        self._is([None, None], [cleared["description"], cleared["due_date"]], "what was cleared")
        self._is("complete", self._sent(200, "PATCH", f"{address}/complete").json()["status"], "the status")
        completed = self._sent(200, "GET", f"{TASKS}?status=complete").json()
        self._is([task["id"]], [each["id"] for each in completed], "the completed tasks")
        opened = self._sent(200, "PATCH", f"{address}/complete", json={"status": "incomplete"}).json()
        self._is("incomplete", opened["status"], "the status")
        for each in (address, f"{TASKS}/{second['id']}"):
            self._is(b"", self._sent(204, "DELETE", each).content, "a deletion's body")
            self._refused(404, "GET", each)

    def _validation(self) -> None:
        for method, address in (("POST", TASKS), ("PUT", f"{TASKS}/1")):
            for body in INVALID:
                self._refused(400, method, address, json=body)
            self._refused(
                400, method, address, content=b'{"title":', headers={"Content-Type": "application/json"}
            )
        self._refused(400, "PUT", f"{TASKS}/1", json={"status": "done"})
        self._refused(400, "PATCH", f"{TASKS}/1/complete", json={"status": "done"})
        for query in (
            "limit=0",
            "limit=1001",
            "limit=x",
            "status=done",
            "sort=colour",
            f"q={65 * 'x'}",
            "q=%00",
        ):
            self._refused(400, "GET", f"{TASKS}?{query}")
        for number in ("abc", "0", str(2**63)):
            self._refused(400, "GET", f"{TASKS}/{number}")
        for method, address in (("PUT", f"{TASKS}/1"), ("PATCH", f"{TASKS}/1/complete")):
            self._refused(404, method, address, json={"status": "complete"})
        self._refused(404, "DELETE", f"{TASKS}/1")
        self._is([], self._sent(200, "GET", TASKS).json(), "the list after refused creations")

    def _sent(self, status: int, method: str, address: str, **options: object) -> httpx.Response:
        response = self._client.request(method, address, **options)  # type: ignore[arg-type]
        self._is(status, response.status_code, f"the status of {method} {address} with {str(options)[:80]}")
        if response.content:
            content_type = response.headers.get("content-type")
            self._is("application/json", content_type, f"the media type of {method} {address}")
        return response

    def _refused(self, status: int, method: str, address: str, **options: object) -> None:
        response = self._sent(status, method, address, **options)
        self._is(["error"], list(response.json()), f"the members of a {status}")
        self._is(True, isinstance(response.json()["error"], str), f"whether a {status} has a sentence")
        if status == 401:
            self._is("Bearer", response.headers.get("www-authenticate"), "WWW-Authenticate")

    def _is(self, expected: object, actual: object, what: str) -> None:
        if expected != actual:
            raise BenchmarkError(f"{self._label}: {what} is {actual!r} and should be {expected!r}")
