"""The documentation says what is so: what exists is documented, what is documented exists, and its commands run."""

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import click
import pytest

from openapi.contract import contract
from server.advice import shown_defaults
from server.cli import cli
from server.settings import Settings
from tests.support.clusters import run
from tests.support.contracts import edited, project_with
from tests.support.documentation import PAGES, anchors, blocks_of_code, code, inline, rows, tokens
from tests.support.running import PROJECT, ServeProcess, free_port, status_of, wait_until

README = PROJECT / "README.md"
TUTORIAL = PROJECT / "docs/tutorial.md"
SETTINGS = PROJECT / "docs/settings.md"
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")

COMMAND_PAGES = [README, PROJECT / "CONTRIBUTING.md", TUTORIAL, SETTINGS]
BLOCKS = [block for page in COMMAND_PAGES for block in blocks_of_code(page, "sh")]
# Commands behind `$`, each followed by what it prints.
CONSOLES = [block for page in COMMAND_PAGES for block in blocks_of_code(page, "console")]
LOCAL = "127.0.0.1:8000"
REMOTE = "postgresql://user:password@host/database?sslmode=require"


def page_name(page: Path) -> str:
    """A page's name in a test's."""
    return str(page.relative_to(PROJECT))


def commands(group: click.Command, path: str = "todo-api") -> Iterator[str]:
    """Every command as it is called, such as `todo-api token`."""
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, f"{path} {name}")
    else:
        yield path


def test_the_table_has_every_setting() -> None:
    """The table has each setting once, in order, with its own default and title."""
    expected = [
        [f"`{name}`", f"`{default}`" if default else "", title] for name, title, default in shown_defaults()
    ]

    assert expected == rows(SETTINGS, "The settings")


def test_every_operation_is_in_the_table() -> None:
    """The README's table names each operation of the contract once, and nothing that is none."""
    named = [operation for cells in rows(README, "The API") for operation in code(cells[0])]

    assert sorted(
        f"{operation.method} {operation.path}" for operation in contract().operations.values()
    ) == sorted(named)


@pytest.mark.parametrize("command", [*commands(cli)])
def test_every_command_is_documented(command: str) -> None:
    """Each command of `todo-api` is on a page."""
    assert re.search(rf"\b{command}\b", TEXT)


@pytest.mark.parametrize("target", re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))
def test_every_target_is_documented(target: str) -> None:
    """Each target that `make help` lists is on a page."""
    assert re.search(rf"\bmake {target}(?![\w-])", TEXT)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_what_code_names_is_there(page: Path) -> None:
    """The commands, targets, files and definitions (`folder/file.py::name`) that a page names in code are there."""
    spans = [part.content for part in inline(page, "code_inline")]
    for span in spans:
        if command := re.match(r"(?:\.venv/bin/)?todo-api ([a-z]+)", span):
            assert command[1] in cli.commands
        elif target := re.fullmatch(r"make ([a-z-]+)", span):
            assert re.search(rf"^{target[1]}:", MAKEFILE, re.MULTILINE), span
        elif named := re.fullmatch(r"([a-z_]+/[\w/]+)\.py::([\w.]+)", span):
            module = importlib.import_module(named[1].replace("/", "."))
            assert reduce(getattr, named[2].split("."), module), span
        elif re.fullmatch(r"\.?[\w-]+/([\w.-]+/)*([\w-]+\.\w+)?", span):
            assert (PROJECT / span).exists() or ignored(span), span


def ignored(path: str) -> bool:
    """Whether git leaves a path out, since it is made and not written."""
    return 0 == subprocess.run(["git", "check-ignore", "--quiet", path], cwd=PROJECT).returncode


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link leads to a file or a folder of the project, and its fragment to a heading there."""
    for link in inline(page, "link_open"):
        path, _, fragment = str(link.attrs["href"]).partition("#")
        if not re.match(r"[a-z]+:", path):
            target = (page.parent / path).resolve() if path else page
            assert target.is_relative_to(PROJECT), path
            assert target.exists(), path
            assert not fragment or fragment in anchors(target), fragment


def test_no_two_decisions_have_a_number() -> None:
    """Each decision has a number of its own, which its title repeats."""
    decisions = sorted((PROJECT / "docs/decisions").glob("*.md"))
    numbers = [int(decision.name.partition("-")[0]) for decision in decisions]

    assert sorted(set(numbers)) == numbers
    assert numbers == [int(tokens(decision)[1].content.partition(".")[0]) for decision in decisions]


def test_the_changelog_has_this_version() -> None:
    """The newest version of the changelog is the contract's."""
    titles = (block.content for block in tokens(PROJECT / "CHANGELOG.md") if "inline" == block.type)
    newest = next(title for title in titles if re.match(r"[0-9]", title))

    assert contract().document["info"]["version"] == newest.partition(" ")[0]


