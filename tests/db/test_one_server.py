"""The page about one server: its SQL and its commands lead to a service, a backup, and back."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.support.clusters import PASSWORD, Cluster, cluster, run
from tests.support.running import PROJECT, SECRET, todo_api

PAGE = (PROJECT / "docs/deploy/one-server.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """Debian's PostgreSQL."""
    with cluster(15) as running:
        yield running


def test_there_and_back(server: Cluster, tmp_path: Path) -> None:
    """By the page's SQL the service's login can migrate and restore, a superuser can back up, and all is well."""
    (sql,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    for statement in sql.split(";\n")[:-1]:
        run(server.url, statement)
    run(server.url, f"ALTER ROLE \"todo-api\" PASSWORD '{PASSWORD}'")
    ours = server.as_login("todo-api", "todo")
    administrators = make_url(server.url).set(database="todo").render_as_string(hide_password=False)

    def call(url: str, *arguments: str) -> str:
        ended = todo_api(*arguments, cwd=tmp_path, DATABASE_URL=url, AUTH_JWT_SECRET=SECRET.decode())
        assert 0 == ended.returncode, ended.stdout + ended.stderr
        return ended.stdout

    call(ours, "migrate")
    call(ours, "doctor")
    run(administrators, "INSERT INTO users (id) VALUES ('alice')")
    call(administrators, "backup", "todo.backup")
    run(administrators, "DELETE FROM users")
    call(ours, "restore", "--force", "todo.backup")
    assert [("alice",)] == run(administrators, "SELECT id FROM users")
    call(ours, "migrate")
    assert "FAIL" not in call(ours, "doctor")
    call(ours, "purge")
