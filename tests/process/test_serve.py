"""`todo-api serve`: how it starts, what it says, that it loses nothing, and how it ends."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
import uvicorn

from db.migrations import migrations
from server.app import create_app
from server.todo import todo
from tests.support.contracts import contract_with, project_with
from tests.support.database import open_transaction, wait_for_waiting
from tests.support.raw_http import JSON, RawConnection, request
from tests.support.raw_http import signed_in as signed_in_as
from tests.support.running import (
    SECRET,
    ServeProcess,
    Service,
    free_port,
    is_free,
    settings_for,
    todo_api,
    wait_until,
)

PRODUCTION = {"AUTH_JWT_SECRET": SECRET.decode()}
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="there is no /proc to find workers in"
)


def announced(process: ServeProcess) -> list[str]:
    """What the service says when it starts; its last line begins with `curl`."""
    lines: list[str] = []
    assert process.process.stdout is not None
    while not lines or not lines[-1].startswith("curl "):
        line = process.process.stdout.readline()
        assert line, f"the service ended: {lines}"
        lines.append(line.rstrip("\n"))
    return lines


def signed_in(process: ServeProcess, cwd: Path, user: str = "demo") -> httpx.Client:
    """A client with a token that `todo-api token` prints for the same folder."""
    ended = todo_api("token", user, cwd=cwd)
    assert 0 == ended.returncode, ended.stderr
    headers = {"Authorization": f"Bearer {ended.stdout.strip()}"}
    return httpx.Client(base_url=process.url, headers=headers, timeout=30, trust_env=False)


def database_runs(folder: Path) -> bool:
    """Whether the embedded database of the data folder runs."""
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((folder / "postgres" / "postmaster.pid").read_text().split()[0]), 0)
        return True
    return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which `development` was started."""
    return tmp_path_factory.mktemp("development")


@pytest.fixture(scope="module")
def development(folder: Path) -> Iterator[tuple[ServeProcess, list[str]]]:
    """The service without any setting, and what it said when it started."""
    with ServeProcess(cwd=folder) as process:
        yield process, announced(process)


def test_it_says_where_everything_is(development: tuple[ServeProcess, list[str]], folder: Path) -> None:
    """At most eight lines name the address, the pages, the contract and the data folder."""
    process, said = development

    assert len(said) <= 8
    assert f"todo-api 1.0.0 serves {process.url}" == said[0]
    assert str(folder / ".todo-api") in "\n".join(said)
    addresses = re.findall(r"http://\S+", "\n".join(said[1:-1]))
    assert [f"{process.url}/docs/", f"{process.url}/openapi.yaml"] == addresses
    assert [200, 200] == [httpx.get(address, trust_env=False).status_code for address in addresses]


@needs_curl
def test_the_line_with_curl_works_as_printed(development: tuple[ServeProcess, list[str]]) -> None:
    """The last line, pasted into a shell, answers the tasks of the user demo."""
    _, said = development
    command = f"{said[-1]} --silent --include"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)

    assert 0 == ended.returncode
    assert ended.stdout.startswith("HTTP/1.1 200 OK")
    assert ended.stdout.endswith("\n\n[]\n")


@needs_curl
def test_the_line_with_curl_has_the_scopes_that_are_asked_for(tmp_path: Path) -> None:
    """Where the contract asks for a scope to read the tasks, the token that is printed has it."""
    project = project_with(contract_with({"/security": [{"bearer": ["reader"]}]}), tmp_path)
    with ServeProcess(cwd=project, PYTHONPATH=str(project)) as process:
        command = f"{announced(process)[-1]} --silent"
        ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert "[]\n" == ended.stdout


def test_tokens_of_the_command_are_taken(development: tuple[ServeProcess, list[str]], folder: Path) -> None:
    """`todo-api token` in the same folder makes tokens that the running service takes."""
    process, _ = development
    with signed_in(process, folder, "alice") as client:
        assert 201 == client.post("/api/alice/tasks", json={"title": "Buy milk"}).status_code
        assert 403 == client.get("/api/demo/tasks").status_code


def test_it_is_ready(development: tuple[ServeProcess, list[str]]) -> None:
    """The embedded database has been made and migrated before the first request."""
    process, _ = development
    assert 200 == httpx.get(f"{process.url}/health/ready", trust_env=False).status_code


is_heard = pytest.mark.skipif(
    signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, reason="SIGHUP is ignored, as by nohup"
)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=[pytest.mark.faults, is_heard])]
)
def test_it_ends_without_a_word(tmp_path: Path, number: signal.Signals) -> None:
    """On a signal it ends with 0, has said no more than at its start, and leaves no database running."""
    with ServeProcess(cwd=tmp_path) as process:
        announced(process)
        process.wait_until_live()
        assert database_runs(tmp_path / ".todo-api")

        assert (0, "") == process.stop(number)
        assert not database_runs(tmp_path / ".todo-api")


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.faults)])
def test_it_can_be_stopped_while_it_starts(tmp_path: Path, number: signal.Signals) -> None:
    """A signal during the start ends the service with 0, without a traceback and without a database left."""
    with ServeProcess(cwd=tmp_path) as process:
        wait_until((tmp_path / ".todo-api" / "postgres.lock").exists)

        assert (0, "") == process.stop(number)
        assert not database_runs(tmp_path / ".todo-api")


