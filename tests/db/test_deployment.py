"""What `todo-api doctor` tells of the ground that it stands on."""

from collections.abc import Iterator

import pytest

from db.admin.deployment import describe
from db.migrations import migrations
from lint.sharding import create_sharded
from server.doctor import Finding, examine
from server.settings import NAMES
from server.todo import todo
from tests.support.clusters import Cluster, cluster, pooler, run
from tests.support.running import SECRET, free_port


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server whose connections can go through a pooler."""
    with cluster(18) as running:
        yield running


def version(url: str) -> str:
    return str(run(url, "SHOW server_version")[0][0])


def test_plain_postgresql(server: Cluster) -> None:
    """A direct connection is reported as one, with the version."""
    sentence = f"plain PostgreSQL {version(server.url)}, reached directly (a proxy that changes nothing cannot be told)"
    assert sentence == describe(server.url).kind


def test_behind_a_pooler(server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """PgBouncer is found, every time, and `todo-api doctor` says so and is content."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    with server.database() as url, pooler(url) as pooled:
        migrations.upgrade(url)
        sentence = f"plain PostgreSQL {version(url)}, behind a pooler such as PgBouncer (how it pools cannot be told)"
        assert {sentence} == {describe(pooled).kind for _ in range(5)}
        monkeypatch.setenv("DATABASE_URL", pooled)
        monkeypatch.setenv("AUTH_JWT_SECRET", SECRET.decode())
        found = list(examine(todo))

    assert Finding("deployment", True, sentence) in found
    assert all(finding.healthy for finding in found)


def test_citus(server: Cluster) -> None:
    """A database with the extension `citus` is reported as Citus, with its version, and whether it holds the tables."""
    with server.database() as url:
        sharded = create_sharded(url)
        run(sharded, "CREATE TABLE stand_in.pg_dist_partition (logicalrelid regclass)")
        run(sharded, "ALTER DATABASE sharded SET search_path TO public, stand_in")
        kind = f"Citus a stand-in on PostgreSQL {version(url)}"
        unused = describe(sharded)
        run(sharded, "INSERT INTO pg_dist_partition VALUES ('tasks')")
        used = describe(sharded)

    assert unused.is_warning
    assert unused.kind.startswith(f"{kind}, which has none of the tables (see docs/deploy/citus.md), reached")
    assert not used.is_warning
    assert used.kind.startswith(f"{kind}, reached")


def test_a_database_that_is_away() -> None:
    """What cannot be asked is said to be unknown."""
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/todo"
    assert {"cannot tell: the database did not answer this question"} == {*describe(url)[:2]}