def test_the_settings_of_an_issuer_are_right(tmp_path: Path) -> None:
    """The settings for an issuer are taken as they stand."""
    (block,) = blocks_of_code(SETTINGS, "ini")
    (tmp_path / ".env").write_text(block)

    assert Settings.load(env_file=tmp_path / ".env").auth_audience in block


@pytest.mark.parametrize(
    ("language", "files"),
    [("yaml", "openapi/*.yaml"), ("python", "db/*.py"), ("sql", "alembic/versions/*.py")],
)
def test_the_tutorial_shows_what_is_there(language: str, files: str) -> None:
    """Each line of code that the tutorial shows stands in the project."""
    source = "\n".join(file.read_text(encoding="utf-8") for file in PROJECT.glob(files))
    shown = "".join(blocks_of_code(TUTORIAL, language)).splitlines()

    assert shown
    assert [] == [line for line in shown if line.strip(" ;") not in source]


def is_make(block: str) -> bool:
    """Whether a block calls `make` alone."""
    return all(line.startswith("make ") for line in block.splitlines() if line)


@pytest.mark.parametrize("block", [*filter(is_make, BLOCKS)])
def test_blocks_of_targets(block: str) -> None:
    """A block that calls `make` names targets that can be made."""
    ended = subprocess.run(
        ["bash", "-euc", re.sub("^make ", "make --dry-run ", block, flags=re.MULTILINE)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )

    assert (0, "") == (ended.returncode, ended.stderr)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder in which `.venv/bin/todo-api` is the command, and where curl fails if it is refused."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = tmp_path / ".venv/bin/todo-api"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nPYTHONPATH={PROJECT} exec {sys.executable} -m server "$@"\n')
    command.chmod(0o755)
    (tmp_path / ".curlrc").write_text('fail-with-body\nsilent\nnoproxy = "*"\n')
    return tmp_path


def shell(block: str, folder: Path, **environment: str) -> "subprocess.Popen[str]":
    """Runs a block as a person would who stands in `folder`, in a process group of its own."""
    return subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.faults
def test_the_block_with_curl(installed: Path) -> None:
    """The README's first calls create, list, complete, delete and restore a task of a service that was just started,
    and each answer that has a body ends its line."""
    (block,) = (block for block in BLOCKS if "curl" in block)
    with ServeProcess(cwd=installed) as service:
        service.wait_until_live()
        process = shell(block.replace(LOCAL, f"127.0.0.1:{service.port}"), installed)
        output = process.communicate(timeout=60)[0]

    assert 0 == process.returncode, output
    created, listed, completed, restored = output.splitlines()
    assert f"[{created}]" == listed
    assert '"status":"complete"' in completed
    assert '"status":"complete"' in restored


@pytest.mark.faults
def test_the_block_with_a_database(installed: Path, database_url: str) -> None:
    """The commands for a database of one's own migrate an empty one and serve on it."""
    (block,) = (block for block in BLOCKS if REMOTE in block)
    run(database_url, "CREATE DATABASE documented")
    port = free_port()
    process = shell(
        block.replace(REMOTE, database_url.replace("/todo?", "/documented?")), installed, PORT=str(port)
    )

    def answers() -> bool:
        assert process.poll() is None, process.communicate()[0]
        return 200 == status_of(f"http://127.0.0.1:{port}/health/ready")

    try:
        wait_until(answers)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.mark.faults
def test_what_the_contract_decides(installed: Path, database_url: str) -> None:
    """The change of the contract that the README shows brings the answer and the verdict that the README shows."""
    project_with(edited(), installed)
    git = "git -c user.name=demo -c user.email=demo@localhost"
    shell(f"git init -qb main && git add openapi && {git} commit -qm old", installed).communicate(timeout=60)
    (change,) = blocks_of_code(README, "diff")
    before, after = (line[1:] for line in change.splitlines())
    (installed / "openapi/openapi.yaml").write_text(edited((before, after)))
    variables = [line for block in BLOCKS for line in block.splitlines() if re.match("(TOKEN|TASKS)=", line)]
    environment = {"PYTHONPATH": str(installed), "DATABASE_URL": database_url}
    with ServeProcess(cwd=installed, **environment) as service:
        service.wait_until_live()
        for console in CONSOLES:
            called = re.findall(r"^\$ ((?:.*\\\n)*.*)", console, re.MULTILINE)
            block = "\n".join([*variables, *called]).replace("/tmp/", f"{installed}/")
            process = shell(block.replace(LOCAL, f"127.0.0.1:{service.port}"), installed)
            shown = re.sub(r"^\$ (?:.*\\\n)*.*\n", "", console, flags=re.MULTILINE)

            assert shown == process.communicate(timeout=60)[0]


def test_every_block_is_run() -> None:
    """Every block of commands is one that a test above runs."""
    assert [] == [
        block for block in BLOCKS if not is_make(block) and "curl" not in block and REMOTE not in block
    ]