@pytest.mark.faults
@pytest.mark.parametrize("workers", ["1", "2"])
def test_nothing_is_lost_when_it_is_killed(tmp_path: Path, workers: str) -> None:
    """After kill -9, which workers do not outlive, and a restart on the same folder and port the tasks are there."""
    with ServeProcess(cwd=tmp_path, WEB_CONCURRENCY=workers) as process:
        process.wait_until_live()
        with signed_in(process, tmp_path) as client:
            created = [client.post("/api/demo/tasks", json={"title": f"{n}"}).json() for n in range(20)]
        assert -signal.SIGKILL == process.stop(signal.SIGKILL)[0]

    wait_until(lambda: is_free(process.port))
    with ServeProcess(process.port, cwd=tmp_path) as again:
        again.wait_until_live()
        with signed_in(again, tmp_path) as client:
            assert created[::-1] == client.get("/api/demo/tasks").json()
        assert 0 == again.stop()[0]
    assert not database_runs(tmp_path / ".todo-api")


@pytest.mark.faults
@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_two_servers_share_a_data_folder(tmp_path: Path, first_leaves_first: bool) -> None:
    """A second server on the same DATA_DIR sees the same tasks, and whichever stops first leaves the other served."""
    with ServeProcess(cwd=tmp_path) as first:
        first.wait_until_live()
        with ServeProcess(cwd=tmp_path) as second:
            second.wait_until_live()
            with signed_in(first, tmp_path) as client:
                task = client.post("/api/demo/tasks", json={"title": "Buy milk"}).json()
            leaving, staying = (first, second) if first_leaves_first else (second, first)
            assert 0 == leaving.stop()[0]

            with signed_in(staying, tmp_path) as client:
                assert [task] == client.get("/api/demo/tasks").json()
            assert 0 == staying.stop()[0]
    assert not database_runs(tmp_path / ".todo-api")


def refusal(cwd: Path, **environment: str) -> str:
    """The one line with which the service refuses to start."""
    ended = todo_api("serve", cwd=cwd, **environment)
    assert (1, "") == (ended.returncode, ended.stdout)
    (line,) = ended.stderr.splitlines()
    return line


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    """A port on which another program listens stops the start before a database is made."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        sentence = f"cannot listen on 127.0.0.1 port {port} (Address already in use): set HOST and PORT to what is free"
        assert f"error: {sentence}" == refusal(tmp_path, PORT=str(port))
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("host", "reason"),
    [("no-such-host.invalid", "there is no such host"), ("192.0.2.1", "Cannot assign requested address")],
)
def test_a_host_that_is_not_this_one_is_one_line(tmp_path: Path, host: str, reason: str) -> None:
    """A host that is no address of this machine is reported as such."""
    port = free_port()

    line = f"error: cannot listen on {host} port {port} ({reason}): set HOST and PORT to what is free"
    assert line == refusal(tmp_path, HOST=host, PORT=str(port), **PRODUCTION)


def test_a_database_of_an_older_schema_is_one_line(tmp_path: Path, fresh: str) -> None:
    """With DATABASE_URL the service does not migrate; it refuses an older schema and says what to run."""
    line = "error: The database's schema is older than this version of the service: run `todo-api migrate`"
    assert line == refusal(tmp_path, DATABASE_URL=fresh, PORT=str(free_port()), **PRODUCTION)


def test_in_production_no_token_is_printed(tmp_path: Path, database_url: str) -> None:
    """With AUTH_JWT_SECRET the line with curl asks for the health, and the output holds no token."""
    with ServeProcess(cwd=tmp_path, DATABASE_URL=database_url, **PRODUCTION) as process:
        said = announced(process)

        assert f"curl {process.url}/health/ready" == said[-1]
        assert 200 == httpx.get(said[-1].removeprefix("curl "), trust_env=False).status_code
        assert (0, "") == process.stop()
    assert "Bearer" not in "\n".join(said)


def has_ipv6() -> bool:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")
@needs_proc
def test_it_may_open_as_many_files_as_the_system_lets_it(tmp_path: Path, database_url: str) -> None:
    """The soft limit of files that it was started with becomes the hard one, up to 65,536."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        process = ServeProcess(cwd=tmp_path, DATABASE_URL=database_url, **PRODUCTION).__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with ExitStack() as stack:
        stack.push(process.__exit__)
        process.wait_until_live()
        most = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
        assert most == resource.prlimit(process.process.pid, resource.RLIMIT_NOFILE)[0]


