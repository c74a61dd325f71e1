"""The command `todo-api`: what it prints where, and that every failure is one line and a status that is not zero."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tomllib
from contextlib import suppress
from functools import partial
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner

from db.migrations import migrations
from examples.library.product import library
from openapi.contract import CONTRACT_FILE, contract
from server.advice import shown_defaults
from server.cli import cli, group
from server.identity.bearer import BearerVerifier
from server.identity.claims import TokenRules
from server.identity.keys import SharedSecret
from server.settings import NAMES
from tests.support.clusters import run
from tests.support.contracts import edited
from tests.support.running import PROJECT, SECRET, copy_project, free_port, status_of, todo_api, wait_until

COMMANDS = [
    "backup",
    "completion",
    "contract",
    "db",
    "doctor",
    "migrate",
    "purge",
    "restore",
    "routes",
    "seed",
    "serve",
    "settings",
    "token",
    "user",
    "version",
]


def refusal(*arguments: str, cwd: Path, status: int = 1, **environment: str) -> list[str]:
    """The lines with which a command fails; it must print nothing else."""
    ended = todo_api(*arguments, cwd=cwd, **environment)
    assert status == ended.returncode, ended.stderr
    assert "" == ended.stdout
    return ended.stderr.splitlines()


def shell(script: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script of the shell, in which `todo_api` is the command, with these settings and no others."""
    values = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), **environment}
    named = f'todo_api="{sys.executable} -m server"; {script}'
    return subprocess.run(["sh", "-c", named], cwd=cwd, env=values, capture_output=True, text=True)


def test_help_names_every_command(tmp_path: Path) -> None:
    """`--help` tells every command with a sentence of its own, none of them cut short."""
    ended = todo_api("--help", cwd=tmp_path)

    assert (0, "") == (ended.returncode, ended.stderr)
    listed = [line.split(maxsplit=1) for line in ended.stdout.partition("Commands:")[2].splitlines() if line]
    assert COMMANDS == [name for name, _ in listed]
    assert all(sentence.endswith(".") and not sentence.endswith("...") for _, sentence in listed)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    """`-h` after a command explains it and runs nothing, for which it would need the service."""
    ended = CliRunner().invoke(cli, [command, "-h"], prog_name="todo-api")

    assert (0, "") == (ended.exit_code, ended.stderr)
    assert ended.stdout.startswith(f"Usage: todo-api {command} ")


def test_help_does_not_wait_for_what_it_does_not_need() -> None:
    """Importing the command imports none of the large libraries behind it."""
    script = "import sys, server.cli; print(*{'connexion', 'sqlalchemy', 'uvicorn'} & {*sys.modules})"
    printed = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    assert "\n" == printed.stdout


def test_the_version_is_that_of_the_contract_and_of_the_package(tmp_path: Path) -> None:
    """`--version` prints the contract's version, which is the package's too."""
    version = contract().document["info"]["version"]
    ended = todo_api("--version", cwd=tmp_path)

    assert (0, f"todo-api {version}\n", "") == (ended.returncode, ended.stdout, ended.stderr)
    assert version == tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "Missing command"),
        (["nonsense"], "'nonsense'"),
        (["--nonsense"], "--nonsense"),
        (["token"], "'USER'"),
        (["token", "alice", "--ttl", "0s"], "'--ttl': must be a number from 1 to 99999 and s, m, h or d"),
        (["token", "alice", "--ttl", "1 hour"], "'--ttl': must be"),
        (["serve", "--env-file", "nowhere"], "'nowhere'"),
        (["routes", "all", "of", "them"], "(all of them)"),
        (["completion"], "'SHELL'. Choose from: bash, zsh, fish"),
        (["completion", "tcsh"], "'tcsh'"),
        (["contract"], "Missing command"),
        (["contract", "diff", str(CONTRACT_FILE), "nowhere.yaml"], "'nowhere.yaml'"),
        (
            ["contract", "mock", str(CONTRACT_FILE), "--host", ""],
            "'--host': must be an IP address or a host name",
        ),
        (["contract", "mock", str(CONTRACT_FILE), "--host", "é..é"], "'--host': must be an IP address"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, arguments: list[str], named: str) -> None:
    """Wrong use of the command is reported in one line that names the fault and leads to the help, with status 2."""
    (line,) = refusal(*arguments, cwd=tmp_path, status=2)

    assert line.startswith("error: ")
    assert named in line
    assert line.endswith(" (see todo-api --help)")


