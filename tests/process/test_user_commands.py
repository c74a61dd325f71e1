"""`todo-api seed`, `user export`, `user erase` and `db shell`, on a real database beside a running service."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.contracts import edited, project_with
from tests.support.running import PROJECT, SECRET, Service, todo_api


@pytest.fixture
def settings(database_url: str) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "AUTH_JWT_SECRET": SECRET.decode()}


def run(*arguments: str, cwd: Path, settings: dict[str, str]) -> str:
    """What a command prints that succeeds."""
    ended = todo_api(*arguments, cwd=cwd, **settings)
    assert (0, "") == (ended.returncode, ended.stderr)
    return ended.stdout


def stored(lines: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of an export, by their tables."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in map(json.loads, lines.splitlines()):
        found.setdefault(row.pop("table"), []).append(row)
    return found


def test_an_example_is_planted_once_exported_and_erased(
    service: Service, user: str, tmp_path: Path, settings: dict[str, str]
) -> None:
    """`seed` gives a user tasks and changes nothing the second time, `user export` prints all that is stored of that
    user, hidden tasks and keys too, and after `user erase` nothing of it is left, and all of another's."""
    assert f"{user} has 5 new tasks.\n" == run("seed", user, cwd=tmp_path, settings=settings)
    assert f"{user} has them all; nothing has changed.\n" == run(
        "seed", user, cwd=tmp_path, settings=settings
    )
    with service.client(user) as own, service.client(f"{user} 2") as other:
        shown = own.get(f"/api/{user}/tasks").json()
        own.delete(f"/api/{user}/tasks/{shown[0]['id']}")
        assert 201 == other.post(f"/api/{user} 2/tasks", json={"title": "Mine"}).status_code
        exported = stored(run("user", "export", user, cwd=tmp_path, settings=settings))
        assert ["users", "idempotency_keys", "tasks"] == list(exported)
        assert [user] == [each["id"] for each in exported["users"]]
        assert shown == [
            {name: each.get(name, task["etag"]) for name in task}
            for task, each in zip(shown, reversed(exported["tasks"]), strict=True)
        ]
        assert [True, *[False] * 4] == [bool(each["deleted_at"]) for each in reversed(exported["tasks"])]
        assert {f"seed: {task['title']}" for task in shown} == {
            each["key"] for each in exported["idempotency_keys"]
        }

        assert f"Nothing of {user} is left.\n" == run(
            "user", "erase", user, "--yes", cwd=tmp_path, settings=settings
        )
        assert {} == stored(run("user", "export", user, cwd=tmp_path, settings=settings))
        assert ["Mine"] == [task["title"] for task in other.get(f"/api/{user} 2/tasks").json()]


@pytest.mark.parametrize("user", [".", ".."])
def test_a_user_whose_name_means_a_folder_is_one_like_others(
    user: str, service: Service, tmp_path: Path, settings: dict[str, str]
) -> None:
    """The commands reach the user that they were given, also where a path would leave the name out."""
    # There is one of each in the database of all tests.
    run("user", "erase", user, "--yes", cwd=tmp_path, settings=settings)
    assert f"{user} has 5 new tasks.\n" == run("seed", user, cwd=tmp_path, settings=settings)
    run("user", "erase", user, "--yes", cwd=tmp_path, settings=settings)
    assert "" == run("user", "export", user, cwd=tmp_path, settings=settings)


def test_paths_and_methods_are_the_contracts(user: str, tmp_path: Path, settings: dict[str, str]) -> None:
    """Where the contract has the operations at other paths, the commands follow."""
    contract = edited(
        ("\n  /api/{user_id}:\n", "\n  /people/{user_id}:\n"),
        ("\n  /api/{user_id}/tasks:\n", "\n  /people/{user_id}/todo:\n"),
        ("\n  /api/{user_id}/tasks/{id}/complete:\n", "\n  /done/{id}/of/{user_id}:\n"),
    )
    moved = {**settings, "PYTHONPATH": str(project_with(contract, tmp_path))}

    assert f"{user} has 5 new tasks.\n" == run("seed", user, cwd=tmp_path, settings=moved)
    assert f"Nothing of {user} is left.\n" == run(
        "user", "erase", user, "--yes", cwd=tmp_path, settings=moved
    )
    assert "" == run("user", "export", user, cwd=tmp_path, settings=settings)


def test_nothing_is_erased_without_a_yes(
    service: Service, user: str, tmp_path: Path, settings: dict[str, str]
) -> None:
    """Without `--yes` the command asks, and no answer is a no; and what can be no user is told so."""
    with service.client(user) as own:
        own.post(f"/api/{user}/tasks", json={"title": "Mine"})
        ended = todo_api("user", "erase", user, cwd=tmp_path, **settings)
        assert (130, 1) == (ended.returncode, len(own.get(f"/api/{user}/tasks").json()))
    wrong = todo_api("user", "export", "a/b", cwd=tmp_path, **settings)
    assert (2, 1) == (wrong.returncode, len(wrong.stderr.splitlines()))


def test_a_shell_on_the_database_in_use(tmp_path: Path, settings: dict[str, str]) -> None:
    """`db shell` is psql on the database of the settings, without its password among the arguments."""
    ended = subprocess.run(
        [sys.executable, "-m", "server", "db", "shell"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), **settings},
        input="\\pset tuples_only\nSELECT version_num FROM alembic_version;\n",
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert (0, "") == (ended.returncode, ended.stderr)
    assert max(file.name[:4] for file in PROJECT.glob("alembic/versions/*.py")) in ended.stdout
