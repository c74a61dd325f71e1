"""When and on what a run was made: without them its numbers mean little."""

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

PACKAGES = (
    *("connexion", "fastapi", "litestar", "starlette", "uvicorn", "uvloop", "httptools"),
    *("pydantic", "msgspec", "orjson", "pyjwt", "sqlalchemy", "sqlmodel", "psycopg2-binary", "asyncpg"),
)


def circumstances() -> dict[str, Any]:
    """The date, the machine's size, the interpreter and the packages; nothing that would name the machine."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        # Two builds differed by a tenth in speed.
        "python_build": f"{' '.join(platform.python_build())} {platform.python_compiler()}",
        "packages": dict(_versions()),
        **({"node": _node()} if shutil.which("node") else {}),
    }


def one_line() -> str:
    """The circumstances as a plot's subtitle says them."""
    known = circumstances()
    return f"{known['date']}; {known['processor']}, {known['cores']} cores; Python {known['python']}"


def _node() -> str:
    return subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S607


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _versions() -> list[tuple[str, str]]:
    versions = []
    for package in PACKAGES:
        try:
            versions.append((package, version(package)))
        except PackageNotFoundError:
            continue  # It belongs to a peer that is not measured.
    return versions