def test_a_token_is_all_that_is_printed(tmp_path: Path) -> None:
    """`token USER` prints one token for the user, signed with AUTH_JWT_SECRET, and nothing else."""
    ended = todo_api("token", "auth0|ü 1", cwd=tmp_path, AUTH_JWT_SECRET=SECRET.decode())

    verifier = BearerVerifier(SharedSecret(SECRET), TokenRules())
    assert (0, "") == (ended.returncode, ended.stderr)
    assert {"sub": "auth0|ü 1", "email": None, "scope": ()} == verifier.verify(
        None, ended.stdout.removesuffix("\n")
    )


def test_a_token_satisfies_the_rules_that_are_set(tmp_path: Path) -> None:
    """A token names the issuer and the audience that the service asks for."""
    rules = {"AUTH_ISSUER": "https://issuer.example", "AUTH_AUDIENCE": "todo"}
    ended = todo_api("token", "alice", cwd=tmp_path, AUTH_JWT_SECRET=SECRET.decode(), **rules)

    verifier = BearerVerifier(SharedSecret(SECRET), TokenRules("https://issuer.example", "todo"))
    assert {"sub": "alice", "email": None, "scope": ()} == verifier.verify(None, ended.stdout.strip())


def test_in_development_tokens_are_signed_with_the_secret_of_the_data_folder(tmp_path: Path) -> None:
    """Without settings a token is signed with the secret that is made in DATA_DIR and closed to other users."""
    ended = todo_api("token", "alice", cwd=tmp_path)

    secret = tmp_path / ".todo-api" / "secret"
    verifier = BearerVerifier(SharedSecret(secret.read_bytes().strip()), TokenRules())
    assert {"sub": "alice", "email": None, "scope": ()} == verifier.verify(None, ended.stdout.strip())
    assert 0o600 == secret.stat().st_mode & 0o777


@pytest.mark.parametrize(("written", "seconds"), [("90s", 90), ("30d", 2_592_000)])
def test_a_token_lives_as_long_as_asked(tmp_path: Path, written: str, seconds: int) -> None:
    """`--ttl` says how long a token is good."""
    ended = todo_api("token", "alice", "--ttl", written, cwd=tmp_path, AUTH_JWT_SECRET=SECRET.decode())

    claims = jwt.decode(ended.stdout.strip(), options={"verify_signature": False})
    assert seconds == claims["exp"] - claims["iat"]


def test_a_token_has_the_scopes_that_are_asked_for(tmp_path: Path) -> None:
    """`--scope` says what the user may do."""
    ended = todo_api(
        "token", "alice", "--scope", "openid librarian", cwd=tmp_path, AUTH_JWT_SECRET=SECRET.decode()
    )
    claims = jwt.decode(ended.stdout.strip(), SECRET, algorithms=["HS256"])

    assert "openid librarian" == claims["scope"]


def test_no_token_is_made_beside_an_issuer(tmp_path: Path) -> None:
    """With AUTH_JWKS_URL only the issuer makes tokens, and the line says so."""
    issuer = {"AUTH_JWKS_URL": "https://issuer.example/jwks", "AUTH_AUDIENCE": "todo"}

    line = "error: AUTH_JWKS_URL is set, so only the issuer makes tokens: sign in there to get one"
    assert [line] == refusal("token", "alice", cwd=tmp_path, **issuer)


