"""A disk without room: writes are refused, nothing is half-written, reads go on, and it passes by itself."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url

from db.embedded.account import server_account
from db.migrations import migrations
from tests.support.clusters import Cluster, run
from tests.support.running import service_in_thread

pytestmark = pytest.mark.faults

UNAVAILABLE = (503, {"error": "The service is temporarily unavailable. Try again shortly"})
TITLE = "x" * 255
BODY = {"title": TITLE, "description": "y" * 5000}


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A file system of 24 MB for PostgreSQL; skipped by name where none can be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="full-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip("this user may not mount a small file system, which a full disk needs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


@pytest.fixture(scope="module")
def url(database_url: str, disk: Path) -> Iterator[str]:
    """A database whose tables are on that disk."""
    account = server_account(Path(str(make_url(database_url).query["host"])))
    space = disk / "tablespace"
    space.mkdir(mode=0o700)
    os.chown(space, account.uid, account.gid)
    run(database_url, f"CREATE TABLESPACE small LOCATION '{space}'")
    try:
        with Cluster(database_url).database(options="TABLESPACE small") as url:
            migrations.upgrade(url)
            yield url
    finally:
        run(database_url, "DROP TABLESPACE small")


def fill(disk: Path) -> Path:
    """Takes the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65536))
    assert 0 == shutil.disk_usage(disk).free
    return ballast


def test_a_full_disk_is_told_and_passes(disk: Path, url: str, user: str, tasks: str) -> None:
    """Without room creations are 503 and store nothing, not even their keys; reads are served; with room again the
    same creations are made."""

    def create(client: httpx.Client, number: int) -> httpx.Response:
        return client.post(tasks, json=BODY, headers={"Idempotency-Key": f"{number}"})

    with service_in_thread(url) as service, service.client(user) as client:
        assert 201 == create(client, 0).status_code
        ballast = fill(disk)
        created = 1
        while (response := create(client, created)).status_code == 201:
            created += 1
        assert UNAVAILABLE == (response.status_code, response.json())
        listed = client.get(tasks)
        assert (200, created) == (listed.status_code, len(listed.json()))
        assert all(len(TITLE) == len(task["title"]) for task in listed.json())
        assert [(created,)] == run(url, "SELECT count(*) FROM idempotency_keys WHERE user_id = %s", user)

        ballast.unlink()
        assert 201 == create(client, created).status_code
        assert created + 1 == len(client.get(tasks).json())
