"""Typed clients that others' generators make from the published contract, against the running service."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from openapi.contract import contract
from tests.support.running import PROJECT, Service

pytestmark = pytest.mark.faults

NODE = PROJECT / "tests" / "node"
DOCUMENTATION = (PROJECT / "docs" / "clients.md").read_text(encoding="utf-8")
# What the documentation leaves to its readers.
NAMES = "const { URL, TOKEN, USER } = process.env as Record<'URL' | 'TOKEN' | 'USER', string>;"
STALE = "The task has changed since. Read it again and retry with its new ETag"


def snippet(language: str, start: str = "") -> str:
    """The one block of code of docs/clients.md that is in this language and begins so."""
    (code,) = re.findall(rf"^```{language}\n({start}.*?)^```$", DOCUMENTATION, re.MULTILINE | re.DOTALL)
    return str(code)


def run(command: list[str], cwd: Path, **environment: str) -> str:
    """What a command prints, which must end well."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    return ended.stdout


def generate(tool: str, service: Service, cwd: Path) -> None:
    """Runs the tool as docs/clients.md says, on the contract that the service publishes."""
    run(shlex.split(snippet("sh", tool).replace("http://127.0.0.1:8000", service.url)), cwd)


@pytest.fixture(scope="module")
def operations(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    """The modules of the package that openapi-python-client makes, one for each operation, by operationId."""
    folder = tmp_path_factory.mktemp("python")
    generate("openapi-python-client", service, folder)
    sys.path.insert(0, str(folder))
    yield {
        each.id: importlib.import_module(f"todo_client.api.{each.tag}.{each.id}")
        for each in contract().operations.values()
    }
    sys.path.remove(str(folder))


def refused(response: Any, status: int, sentence: str) -> bool:
    """Whether a client's answer is this refusal, as the type that the contract names Refusal."""
    from todo_client.models import Refusal

    return (status, Refusal(sentence)) == (response.status_code, response.parsed)


def test_python_drives_every_operation(
    operations: dict[str, ModuleType], service: Service, user: str
) -> None:
    """The client of openapi-python-client sends and reads what the contract says: tasks, headers and refusals."""
    from todo_client import AuthenticatedClient, Client
    from todo_client.models import Health, Status, TaskCompletion, TaskCreate, TaskUpdate
    from todo_client.types import UNSET

    with (
        AuthenticatedClient(base_url=service.url, token=service.token(user)) as signed_in,
        Client(base_url=service.url) as stranger,
    ):

        def call(operation: str, *path: Any, client: Any = signed_in, **arguments: Any) -> Any:
            return operations[operation].sync_detailed(*path, client=client, **arguments)

        milk = TaskCreate("Buy milk")
        created = call("create_task", user, body=milk, idempotency_key="first")
        task, tag = created.parsed, created.headers["ETag"]
        assert (201, user, "Buy milk", UNSET, Status.INCOMPLETE) == (
            *(created.status_code, task.user_id, task.title, task.description or UNSET, task.status),
        )
        assert created.headers["Location"].endswith(f"/tasks/{task.id}")
        assert task == call("create_task", user, body=milk, idempotency_key="first").parsed
        other = call("create_task", user, body=TaskCreate("Buy tea"), idempotency_key="first")
        assert refused(other, 422, contract().refusals["IdempotencyKeyReused"].sentence)
        assert refused(call("create_task", user, body=TaskCreate("")), 400, "Title is required")

        assert task == call("get_task", user, task.id).parsed
        assert 304 == call("get_task", user, task.id, if_none_match=tag).status_code
        assert refused(call("get_task", user, task.id + 1), 404, "Task not found")
        assert refused(call("get_task", "nobody", task.id), 403, "Forbidden")
        anonymous = call("get_task", user, task.id, client=stranger)
        assert refused(anonymous, 401, "Unauthorized")
        assert "Bearer" == anonymous.headers["WWW-Authenticate"]

        change = TaskUpdate(description="Two litres", status=Status.COMPLETE)
        changed = call("update_task", user, task.id, body=change, if_match=tag).parsed
        assert ("Two litres", Status.COMPLETE) == (changed.description, changed.status)
        assert changed.updated_at > task.updated_at
        assert refused(call("update_task", user, task.id, body=change, if_match=tag), 412, STALE)

        reopened = call("complete_task", user, task.id, body=TaskCompletion(Status.INCOMPLETE)).parsed
        completed = call("complete_task", user, task.id).parsed
        assert [Status.INCOMPLETE, Status.COMPLETE] == [reopened.status, completed.status]

        call("create_task", user, body=TaskCreate("Buy bread"))
        page = call("list_tasks", user, limit=1)
        assert ["Buy bread"] == [each.title for each in page.parsed]
        cursor = re.search(r"cursor=(\w+)>", page.headers["Link"])[1]
        assert [completed] == call("list_tasks", user, limit=1, cursor=cursor).parsed
        assert [completed] == call("list_tasks", user, status=[Status.COMPLETE]).parsed

        assert 204 == call("delete_task", user, task.id).status_code
        assert refused(call("delete_task", user, task.id), 404, "Task not found")

        for probe in ("get_liveness", "get_readiness"):
            healthy = call(probe, client=stranger).parsed
            assert (Health, "ok") == (type(healthy), healthy.status)


def test_the_documented_python_runs(
    operations: dict[str, ModuleType], service: Service, user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines of docs/clients.md do what they seem to."""
    names = {"URL": service.url, "TOKEN": service.token(user), "USER": user}
    exec(compile(snippet("python"), "docs/clients.md", "exec"), names)
    assert capsys.readouterr().out.strip().endswith(STALE)


@pytest.fixture(scope="module")
def node(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program that drives the client, and the types that openapi-typescript makes."""
    if not shutil.which("npm"):
        pytest.skip("npm is not here, which installs openapi-typescript, openapi-fetch and the compiler")
    run(["make", "tests/node/node_modules/installed"], PROJECT)
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "tsconfig.json", "clients.ts"):
        shutil.copy(NODE / name, folder)
    (folder / "node_modules").symlink_to(NODE / "node_modules", target_is_directory=True)
    generate("npx", service, folder)
    (folder / "documented.ts").write_text(f"{NAMES}\n{snippet('ts')}", encoding="utf-8")
    run(["node_modules/.bin/tsc", "--project", "."], folder)
    return folder


@pytest.mark.parametrize(("program", "last"), [("clients", "all operations"), ("documented", STALE)])
def test_typescript_drives_every_operation(
    node: Path, service: Service, user: str, program: str, last: str
) -> None:
    """The client of openapi-fetch passes `tsc --strict`, and sends and reads what the contract says."""
    names = {"URL": service.url, "TOKEN": service.token(user), "USER": user}
    assert run(["node", f"{program}.js"], node, **names).strip().endswith(last)
