"""The page on a service of one's own is right about the example: its files, their lines and what they import."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.documentation import code, rows
from tests.support.running import PROJECT, free_port, status_of, wait_until

PAGE = PROJECT / "docs/start-your-own.md"
LIBRARY = PROJECT / "examples/library"
FILES = {
    str(file.relative_to(PROJECT)): len(file.read_text(encoding="utf-8").splitlines())
    for file in LIBRARY.rglob("*")
    if file.suffix in {".py", ".yaml"}
}


def test_the_files_and_their_lines() -> None:
    """The table has every file of the example with its number of lines."""
    shown = {code(cells[0])[0]: int(cells[1]) for cells in rows(PAGE, "Start a service of your own")}

    assert shown == FILES


def test_the_sums() -> None:
    """The sums of the lines, those written by hand, generated and of tests, are the example's, and below 700."""
    tests = sum(len(file.read_text().splitlines()) for file in (PROJECT / "tests/example").glob("*.py"))
    generated = FILES["examples/library/types.py"]
    written = sum(lines for name, lines in FILES.items() if name.endswith(".py")) - generated
    (sums,) = re.findall(r"That is (\d+) .* and (\d+) that .* have (\d+)\.", PAGE.read_text(encoding="utf-8"))

    assert (str(written), str(generated), str(tests)) == sums
    assert written + generated + tests <= 700


def test_what_it_imports() -> None:
    """The table names everything that the example imports from the project, and nothing else."""
    imported = {
        f"{node.module}.{name.name}"
        for file in LIBRARY.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and str(node.module).partition(".")[0] in {"openapi", "handlers", "db", "server"}
        for name in node.names
    }

    assert imported == {name for cells in rows(PAGE, "What is imported") for name in code(cells[0])}


def test_the_test_passes(tmp_path: Path) -> None:
    """The test that the page has for a service of one's own is right about the example."""
    (shown,) = re.findall(r"```python\n(import asyncio\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    made: dict[str, Any] = {}
    exec(shown.replace("from library", "from examples.library"), made)

    made["test_loans"](tmp_path)


def test_a_package_elsewhere_is_served(tmp_path: Path) -> None:
    """A copy of the example, as a package of another name in another folder, is served by two workers, and `--reload`
    sees what is edited there."""
    shutil.copytree(LIBRARY, tmp_path / "library", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (tmp_path / "library").rglob("*.py"):
        file.write_text(file.read_text().replace("examples.library", "library"))
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "library", "serve", "--port", str(port), "--workers", "2", "--reload"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)},
    )

    def status(path: str) -> int | None:
        assert process.poll() is None
        return status_of(f"http://127.0.0.1:{port}{path}")

    try:
        wait_until(lambda: status("/health/ready") == 200, 120)
        assert 404 == status("/health/awake")
        contract = tmp_path / "library" / "openapi.yaml"
        contract.write_text(contract.read_text().replace("/health/live:", "/health/awake:"))
        wait_until(lambda: status("/health/awake") == 200, 120)
    finally:
        process.terminate()
        process.wait(timeout=60)
