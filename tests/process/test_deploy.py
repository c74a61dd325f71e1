"""What stands in `Dockerfile` and `deploy/` fits the project and the tools that will read it."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from openapi.contract import contract
from server.settings import NAMES
from tests.support.running import PROJECT

DOCKERFILE = (PROJECT / "Dockerfile").read_text()
UNITS = [*sorted(PROJECT.glob("deploy/*.service")), *sorted(PROJECT.glob("deploy/*.timer"))]
UNIT = (PROJECT / "deploy" / "todo-api.service").read_text()
MOST_EXPOSED = 2.0  # Of 10, as `systemd-analyze security` counts; most services are beyond 9.


def test_the_image_holds_what_the_service_is_made_of() -> None:
    """Every package and the migrations are copied, and `.dockerignore` lets them and nothing else into the build."""
    build = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    folders = build["targets"]["wheel"]["only-include"]
    copied = {
        name for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.M) for name in line.split()
    }
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()

    assert {*folders, "pyproject.toml", "constraints.txt"} <= copied
    assert copied == {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert all((PROJECT / name).exists() for name in copied)
    assert "*" in ignored


def test_the_image_is_run_as_it_should_be() -> None:
    """It installs the wheel, ends as a user that is not root, and its health is the contract's."""
    stages = DOCKERFILE.split("\nFROM ")[1:]
    users = re.findall(r"^USER (\S+)", stages[-1], re.M)
    paths = re.findall(r"/health/\w+", re.findall(r"^HEALTHCHECK(?:\\\n|.)+", DOCKERFILE, re.M)[0])

    assert (2, ["10001"]) == (len(stages), users)
    assert "pip install --constraint constraints.txt '.[embedded]'" in stages[0]
    assert [contract().operations["get_readiness"].path] == paths


@pytest.mark.parametrize("text", [DOCKERFILE, UNIT], ids=["Dockerfile", "todo-api.service"])
def test_only_settings_that_there_are_get_set(text: str) -> None:
    """What the files set is a setting of the service, or of Python and pip."""
    lines = re.findall(r"^(?:ENV |Environment=|    )(\w+=.*)", text, re.M)
    names = {name for line in lines for name in re.findall(r"(\w+)=", line)}

    assert names - {*NAMES} <= {
        *(
            "PATH",
            "PYTHONUNBUFFERED",
            "PYTHONDONTWRITEBYTECODE",
            "PIP_NO_CACHE_DIR",
            "PIP_DISABLE_PIP_VERSION_CHECK",
        )
    }
    assert {"DATA_DIR"} <= names


def test_the_unit_has_each_limit_once() -> None:
    """What the service may take under systemd is said in one place, since the last word would count."""
    limits = re.findall(r"^(LimitNOFILE|MemoryMax|TasksMax)=", UNIT, re.MULTILINE)
    assert ["LimitNOFILE", "MemoryMax", "TasksMax"] == limits


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.name)
def test_systemd_takes_the_units(tmp_path: Path, file: Path) -> None:
    """`systemd-analyze` finds no fault in the units, and little that a service could do beyond its work."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    for other in UNITS:
        # Their program has to be there.
        text = other.read_text().replace("/opt/todo-api/current/bin/todo-api", "/bin/true")
        (tmp_path / other.name).write_text(text)

    def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["systemd-analyze", *arguments, str(tmp_path / file.name)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (0, "") == ((verified := analyze("verify")).returncode, verified.stderr)
    if file.suffix == ".service":
        (exposure,) = re.findall(r"exposure level.*: ([\d.]+)", analyze("security", "--offline=true").stdout)
        assert float(exposure) <= MOST_EXPOSED
