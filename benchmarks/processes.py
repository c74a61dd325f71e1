"""What a tree of processes uses: CPU time and memory."""

from collections.abc import Iterator
from typing import Any

import psutil  # type: ignore[import-untyped]


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of a process and its descendants, in seconds; of those that have ended, too."""
    spent = (
        times.user + times.system + times.children_user + times.children_system
        for times in _each(process, "cpu_times")
    )
    return float(sum(spent))


def memory_mb(process: psutil.Process) -> float:
    """Proportional set size of a process and its descendants, in MB of 10^6 bytes.

    A page that several processes share counts for each with its share, so the sum counts nothing twice.
    """
    return float(sum(info.pss for info in _each(process, "memory_full_info"))) / 1e6


def _each(process: psutil.Process, question: str) -> Iterator[Any]:
    for one in (process, *process.children(recursive=True)):
        try:
            yield getattr(one, question)()
        except psutil.NoSuchProcess:
            continue  # It has ended since it was listed.
