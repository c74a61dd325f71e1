"""Keeps the embedded PostgreSQL running: whoever serves on it starts it again when it has died."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.embedded.cluster import postmaster, start_again
from db.embedded.programs import EmbeddedPostgresError

INTERVAL_SECONDS = 0.5  # Between two looks at the server.
PAUSE_SECONDS = 2  # After a start that failed, as it does while the disk is full.

log = logging.getLogger("todo_api.embedded")


@contextmanager
def kept_running(data_dir: Path, url: str) -> Iterator[None]:
    """Starts the server of a data folder again, at the same address, whenever it has died, until the context ends.

    A start that fails is tried again for as long as it takes; the log says so once.

    Args:
        data_dir: a folder that is in use by `embedded_postgres`.
        url: what that yielded.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(data_dir, url, ended), name="supervisor", daemon=True)
    # Signals are for the other threads; a thread begins with the mask of the one that starts it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(data_dir: Path, url: str, ended: threading.Event) -> None:
    failed = False
    while not ended.wait(PAUSE_SECONDS if failed else INTERVAL_SECONDS):
        try:
            if _runs(postmaster(data_dir)):
                continue
        except OSError:
            # What cannot be seen now, since this process may open no more files, is looked for again.
            continue
        if not failed:
            log.warning("the embedded PostgreSQL has ended, and is started again")
        try:
            start_again(data_dir, url)
        except EmbeddedPostgresError as error:
            if not failed:
                log.error("the embedded PostgreSQL cannot be started; it is tried again and again: %s", error)
            failed = True
        else:
            log.warning("the embedded PostgreSQL runs again")
            failed = False


def _runs(process: int | None) -> bool:
    if process is None:
        return False
    try:
        if Path("/proc/self").exists():
            # Where nobody waits for it, as in a container without an init process, a dead one is kept as a zombie.
            return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        os.kill(process, 0)  # pragma: no cover - on systems other than Linux
        return True  # pragma: no cover
    except (FileNotFoundError, ProcessLookupError):
        return False
