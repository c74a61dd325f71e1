"""What others' programs make from the published contract, against the running service: clients, and values to send."""

import importlib
import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from db.migrations import migrations
from openapi.bridge.document.grammar import parts
from openapi.contract import contract
from tests.support.outage import Outage
from tests.support.running import PROJECT, Service, service_in_thread, wait_until

pytestmark = pytest.mark.faults

NODE = PROJECT / "tests" / "node"
DOCUMENTATION = (PROJECT / "docs" / "clients.md").read_text(encoding="utf-8")
# What the documentation leaves to its readers.
NAMES = """
const { URL: baseUrl, TOKEN, USER: user } = process.env as Record<'URL' | 'TOKEN' | 'USER', string>;
const accessToken = async (): Promise<string> => TOKEN;
"""

STALE = "The task has changed since. Read it again and retry with its new ETag"

DOCUMENTED = [
    "[ 'Buy bread' ]",
    "[ 'Buy milk' ]",
    "saved: Buy oat milk",
    f"{STALE} (now: Buy oat milk)",
    "/title Title is required",
    "/due_date Invalid due date. Must be a date such as 2026-11-24, or null",
    "[ 'Buy bread' ]",
    "[ 'Buy bread', 'Buy oat milk' ]",
]


def snippet(language: str, start: str = "") -> str:
    """The blocks of code of docs/clients.md that are in this language and begin so, as one program."""
    return "".join(re.findall(rf"^```{language}\n({start}.*?)^```$", DOCUMENTATION, re.MULTILINE | re.DOTALL))


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
        cursor = re.search(r"[?&]cursor=(\w+)", page.headers["Link"])[1]
        assert [completed] == call("list_tasks", user, limit=1, cursor=cursor).parsed
        assert [completed] == call("list_tasks", user, status=[Status.COMPLETE]).parsed

        patched = call("patch_task", user, task.id, body=TaskUpdate(tags=["shopping"])).parsed
        assert ["shopping"] == patched.tags
        assert 1 == call("delete_tasks", user, status=[Status.COMPLETE]).parsed.deleted
        assert task.id == call("restore_task", user, task.id).parsed.id

        assert 204 == call("delete_task", user, task.id).status_code
        assert refused(call("delete_task", user, task.id), 404, "Task not found")
        changes = call("list_changes", user).parsed
        assert (["Buy bread"], False) == ([each.title for each in changes.tasks], changes.more)
        assert 204 == call("delete_user", user).status_code

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
    """A folder with the programs that call the service, and the types that openapi-typescript makes."""
    if not shutil.which("npm"):
        pytest.skip("npm is not here, which installs what makes clients and values from the contract")
    run(["make", "tests/node/node_modules/installed"], PROJECT)
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "tsconfig.json", "clients.ts", "generated.mjs"):
        shutil.copy(NODE / name, folder)
    (folder / "node_modules").symlink_to(NODE / "node_modules", target_is_directory=True)
    generate("npx", service, folder)
    (folder / "documented.ts").write_text(f"{NAMES}{snippet('ts')}", encoding="utf-8")
    run(["node_modules/.bin/tsc", "--project", "."], folder)
    return folder


def run_program(name: str, node: Path, service: Service, user: str) -> list[str]:
    """The lines that a program prints, which calls the service as `user`."""
    names = {"URL": service.url, "TOKEN": service.token(user), "USER": user}
    return run(["node", name], node, **names).splitlines()


def test_typescript_drives_every_operation(node: Path, service: Service, user: str) -> None:
    """The client of openapi-fetch passes `tsc --strict`, and sends and reads what the contract says."""
    assert ["all operations"] == run_program("clients.js", node, service, user)


def test_the_documented_typescript_runs(node: Path, service: Service, user: str) -> None:
    """Each part of docs/clients.md does what it says: pages, the 412, errors of a form, and a copy that follows."""
    assert DOCUMENTED == run_program("documented.js", node, service, user)


def test_the_documented_creation_waits_and_tries_again(
    node: Path,
    user: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """While the database is away each try is 503, and once it is back the same key makes each task once."""
    printed: list[str] = []

    def answers() -> list[int]:
        printed.extend(capsys.readouterr().err.splitlines())
        return [json.loads(line)["status"] for line in printed if '"answered"' in line]

    with ExitStack() as stack:
        outage = Outage(tmp_path, stack)
        migrations.upgrade(outage.url)
        service = stack.enter_context(service_in_thread(outage.url))
        outage.stop("immediate")
        caplog.set_level(logging.INFO)
        program = stack.enter_context(ThreadPoolExecutor()).submit(
            run_program, "documented.js", node, service, user
        )
        wait_until(lambda: answers().count(503) >= 2, 60)
        outage.start()
        assert DOCUMENTED == program.result()
    assert 2 == answers().count(201)


def test_every_generated_value_is_one_that_the_service_accepts(
    node: Path, service: Service, user: str
) -> None:
    """Of what json-schema-faker and Postman's converter put into a request of each operation, nothing breaks a rule."""
    sent = [json.loads(line) for line in run_program("generated.mjs", node, service, user)]
    operations = len(contract().operations)
    assert {"json-schema-faker": 10 * operations, "openapi-to-postmanv2": operations} == Counter(
        request["tool"] for request in sent
    )
    assert [] == [each for each in sent if each["status"] in {400, 415} and not _repeats_a_tag(each["body"])]


def _repeats_a_tag(body: str | None) -> bool:
    """Whether it is one that Postman's converter makes once in a hundred runs, since it does not read uniqueItems."""
    tags = json.loads(body).get("tags", []) if body else []
    return len(tags) > len(set(tags))


def test_generated_clients_can_take_every_schema() -> None:
    """Clients by openapi-generator have dates as a type of their own, against which no `pattern` matches, and
    make a class of `anyOf`, which no header can hold; PCRE knows no `\\u0000`, and no Java compiles an array's default
    that stands beside a `$ref`."""
    document = contract()
    nodes = (place.node for kind, place in parts(document.document) if kind == "schemas")
    schemas = [node for node in nodes if isinstance(node, dict)]
    assert [] == [each for each in schemas if "$ref" in each and isinstance(each.get("default"), list)]
    ruled = [schema for schema in schemas if "pattern" in schema]
    assert set() == {schema["format"] for schema in ruled if "format" in schema} & {"date", "date-time"}
    assert [] == [schema for schema in ruled if "\\u0000" in schema["pattern"]]
    parameters = [place for operation in document.operations.values() for place in operation.parameters]
    layers = [each.node for p in parameters for each in document.requests.at(f"{p.pointer}/schema").layers()]
    assert [] == [layer for layer in layers if {"anyOf", "oneOf"} & layer.keys()]