@pytest.mark.parametrize(
    ("user", "fault"),
    [
        ("a/b", "must not contain /, since no path could name that user"),
        ("", "must be 1 to 255 characters"),
        ("x" * 256, "must be 1 to 255 characters"),
    ],
    ids=["slash", "empty", "too long"],
)
def test_no_token_is_made_for_what_cannot_be_a_user(tmp_path: Path, user: str, fault: str) -> None:
    """A user whom the service would refuse gets no token, and the line says why."""
    line = f"error: Invalid value for USER: the user {fault} (see todo-api --help)"
    assert [line] == refusal("token", user, cwd=tmp_path, status=2, AUTH_JWT_SECRET=SECRET.decode())


def test_routes_are_those_of_the_contract(tmp_path: Path) -> None:
    """`routes` lists every operation with its method, path and handler, and whose token it asks for, if any."""
    ended = todo_api("routes", cwd=tmp_path)

    listed = [tuple(line.split(maxsplit=3)) for line in ended.stdout.splitlines()]
    operations = contract().operations.values()
    assert [(operation.method, operation.path) for operation in operations] == [row[:2] for row in listed]
    assert all(
        operation.id == row[2].split(".")[-1] for operation, row in zip(operations, listed, strict=True)
    )
    assert ["/health/live", "/health/ready"] == [row[1] for row in listed if row[3] == "public"]
    assert {"token of {user_id}", "public"} == {row[3] for row in listed}


def test_routes_name_the_scopes() -> None:
    """Where a token alone is not enough, `routes` says which scope it must have."""
    listed = CliRunner().invoke(group(), ["routes"], obj=library).stdout.splitlines()
    (create,) = (line for line in listed if line.startswith("POST") and "/books " in line)
    assert create.endswith("any token with the scope librarian")


