"""What the targets leave behind, and that `make clean` takes it away."""

import shutil
import subprocess
from pathlib import Path

from tests.support.running import PROJECT

KEPT = {".env", ".todo-api"}


def test_clean_leaves_nothing_of_its_own(tmp_path: Path) -> None:
    """Everything that git ignores is removed, but the settings and the data, and nothing else is."""
    shutil.copy(PROJECT / "Makefile", tmp_path)
    shutil.copytree(PROJECT / "deploy", tmp_path / "deploy")
    ignored = [
        line.rstrip("/").replace(".coverage*", ".coverage.x").replace("*", "x")
        for line in (PROJECT / ".gitignore").read_text().split()
    ]
    for name in ignored:
        place = tmp_path / {"node_modules": "tests/node/node_modules"}.get(name, name)
        place.mkdir(parents=True)
        (place / "file").touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)

    assert KEPT <= {*ignored}
    left = {path.name for path in tmp_path.iterdir()}
    assert {"Makefile", "deploy", "tests", *KEPT} == left
    assert [] == [*(tmp_path / "tests" / "node").iterdir()]
