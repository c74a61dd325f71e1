"""A PostgreSQL of the test's own that can be stopped under a service and started again, and what clients are told."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from db.embedded.account import server_account
from db.embedded.cluster import embedded_postgres

UNAVAILABLE = (503, "1", {"error": "The service is temporarily unavailable. Try again shortly"})


def told(response: httpx.Response) -> tuple[int, str | None, Any]:
    """The status, when to come again, and the body."""
    return response.status_code, response.headers.get("retry-after"), response.json()


class Outage:
    """A PostgreSQL of the test's own that can be stopped under a service and started again."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.url = self.start()

    def start(self) -> str:
        """Starts it, as the next `todo-api serve` on the folder would, and returns its URL."""
        return self._stack.enter_context(embedded_postgres(self._folder))

    def stop(self, mode: str) -> None:
        """Stops it: `fast` in order, `immediate` as a crash does."""
        cluster = self._folder / "postgres"
        account = server_account(cluster)
        stop = ("stop", "-D", ".", "-w", "-m", mode)
        account.run_program("pg_ctl", *stop, folder=cluster, failing="PostgreSQL did not stop")

    @contextmanager
    def frozen(self, backends: Sequence[int] = ()) -> Iterator[None]:
        """Lets none of its processes run, or none of these, so that it neither answers nor hangs up."""
        postmaster = int((self._folder / "postgres" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        processes = list(backends) or [postmaster, *map(int, children)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(processes):
                os.kill(process, signal.SIGCONT)
