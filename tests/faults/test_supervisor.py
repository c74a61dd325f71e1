"""The embedded PostgreSQL dies under a service: it is started again, at the same place, and nothing is lost."""

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psycopg2
import pytest

from db.embedded.account import server_account
from db.embedded.cluster import embedded_postgres, postmaster
from db.embedded.supervisor import INTERVAL_SECONDS, kept_running
from server.identity.claims import issue_token
from tests.support.clusters import run
from tests.support.running import ServeProcess, wait_until

pytestmark = pytest.mark.faults


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder of ours that every user may pass through."""
    with tempfile.TemporaryDirectory(prefix="kept-") as name:
        os.chmod(name, 0o711)
        yield Path(name)


def answers(url: str) -> bool:
    """Whether the database takes a connection."""
    with suppress(psycopg2.OperationalError):
        return run(url, "SELECT 1") == [(1,)]
    return False


def kill(data_dir: Path) -> None:
    """Ends the server as the kernel does that has no memory left."""
    process = postmaster(data_dir)
    assert process is not None
    os.kill(process, signal.SIGKILL)


def stop_at_once(data_dir: Path) -> None:
    """Stops the server as an administrator may."""
    cluster = data_dir / "postgres"
    server_account(cluster).run_program(
        "pg_ctl", "stop", "-D", ".", "-m", "immediate", folder=cluster, failing="?"
    )


@pytest.mark.parametrize("end", [kill, stop_at_once])
@pytest.mark.parametrize("length", [0, 100])
def test_it_comes_back_where_it_was(folder: Path, end: Callable[[Path], None], length: int) -> None:
    """After kill -9 or a stop the server answers again by the same URL, with all data, wherever its socket is."""
    data_dir = folder / f"long{'g' * length}"
    with embedded_postgres(data_dir) as url, kept_running(data_dir, url):
        run(url, "CREATE TABLE acknowledged AS SELECT 'milk' AS title")
        for _ in range(2):
            before = postmaster(data_dir)
            end(data_dir)
            wait_until(lambda: postmaster(data_dir) not in (None, before) and answers(url))  # noqa: B023
        assert [("milk",)] == run(url, "SELECT title FROM acknowledged")
    assert None is postmaster(data_dir)


@pytest.fixture
def adopted() -> Iterator[None]:
    """What has lost its parent is ours and nobody waits for it, as in a container whose first process we are."""
    if sys.platform != "linux":
        pytest.skip("only Linux lets a process adopt those that have lost their parent")
    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1)
    yield
    ctypes.CDLL(None).prctl(set_child_subreaper, 0)


@pytest.mark.usefixtures("adopted")
@pytest.mark.parametrize("length", [0, 100])
def test_it_comes_back_where_nobody_waits_for_the_dead(folder: Path, length: int) -> None:
    """A server that was killed and is kept as a zombie, with lock files that name it, stands in no way."""
    data_dir = folder / f"long{'g' * length}"
    with embedded_postgres(data_dir) as url, kept_running(data_dir, url):
        for _ in range(2):
            before = postmaster(data_dir)
            kill(data_dir)
            wait_until(lambda: postmaster(data_dir) not in (None, before) and answers(url))  # noqa: B023


def test_it_comes_back_after_files_ran_out(folder: Path) -> None:
    """A time in which the process may open no file is no end of the watch."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with embedded_postgres(folder) as url, kept_running(folder, url):
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        time.sleep(2 * INTERVAL_SECONDS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        before = postmaster(folder)
        kill(folder)
        wait_until(lambda: postmaster(folder) not in (None, before) and answers(url))


def test_a_service_goes_on(folder: Path) -> None:
    """A service whose database is killed is ready again without a restart, says so in its log, and has lost nothing."""
    data_dir = folder / ".todo-api"
    with ServeProcess(cwd=folder) as process:
        process.wait_until_live()
        secret = (data_dir / "secret").read_bytes().strip()
        headers = {"Authorization": f"Bearer {issue_token(secret, 'demo')}"}
        with httpx.Client(base_url=process.url, headers=headers, trust_env=False) as client:
            created = client.post("/api/demo/tasks", json={"title": "Buy milk"}).json()
            before = postmaster(data_dir)
            kill(data_dir)
            wait_until(
                lambda: postmaster(data_dir) != before and client.get("/health/ready").status_code == 200
            )
            assert [created] == client.get("/api/demo/tasks").json()
        status, said = process.stop()
    assert 0 == status
    assert "the embedded PostgreSQL has ended, and is started again" in said
    assert "the embedded PostgreSQL runs again" in said


def wait_for_another_start(log: Path) -> None:
    """Waits until the log of the last start is begun anew."""
    largest = 0

    def is_shorter() -> bool:
        nonlocal largest
        largest = max(largest, log.stat().st_size)
        return log.stat().st_size < largest

    wait_until(is_shorter, 60)


def test_a_start_that_fails_is_tried_again(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A server that cannot be started is tried until it can, and the log says so once."""
    settings = folder / "data" / "postgres" / "postgresql.auto.conf"
    with embedded_postgres(folder / "data") as url, kept_running(folder / "data", url):
        before = settings.read_text()
        settings.write_text("nonsense")
        kill(folder / "data")
        wait_until(lambda: "it is tried again and again" in caplog.text, 60)
        for _ in range(2):
            wait_for_another_start(settings.with_name("startup.log"))
        settings.write_text(before)
        wait_until(lambda: answers(url), 60)
    assert 1 == sum(record.levelname == "ERROR" for record in caplog.records)


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    """A file system of 160 MB; skipped by name where none can be mounted."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160m,mode=0711", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a small file system, which a full disk needs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_that_was_full_for_a_while(disk: Path) -> None:
    """A server that dies while its disk is full is tried until there is room, and then has what was acknowledged."""
    data_dir = disk / "data"
    with embedded_postgres(data_dir) as url, kept_running(data_dir, url):
        run(url, "CREATE TABLE acknowledged (title text)")
        run(url, "INSERT INTO acknowledged VALUES ('milk')")
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(65536))
        assert 0 == shutil.disk_usage(disk).free
        kill(data_dir)
        wait_until(lambda: not answers(url))
        with pytest.raises(psycopg2.OperationalError), closing(psycopg2.connect(url)):
            pass
        ballast.unlink()
        wait_until(lambda: answers(url), 60)
        assert [("milk",)] == run(url, "SELECT title FROM acknowledged")