def test_it_listens_on_ipv6(tmp_path: Path, database_url: str) -> None:
    """With the host ::1 the service answers there, and the addresses that it prints have the brackets."""
    with ServeProcess(cwd=tmp_path, HOST="::1", DATABASE_URL=database_url, **PRODUCTION) as process:
        said = announced(process)

        assert f"todo-api 1.0.0 serves http://[::1]:{process.port}" == said[0]
        assert f"curl 'http://[::1]:{process.port}/health/ready'" == said[-1]
        with httpx.Client(trust_env=False) as client:
            assert 200 == client.get(f"http://[::1]:{process.port}/health/ready").status_code


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_signal_lets_what_is_in_flight_finish(
    tmp_path: Path, fresh: str, number: signal.Signals, workers: str
) -> None:
    """A change that waits for a lock when the signal comes is still made and answered; the status is 0."""
    migrations.upgrade(fresh)
    environment = {"DATABASE_URL": fresh, "WEB_CONCURRENCY": workers, **PRODUCTION}
    with ServeProcess(cwd=tmp_path, **environment) as process, ThreadPoolExecutor(2) as threads:
        announced(process)
        process.wait_until_live()
        with Service(process.url).client("alice") as client:
            path = client.post("/api/alice/tasks", json={"title": "Buy milk"}).headers["location"]
            with open_transaction(fresh) as cursor:
                cursor.execute("SELECT FROM tasks FOR UPDATE")
                change = threads.submit(client.put, path, json={"title": "Buy bread"})
                wait_for_waiting(fresh, 1)
                ended = threads.submit(process.stop, number)
                # The signal has arrived where there is nobody left who has nothing to do.
                wait_until(lambda: 1 == len(process.workers()) if workers == "2" else is_free(process.port))

            assert (200, "Buy bread") == (change.result().status_code, change.result().json()["title"])
            assert (0, "") == ended.result()


def test_a_request_that_never_ends_is_told(database_url: str) -> None:
    """A client that has sent half a request is not waited for without end: it gets 503 when its time is up."""
    app = create_app(todo(), settings_for(), database_url)
    config = uvicorn.Config(
        app, lifespan="on", http="httptools", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        running = thread.submit(server.run, [listener])
        service = Service(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with RawConnection(service) as connection:
            headers = (signed_in_as(service, "alice"), JSON, b"Content-Length: 100")
            connection.send(request("POST", "/api/alice/tasks", *headers) + b'{"title":')
            wait_until(lambda: server.started and bool(server.server_state.tasks))
            server.should_exit = True
            answer = connection.answer()
        running.result()

    assert (503, "1") == (answer.status, answer.headers["retry-after"])
    assert "The service is temporarily unavailable. Try again shortly" == answer.sentence


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServeProcess, Path]]:
    """The service with two workers on a database of its own, and the folder in which it was started."""
    folder = tmp_path_factory.mktemp("pair")
    with ServeProcess(cwd=folder, WEB_CONCURRENCY="2") as process:
        announced(process)
        process.wait_until_live()
        wait_until(lambda: 2 == len(process.workers()))
        yield process, folder


@pytest.mark.faults
@needs_proc
def test_each_worker_answers(pair: tuple[ServeProcess, Path]) -> None:
    """With either of the workers frozen the other one serves, on the same tasks."""
    process, folder = pair
    workers = list(process.workers())
    for frozen in workers:
        os.kill(frozen, signal.SIGSTOP)
        try:
            with signed_in(process, folder) as client:
                assert 201 == client.post("/api/demo/tasks", json={"title": f"{frozen}"}).status_code
        finally:
            os.kill(frozen, signal.SIGCONT)
    with signed_in(process, folder) as client:
        titles = [task["title"] for task in client.get("/api/demo/tasks").json()]
    assert [f"{worker}" for worker in reversed(workers)] == titles


@pytest.mark.faults
@needs_proc
def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    """After a worker was killed there are two again, the service answers, and the log says so."""
    with ServeProcess(cwd=tmp_path, WEB_CONCURRENCY="2") as process:
        announced(process)
        wait_until(lambda: 2 == len(process.workers()))
        killed, kept = process.workers()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in process.workers() and 2 == len(process.workers()))

        assert kept in process.workers()
        process.wait_until_live()
        assert 200 == httpx.get(f"{process.url}/health/ready", trust_env=False).status_code
        assert "a worker has died or hung (exit code -9), and is replaced" in process.stop()[1]


@pytest.mark.faults
@needs_proc
def test_a_signal_ends_all_workers(pair: tuple[ServeProcess, Path]) -> None:
    """On SIGTERM to the parent everything ends: with status 0, without a word, the database too."""
    process, folder = pair
    workers = process.workers()

    assert (0, "") == process.stop()
    assert [] == [worker for worker in workers if Path(f"/proc/{worker}").exists()]
    assert not database_runs(folder / ".todo-api")


@pytest.mark.faults
@needs_proc
def test_ctrl_c_in_a_terminal_ends_them_all(tmp_path: Path) -> None:
    """SIGINT to the whole process group, as a terminal sends it, leaves no traceback."""
    with ServeProcess(cwd=tmp_path, WEB_CONCURRENCY="2") as process:
        announced(process)
        wait_until(lambda: 2 == len(process.workers()))
        for worker in process.workers():
            os.kill(worker, signal.SIGINT)

        assert (0, "") == process.stop(signal.SIGINT)
