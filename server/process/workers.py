"""Several worker processes on one listening socket: started, replaced and ended together."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Set
from multiprocessing import parent_process, resource_tracker
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from openapi.bridge.document.places import ContractError
from server.app import create_app
from server.process.listening import several
from server.product import LoadProduct
from server.settings import Settings

log = logging.getLogger("todo_api")


def create_worker(load: LoadProduct, settings: Settings, database_url: str) -> ASGIApp:
    """The application of one of several workers, which ends when the process that started it is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        app: ASGIApp = create_app(load(), settings, database_url)
    except ContractError as error:
        # After an edit, while the worker before serves on.
        log.error("openapi.yaml: %s", error)
        sys.exit(STARTUP_FAILURE)
    return app


def _end_with_parent() -> None:
    # After a kill -9 of the parent nobody else would tell its workers, which would go on holding the port.
    if (parent := parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


class Workers(Multiprocess):
    """uvicorn's supervisor of the worker processes; when it stops, new connections are refused at once."""

    def terminate_all(self) -> None:
        """Ends the workers. They share the listening socket, which lets nobody wait for them any more."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def keep_subprocess_alive(self) -> None:
        """Replaces workers that have died or hang, and says so: one that was killed has no last word in the log."""
        before = list(self.processes)
        super().keep_subprocess_alive()
        for old, new in zip(before, self.processes, strict=True):
            if old is not new:
                log.warning("a worker has died or hung (exit code %s), and is replaced", old.exitcode)


def run_workers(
    configuration: uvicorn.Config,
    listener: socket.socket,
    ends_with_terminal: bool,
    watched: Set[Path] = frozenset(),
) -> bool:
    """Runs worker processes until SIGTERM or SIGINT; whether each of them could start.

    SIGHUP replaces them one by one, so that no request is lost.

    Args:
        configuration: of each worker; its application is `create_worker` with the first arguments.
        ends_with_terminal: whether SIGHUP means that the terminal was closed.
        watched: the folders whose contracts and code replace them when they change.
    """
    # A terminal sends Ctrl-C and its end to the workers too. They inherit that both are blocked and leave them to the
    # parent, which ends them; otherwise one that is still being imported would print a traceback. The resource
    # tracker of multiprocessing unblocks Ctrl-C when it starts, so that has to be before.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    workers = Workers(configuration, sockets=several(listener))
    # In uvicorn's queue of signals it would wait for the end of a restart.
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    threading.Thread(target=_pass_on_signals, args=(workers, ends_with_terminal), daemon=True).start()
    if watched:
        threading.Thread(target=_replace_when_changed, args=(workers, watched), daemon=True).start()
    workers.run()
    return all(worker.exitcode != STARTUP_FAILURE for worker in workers.processes)


def _pass_on_signals(workers: Workers, ends_with_terminal: bool) -> None:
    while signal.sigwait({signal.SIGINT, signal.SIGHUP}) == signal.SIGHUP and not ends_with_terminal:
        workers.signal_queue.append(signal.SIGHUP)
    workers.should_exit.set()


def _replace_when_changed(workers: Workers, watched: Set[Path]) -> None:
    from watchfiles import PythonFilter, watch

    sources = PythonFilter(extra_extensions=[".yaml"])
    for _ in watch(*watched, watch_filter=sources, stop_event=workers.should_exit):
        workers.signal_queue.append(signal.SIGHUP)