@pytest.mark.parametrize(
    ("arguments", "environment", "status", "coloured"),
    [
        (["token"], {}, 2, True),
        (["doctor"], {"PORT": "http", "NO_COLOR": "1"}, 1, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], status: int, coloured: bool
) -> None:
    """On a terminal marks and errors are coloured, unless NO_COLOR is set (no-color.org)."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "server", *arguments]
    values = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), **environment}
    process = subprocess.Popen(command, cwd=tmp_path, env=values, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # Linux tells so that nobody writes any more.
        while chunk := os.read(ours, 4096):
            shown += chunk
    os.close(ours)

    assert status == process.wait()
    assert coloured == (b"\x1b[31m" in shown)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("todo-api", "do"), "doctor"),
        (("todo-api", ""), " ".join(COMMANDS)),
        (("todo-api", "completion", ""), "bash zsh fish"),
    ],
)
def test_bash_completes_the_command(tmp_path: Path, words: tuple[str, ...], offered: str) -> None:
    """What `completion bash` prints lets bash offer commands and their arguments."""
    command = tmp_path / "todo-api"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m server "$@"\n')
    command.chmod(0o755)
    script = (
        'eval "$(todo-api completion bash)"\nCOMP_WORDS=("$@")\nCOMP_CWORD=$(($# - 1))\n'
        '_todo_api_completion todo-api\necho "${COMPREPLY[@]}"'
    )
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT)}
    ended = subprocess.run(
        ["bash", "-c", script, "bash", *words], env=environment, capture_output=True, text=True, check=True
    )

    assert (f"{offered}\n", "") == (ended.stdout, ended.stderr)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_served_too(tmp_path: Path, shell: str) -> None:
    """`completion` prints the script that the shell asks the command's own completion with."""
    ended = todo_api("completion", shell, cwd=tmp_path)

    assert (0, "") == (ended.returncode, ended.stderr)
    assert f"_TODO_API_COMPLETE={shell}_complete" in ended.stdout


def test_the_differences_of_two_contracts_are_told_by_what_they_break(tmp_path: Path) -> None:
    """`contract diff` lists what breaks clients before what does not, and its status says whether anything does."""
    narrowed = tmp_path / "narrowed.yaml"
    narrowed.write_text(edited(("      maxLength: 5000\n", "      maxLength: 500\n")))
    for old, new, status in ((CONTRACT_FILE, CONTRACT_FILE, 0), (CONTRACT_FILE, narrowed, 1)):
        ended = todo_api("contract", "diff", str(old), str(new), cwd=tmp_path)
        assert (status, "") == (ended.returncode, ended.stderr)

    first, *rest = ended.stdout.splitlines()
    assert "breaking    description: maxLength was 5000, is 500" == first
    assert "            POST /api/{user_id}/tasks: body" == rest[0]
    assert "1 breaking, 3 compatible." == rest[-1]


def test_what_is_no_contract_cannot_be_compared(tmp_path: Path) -> None:
    """A file that is no contract is named in one line, with a status that no difference has."""
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("openapi: 3.0.3")

    line = f"error: {wrong}: #/openapi: the version 3.0.3 is not supported; it must be 3.1.x"
    assert [line] == refusal("contract", "diff", str(CONTRACT_FILE), str(wrong), cwd=tmp_path, status=2)


def test_programs_read_json(tmp_path: Path) -> None:
    """With `--json` version, routes and doctor print one JSON document with the members that the text has."""
    printed = {}
    for command in ("version", "routes", "doctor"):
        ended = todo_api(command, "--json", cwd=tmp_path, PORT="http")
        assert ("doctor" == command, "") == (ended.returncode == 1, ended.stderr)
        printed[command] = json.loads(ended.stdout)

    assert {"name": "todo-api", "version": contract().document["info"]["version"]} == printed["version"]
    assert {"method", "path", "handler", "access"} == printed["routes"][0].keys()
    assert len(contract().operations) == len(printed["routes"])
    assert {"settings": False, "contract": True} == {
        found["subject"]: found["healthy"] for found in printed["doctor"]
    }


def test_a_reader_that_has_seen_enough_is_no_fault(tmp_path: Path) -> None:
    """A pipe that closes before the end leaves no traceback."""
    ended = shell("$todo_api routes | head -1", tmp_path)

    assert (0, 1, "") == (ended.returncode, len(ended.stdout.splitlines()), ended.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("command", ["version", "settings", "routes", "token alice", "--help", "doctor"])
def test_what_cannot_be_printed_is_one_line(tmp_path: Path, command: str) -> None:
    """Where what a command prints goes to a full disk, it says so and fails."""
    ended = shell(f"$todo_api {command} >/dev/full", tmp_path, AUTH_JWT_SECRET=SECRET.decode())

    assert (1, "error: what it writes finds no room (No space left on device)\n") == (
        ended.returncode,
        ended.stderr,
    )


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_working_folder_that_is_gone_is_one_line(tmp_path: Path, command: str) -> None:
    """A command that was started where a folder was removed meanwhile says what it cannot use."""
    script = f"mkdir gone && cd gone && rmdir ../gone && $todo_api {command}"
    ended = shell(script, tmp_path, PORT=str(free_port()))

    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: DATA_DIR .todo-api cannot be used (No such file or directory)")
    assert 1 == ended.returncode


def test_standard_error_may_be_closed(tmp_path: Path) -> None:
    """Some supervisors start a process without it; a command then does what it does elsewhere."""
    ended = shell("$todo_api token alice 2>&-", tmp_path, AUTH_JWT_SECRET="s" * 32)

    assert (0, 3) == (ended.returncode, len(ended.stdout.split(".")))


def test_all_standard_files_may_be_closed(tmp_path: Path, fresh: str) -> None:
    """A service that was started without any of them ends in order, too."""
    assert 0 == todo_api("migrate", cwd=tmp_path, DATABASE_URL=fresh).returncode
    port = free_port()
    values = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "PORT": str(port),
        "DATABASE_URL": fresh,
    }
    command = f"exec {sys.executable} -m server serve <&- >&- 2>&-"
    process = subprocess.Popen(["sh", "-c", command], cwd=tmp_path, env=values)
    try:
        wait_until(lambda: process.poll() is not None or status_of(f"http://127.0.0.1:{port}/health/live"))
    finally:
        process.terminate()
    assert 0 == process.wait()


@pytest.mark.parametrize("command", [["serve"], ["migrate"], ["token", "alice"]])
def test_all_wrong_settings_are_told_at_once(tmp_path: Path, command: list[str]) -> None:
    """Every wrong setting is a line on standard error, and none shows a secret."""
    lines = refusal(
        *command,
        cwd=tmp_path,
        PORT="http",
        AUTH_JWT_SECRET="hunter2",
        DATABASE_URL="mysql://root:hunter2@localhost/todo",
        LOG_LEVEL="loud",
    )

    assert ["AUTH_JWT_SECRET", "DATABASE_URL", "LOG_LEVEL", "PORT"] == sorted(
        line.split()[1] for line in lines
    )
    assert all(line.startswith("error: ") for line in lines)
    assert "hunter2" not in "".join(lines)


def test_an_option_wins_over_the_environment(tmp_path: Path) -> None:
    """What is wrong on the command line is reported by the option's name, and settings that it does not have are read
    from the environment and from the file that it names."""
    (tmp_path / "own.env").write_text("LOG_FORMAT=xml\nPORT=0\n")
    options = ("--port", "http", "--workers", "0", "--log-level", "loud", "--env-file", "own.env")
    lines = refusal("serve", *options, cwd=tmp_path, PORT="8000", KEEP_ALIVE="0")

    named = [line.removeprefix("error: ").partition(" must ")[0] for line in lines]
    assert ["--port", "--workers", "KEEP_ALIVE", "--log-level", "LOG_FORMAT"] == named


def test_the_help_of_serve_has_every_setting(tmp_path: Path) -> None:
    """`serve --help` lists the settings with their own titles and defaults."""
    shown = " ".join(todo_api("serve", "--help", cwd=tmp_path).stdout.split())

    for name, title, _ in shown_defaults():
        assert f" {name} {title}" in shown
    assert " PORT The port to listen on [8000]" in shown


def test_settings_are_shown_without_secrets(tmp_path: Path) -> None:
    """`settings` prints each setting in force, hides what is secret, and warns of what is taken otherwise than written:
    names that are close to a setting's, white space, and other tools' parameters."""
    url = "postgresql://app:hunter2@db.example,db2.example:6432/todo?pgbouncer=true&sslmode=require"
    environment = {"DATABASE_URL": url, "AUTH_JWT_SECRET": f"hunter2{SECRET.decode()}\n", "PROT": "1"}
    (tmp_path / ".env").write_text(
        "CORS_ORIGIN=https://app.example\nPORT=9000\nNEXT_PUBLIC_X=1\nPGHOST=db\nPGPORT=1\n"
    )
    ended = todo_api("settings", cwd=tmp_path, **environment)

    shown = dict(line.split("=", 1) for line in ended.stdout.splitlines())
    assert [*NAMES] == list(shown)
    assert ("9000", "(hidden)", "") == (shown["PORT"], shown["AUTH_JWT_SECRET"], shown["AUTH_ISSUER"])
    assert "(hidden; db.example port 5432, db2.example port 6432)" == shown["DATABASE_URL"]
    assert "hunter2" not in ended.stdout + ended.stderr
    assert [
        "warning: AUTH_JWT_SECRET has white space around it, which is left out",
        "warning: DATABASE_URL has the parameter pgbouncer, which is another tool's and is left out",
        "warning: CORS_ORIGIN is no setting: if CORS_ORIGINS is meant, write that",
    ] == ended.stderr.splitlines()
    found = todo_api("doctor", cwd=tmp_path, **environment).stdout.splitlines()
    assert "warn settings: CORS_ORIGIN is no setting: if CORS_ORIGINS is meant, write that" in found


@pytest.mark.parametrize("command", [["serve"], ["routes"], ["--version"]])
def test_a_wrong_contract_is_one_line(tmp_path: Path, command: list[str]) -> None:
    """A contract that cannot be served stops every command that needs it with one line that names the place."""
    copy_project(tmp_path)
    contract_file = tmp_path / "openapi" / "openapi.yaml"
    text = contract_file.read_text()
    contract_file.write_text(
        text.replace("operationId: get_task", "operationId: get_task\n      operationId: x")
    )
    number = next(n for n, line in enumerate(text.splitlines(), 1) if "operationId: get_task" in line) + 1

    expected = f"error: openapi.yaml: line {number}: the key 'operationId' stands twice"
    assert [expected] == refusal(*command, cwd=tmp_path, PYTHONPATH=str(tmp_path))


def test_migrate_brings_an_empty_database_to_this_version(tmp_path: Path, fresh: str) -> None:
    """`migrate` makes the schema, says so, and does nothing the second time."""
    for _ in range(2):
        ended = todo_api("migrate", cwd=tmp_path, DATABASE_URL=fresh)

        said = "The database has the schema of this version.\n"
        assert (0, said, "") == (ended.returncode, ended.stdout, ended.stderr)
        assert migrations.pending(fresh) is None


def test_what_migrate_would_run_can_be_read_first(tmp_path: Path, fresh: str) -> None:
    """`migrate --sql` prints, and an administrator who runs it gets what `--status` then lists as applied."""
    before = todo_api("migrate", "--status", cwd=tmp_path, DATABASE_URL=fresh)
    printed = todo_api("migrate", "--sql", cwd=tmp_path, DATABASE_URL=fresh)
    run(fresh, printed.stdout)
    after = todo_api("migrate", "--status", cwd=tmp_path, DATABASE_URL=fresh)

    assert (1, 0, 0) == (before.returncode, printed.returncode, after.returncode)
    assert {"missing"} == {line.split()[0] for line in before.stdout.splitlines()}
    assert before.stdout.replace("missing", "applied") == after.stdout
    migrations.check(fresh)
    again = todo_api("migrate", "--sql", cwd=tmp_path, DATABASE_URL=fresh)
    assert ("", 1) == (again.stdout, again.stderr.count("there is nothing to run"))


def test_migrate_without_a_database_makes_one(tmp_path: Path) -> None:
    """Without DATABASE_URL `migrate` makes the embedded database, below DATA_DIR, and leaves it stopped."""
    ended = todo_api("migrate", cwd=tmp_path, DATA_DIR="data")

    assert (0, "") == (ended.returncode, ended.stderr)
    assert (tmp_path / "data" / "postgres" / "PG_VERSION").exists()
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize("command", ["migrate", "purge", "serve"])
def test_a_database_that_is_away_is_one_line(tmp_path: Path, command: str) -> None:
    """A database that cannot be reached is one line that names its host and port, and not its login."""
    port = free_port()
    url = f"postgresql://user:hunter2@127.0.0.1:{port}/todo"

    line = (
        f"error: The database cannot be reached at 127.0.0.1 port {port}: check that it runs, and host and port in "
        "DATABASE_URL"
    )
    assert [line] == refusal(command, cwd=tmp_path, DATABASE_URL=url, PORT=str(free_port()))


@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_a_data_folder_that_is_a_file_is_one_line(tmp_path: Path, command: str) -> None:
    """A DATA_DIR that cannot be one is reported in one line."""
    (tmp_path / "data").write_text("")

    (line,) = refusal(command, cwd=tmp_path, DATA_DIR="data", PORT=str(free_port()))
    assert f"error: DATA_DIR {tmp_path / 'data'} is, or lies below, a file" in line


def test_a_command_that_is_interrupted_says_nothing(tmp_path: Path) -> None:
    """Ctrl-C ends a command without a traceback, with the status that a shell expects."""
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "migrate"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)},
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in the background pass on that interrupts are ignored.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: process.poll() is not None or (tmp_path / ".todo-api").exists())
    process.send_signal(signal.SIGINT)

    # The line break ends the line on which the terminal shows ^C.
    assert "\n" == process.communicate()[1]
    assert 130 == process.returncode


def test_a_question_that_nobody_can_answer_is_a_no(tmp_path: Path) -> None:
    """Where standard input is closed, `user erase` asks in vain, and erases nothing."""
    ended = shell("$todo_api user erase demo <&-", tmp_path)
    assert (130, "") == (ended.returncode, ended.stderr)
