"""A request is followed in few files: what the README promises to whoever reads the code for the first time."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import PROJECT, service_in_thread

ROOMS = ("openapi", "handlers", "db", "server")


@pytest.fixture(scope="module")
def passed(database_url: str) -> dict[str, set[str]]:
    """The files of the project that a GET and a PUT of one task pass, by method, in a service with all its lines.

    Each is the smallest set of several, since what the service does from time to time is no part of a request.
    """
    files: set[str] = set()

    def note(frame: Any, event: str, _argument: object) -> None:
        if event == "call":
            files.add(frame.f_code.co_filename)

    def own() -> set[str]:
        paths = [Path(name).relative_to(PROJECT) for name in files.copy() if name.startswith(f"{PROJECT}/")]
        return {str(path) for path in paths if path.parts[0] in ROOMS}

    log = logging.getLogger("todo_api")
    log.setLevel(logging.INFO)
    threading.setprofile(note)
    try:
        with (
            service_in_thread(database_url, validate_answers=False) as service,
            service.client("alice") as client,
        ):
            address = client.post("/api/alice/tasks", json={"title": "Buy milk"}).headers["Location"]
            found: dict[str, set[str]] = {}
            for method, options in (("GET", {}), ("PUT", {"json": {"title": "Buy oat milk"}})):
                for _ in range(40):
                    files.clear()
                    assert client.request(method, address, **options).status_code == 200
                    found[method] = min(found.get(method, own()), own(), key=len)
    finally:
        threading.setprofile(None)
        log.setLevel(logging.NOTSET)
    return found


@pytest.mark.parametrize(("method", "most"), [("GET", 12), ("PUT", 13)])
def test_a_request_passes_few_files(passed: dict[str, set[str]], method: str, most: int) -> None:
    """A GET of one task passes at most 12 files of ours, and a PUT 13."""
    assert len(passed[method]) <= most, "\n".join(sorted(passed[method]))
