"""`todo-api doctor`: what it looks at, and that it finds what is wrong and says what to do."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.admin.isolation import IsolationError
from db.migrations import migrations
from examples.library.product import library
from server.doctor import Finding, examine
from server.process.listening import StartError
from server.process.serve import isolated_database
from server.product import LoadProduct
from server.settings import NAMES, Settings
from server.todo import todo
from tests.support.clusters import DEPLOYER, Cluster, cluster, run
from tests.support.issuer import AUDIENCE, Answer, Issuer, content
from tests.support.running import SECRET, copy_project, free_port, todo_api

SUBJECTS = [
    *("contract", "settings", "schema", "database", "role", "row level security", "rows"),
    *("search path", "clock", "deployment", "log"),
]

# For all logins, as an administrator can.
SET = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$"


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A PostgreSQL whose roles these tests may spoil; an ordinary login has made the role of the tenants."""
    with cluster(18) as server:
        with server.database(owner=DEPLOYER) as url:
            migrations.upgrade(url)
        yield server


@pytest.fixture
def url(server: Cluster) -> Iterator[str]:
    """A database with the schema of this version."""
    with server.database() as url:
        migrations.upgrade(url)
        yield url


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def findings(load: LoadProduct = todo, **environment: str) -> dict[str, Finding]:
    """What is found about a service with these settings, by subject."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"AUTH_JWT_SECRET": SECRET.decode(), **environment}.items():
            patch.setenv(name, value)
        return {finding.subject: finding for finding in examine(load)}


def faults(**environment: str) -> dict[str, str]:
    """The sentences about what is wrong, by subject."""
    return {name: found.sentence for name, found in findings(**environment).items() if not found.healthy}


def refusal_to_start(url: str) -> str:
    """The sentence with which a server refuses a database."""
    settings = Settings(auth_jwt_secret=SECRET, database_url=url)
    with pytest.raises((StartError, IsolationError)) as error, isolated_database(todo(), settings):
        pass
    return str(error.value)


def test_a_fresh_machine_is_well(tmp_path: Path) -> None:
    """Without any setting everything is in order, and each check is one line on standard output."""
    ended = todo_api("doctor", cwd=tmp_path)

    assert (0, "") == (ended.returncode, ended.stderr)
    lines = ended.stdout.splitlines()
    assert [f"ok   {subject}" for subject in SUBJECTS] == [line.split(":")[0] for line in lines]
    assert "development mode" in lines[1]


def test_a_database_of_this_version_is_well(url: str) -> None:
    """With DATABASE_URL at the schema of this version everything is in order."""
    found = findings(DATABASE_URL=url)

    assert SUBJECTS == list(found)
    assert {} == faults(DATABASE_URL=url)
    assert found["database"].sentence.startswith("PostgreSQL 18.")
    assert "in force on users, tasks, idempotency_keys" == found["row level security"].sentence


def test_rows_that_cannot_be_read(url: str) -> None:
    """A table that requests cannot read is found; the start takes it, since a machine of Citus may come back."""
    run(url, "REVOKE SELECT ON tasks FROM todo_tenant")

    sentence = (
        "tasks cannot be read: database: InsufficientPrivilege (SQLSTATE 42501), permission denied for table tasks: "
        "have a migration grant todo_tenant the right to SELECT; on Citus each machine must run and let todo_tenant "
        "log in from the others (docs/deploy/citus.md)"
    )
    assert {"rows": sentence} == faults(DATABASE_URL=url)
    with isolated_database(todo(), Settings(auth_jwt_secret=SECRET, database_url=url)):
        pass


def test_shared_tables(server: Cluster) -> None:
    """Row level security is said of tables that have owners, and a shared one that no request can read is found too."""
    with server.database() as url:
        library().tables.migrations.upgrade(url)
        found = findings(library, DATABASE_URL=url)
        assert "in force on loans, renewals" == found["row level security"].sentence
        run(url, "REVOKE SELECT ON books FROM library_tenant")
        assert findings(library, DATABASE_URL=url)["rows"].sentence.startswith("books cannot be read: ")


def test_the_ordinary_login_that_migrated_is_well(server: Cluster) -> None:
    """A login that is no superuser but has migrated its database may enter the role."""
    with server.database(owner=DEPLOYER) as url:
        migrations.upgrade(url)

        assert {} == faults(DATABASE_URL=url)


def test_a_fault_is_a_line_and_a_status(tmp_path: Path, url: str) -> None:
    """With anything wrong the status is 1, and the line says FAIL."""
    run(url, "ALTER TABLE tasks NO FORCE ROW LEVEL SECURITY")
    ended = todo_api("doctor", cwd=tmp_path, AUTH_JWT_SECRET=SECRET.decode(), DATABASE_URL=url)

    assert (1, "") == (ended.returncode, ended.stderr)
    failed = [line for line in ended.stdout.splitlines() if not line.startswith("ok   ")]
    assert ["FAIL row level security"] == [line.split(":")[0] for line in failed]


def test_no_server_starts_without_the_third_wall(tmp_path: Path, url: str) -> None:
    """`todo-api serve` ends with one line and the status 1 on a database that would not keep the users apart."""
    run(url, "ALTER TABLE tasks NO FORCE ROW LEVEL SECURITY")
    port = str(free_port())
    ended = todo_api("serve", cwd=tmp_path, PORT=port, AUTH_JWT_SECRET=SECRET.decode(), DATABASE_URL=url)

    assert (1, "") == (ended.returncode, ended.stdout)
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: row level security is not in force on tasks: ")


@pytest.mark.parametrize(
    "harmless",
    [
        "CREATE POLICY narrower ON tasks AS RESTRICTIVE USING (true)",
        "CREATE POLICY the_same ON tasks FOR SELECT USING (user_id = current_setting('app.user_id', true))",
        "CREATE POLICY of_others ON tasks TO deployer USING (true)",
        "GRANT CREATE ON SCHEMA public TO postgres",
        SET.format("quote_all_identifiers TO on"),
    ],
)
def test_a_policy_that_shows_a_tenant_no_more_is_well(url: str, harmless: str) -> None:
    """A restrictive policy, one of the same condition, however written, and one for another role hinder nobody."""
    run(url, harmless)

    assert {} == faults(DATABASE_URL=url)


@pytest.mark.parametrize(
    ("spoil", "mend", "subject", "sentence"),
    [
        (
            "ALTER TABLE tasks NO FORCE ROW LEVEL SECURITY",
            None,
            "row level security",
            "not in force on tasks: have its owner run ALTER TABLE ... ENABLE ROW LEVEL SECURITY, "
            "FORCE ROW LEVEL SECURITY",
        ),
        (
            "ALTER TABLE users DISABLE ROW LEVEL SECURITY; ALTER TABLE tasks DISABLE ROW LEVEL SECURITY",
            None,
            "row level security",
            "not in force on tasks, users: have its owner run ALTER TABLE ... ENABLE ROW LEVEL SECURITY, "
            "FORCE ROW LEVEL SECURITY",
        ),
        (
            "ALTER TABLE idempotency_keys RENAME TO keys",
            None,
            "row level security",
            "not in force on idempotency_keys: have its owner run ALTER TABLE ... ENABLE ROW LEVEL SECURITY, "
            "FORCE ROW LEVEL SECURITY",
        ),
        (
            "ALTER ROLE todo_tenant BYPASSRLS",
            "ALTER ROLE todo_tenant NOBYPASSRLS",
            "role",
            "todo_tenant bypasses row level security: have an administrator run "
            "ALTER ROLE todo_tenant NOSUPERUSER NOBYPASSRLS",
        ),
        (
            "ALTER ROLE todo_tenant SUPERUSER",
            "ALTER ROLE todo_tenant NOSUPERUSER",
            "role",
            "todo_tenant bypasses row level security: have an administrator run "
            "ALTER ROLE todo_tenant NOSUPERUSER NOBYPASSRLS",
        ),
        (
            "ALTER TABLE tasks OWNER TO todo_tenant",
            None,
            "role",
            "todo_tenant may switch row level security off, as the owner of tasks: have an administrator run "
            "ALTER TABLE ... OWNER TO the login that migrates",
        ),
        (
            "CREATE OR REPLACE FUNCTION todo_enter(uid text, not_after timestamptz DEFAULT NULL) RETURNS void "
            "LANGUAGE sql AS ''",
            None,
            "role",
            "requests do not run as todo_tenant: have the function todo_enter restored as the migrations made it",
        ),
        (
            "CREATE POLICY everything ON tasks USING (true)",
            None,
            "row level security",
            "widened by the policy everything on tasks: have its owner run DROP POLICY",
        ),
        (
            "CREATE POLICY reading ON users FOR SELECT TO todo_tenant USING (id <> ''); "
            "CREATE POLICY writing ON tasks FOR INSERT WITH CHECK (true)",
            None,
            "row level security",
            "widened by the policy writing on tasks, reading on users: have its owner run DROP POLICY",
        ),
        (
            "ALTER POLICY tasks_own ON tasks USING (true)",
            None,
            "row level security",
            "widened by the policy tasks_own on tasks: have its owner run DROP POLICY",
        ),
        (
            SET.format("row_security TO off"),
            None,
            "row level security",
            "refused in the sessions of this login, whose row_security is off: have an administrator run "
            "ALTER ROLE ... RESET row_security, and ALTER DATABASE ... the same",
        ),
        (
            "GRANT CREATE ON SCHEMA public TO PUBLIC",
            None,
            "search path",
            "others may create functions in public, which requests would run: have its owner run "
            "REVOKE CREATE ON SCHEMA ... FROM PUBLIC, and from every role that must not read all rows",
        ),
        (
            "UPDATE alembic_version SET version_num = 'next'",
            None,
            "schema",
            "The database's schema is of another, newer version of the service: install that one",
        ),
        (
            "DELETE FROM alembic_version",
            None,
            "schema",
            "The database's schema is older than this version of the service: run `todo-api migrate`",
        ),
    ],
)
def test_a_database_that_was_spoiled(
    server: Cluster, url: str, spoil: str, mend: str | None, subject: str, sentence: str
) -> None:
    """What is wrong in the database is found, nothing else is blamed, and the sentence says what to do; and no server
    starts on it."""
    run(url, spoil)
    try:
        assert {subject: sentence} == faults(DATABASE_URL=url)
        prefix = "row level security is " if subject == "row level security" else ""
        assert f"{prefix}{sentence}" == refusal_to_start(url)
    finally:
        run(server.url, mend or "SELECT 1")


def test_a_squatter_is_found_and_not_run(server: Cluster, url: str) -> None:
    """A login that may create in the schema is found, and the check itself runs no function of its."""
    server.add_login("squatter")
    run(url, "GRANT CREATE ON SCHEMA public TO squatter")
    trap = "LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$"
    run(
        url,
        f"SET ROLE squatter; CREATE FUNCTION string_agg(name, text) RETURNS text {trap}; "
        f"CREATE FUNCTION array_position(text[], text) RETURNS int {trap}; "
        f"CREATE FUNCTION pg_has_role(name, oid, text) RETURNS boolean {trap}",
    )

    sentence = faults(DATABASE_URL=url)["search path"]
    assert sentence.startswith("others may create functions in public")
    assert sentence == refusal_to_start(url)
    run(url, "DROP OWNED BY squatter; DROP ROLE squatter")


def test_what_a_log_may_hold_is_said(server: Cluster, url: str) -> None:
    """The settings that keep what users send out of PostgreSQL's log are named until they are set."""
    before = findings(DATABASE_URL=url)["log"].sentence
    wanted = before.partition("sets ")[2].split(", ")
    database = url.split("/")[-1].split("?")[0]
    for setting in wanted:
        run(url, f"ALTER DATABASE {database} SET {setting}")

    assert "log_min_error_statement = panic" in wanted
    assert (
        Finding("log", True, "PostgreSQL's holds nothing that users send")
        == findings(DATABASE_URL=url)["log"]
    )


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_wrong(url: str, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """A database whose clock is an hour off is found, whether it is early or late."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + hours * 3600)

    sentence = faults(DATABASE_URL=url)["clock"]
    assert sentence.endswith("seconds apart from the database's: let both machines take the time by NTP")
    assert 3590 <= int(sentence.split()[0]) <= 3610


def test_a_database_that_only_reads(url: str) -> None:
    """A standby, or a database that was made read-only, is found, though a server may start on it."""
    run(url, SET.format("default_transaction_read_only TO on"))

    ((subject, sentence),) = faults(DATABASE_URL=url).items()
    assert "rows" == subject
    assert sentence.startswith("requests can read them and change none")


def test_a_login_that_may_not_enter(server: Cluster, url: str) -> None:
    """A login to which the role is not granted is found, with the grant that it needs."""
    server.add_login("stranger")
    run(url, "GRANT SELECT ON alembic_version TO stranger")
    database = url.split("/")[-1].split("?")[0]

    sentence = (
        "no request can enter the role todo_tenant (database: InsufficientPrivilege (SQLSTATE 42501), "
        'permission denied to set role "todo_tenant"): run '
        "the command `migrate`, or have an administrator GRANT todo_tenant to the login of DATABASE_URL"
    )
    assert {"database": sentence} == faults(DATABASE_URL=server.as_login("stranger", database))
    run(server.url, "GRANT todo_tenant TO stranger")
    assert {} == faults(DATABASE_URL=server.as_login("stranger", database))


def test_a_database_that_refuses_the_password(server: Cluster, url: str) -> None:
    """A wrong password is reported without it."""
    wrong = url.replace("p4ss", "hunter2")
    assert wrong != url

    sentence = "The database refused the login: check user and password in DATABASE_URL"
    assert {"database": sentence} == faults(DATABASE_URL=wrong)


def test_a_database_that_is_away() -> None:
    """A database that cannot be reached is reported, and the checks that need it are left out."""
    port = free_port()
    found = findings(DATABASE_URL=f"postgresql://u:hunter2@127.0.0.1:{port}/todo")

    place = f"127.0.0.1 port {port}"
    sentence = (
        f"The database cannot be reached at {place}: check that it runs, and host and port in DATABASE_URL"
    )
    assert ["contract", "settings", "database"] == list(found)
    assert Finding("database", False, sentence) == found["database"]


def test_an_embedded_database_that_cannot_run(tmp_path: Path) -> None:
    """A data folder that is a file is reported as the embedded database reports it."""
    (tmp_path / "data").write_text("")

    assert "is, or lies below, a file" in faults(DATA_DIR="data")["database"]


def test_wrong_settings_are_all_told(tmp_path: Path) -> None:
    """Every wrong setting is a finding of its own, and no secret is shown."""
    ended = todo_api("doctor", cwd=tmp_path, PORT="http", AUTH_JWT_SECRET="hunter2")

    lines = ended.stdout.splitlines()
    assert (1, "") == (ended.returncode, ended.stderr)
    assert ["ok   contract", "FAIL settings", "FAIL settings"] == [line.split(":")[0] for line in lines]
    assert "hunter2" not in ended.stdout


def test_a_secret_that_others_may_read(tmp_path: Path) -> None:
    """A development secret that is open to other users is reported before it is used."""
    (tmp_path / "secret").write_text("x" * 64)
    os.chmod(tmp_path / "secret", 0o644)

    sentence = "secret is open to other users; close it (chmod 600), or remove it to get a new one"
    assert {"settings": sentence} == faults(DATA_DIR=".", AUTH_JWT_SECRET="")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer on this machine."""
    with Issuer() as running:
        yield running


def with_issuer(url: str, **environment: str) -> dict[str, str]:
    return {"DATABASE_URL": url, "AUTH_JWT_SECRET": "", "AUTH_AUDIENCE": AUDIENCE} | environment


@pytest.mark.parametrize("name", ["AUTH_JWKS_URL", "AUTH_ISSUER"])
def test_an_issuer_whose_keys_can_be_had(issuer: Issuer, url: str, name: str) -> None:
    """With an issuer its keys are fetched and counted, where they are or where its discovery document says."""
    described = {"issuer": issuer.name, "jwks_uri": issuer.url}
    issuer.published["/.well-known/openid-configuration"] = content(described)
    address = issuer.url if name == "AUTH_JWKS_URL" else issuer.name
    found = findings(**with_issuer(url, **{name: address}))

    assert Finding("keys", True, "the issuer publishes 1 that can be used") == found["keys"]
    assert f"in order; tokens come from the issuer of {name}" == found["settings"].sentence


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            content({"keys": []}),
            "the issuer publishes none that can be used: it must sign with Ed25519, P-256, P-384, P-521 or RSA keys of "
            "2048 bits or more",
        ),
        (content(b"<html>"), "the issuer's keys cannot be had: the answer is not JSON"),
        (content(b"", 404), "the issuer's keys cannot be had: {} answers with the status 404, not 200"),
    ],
    ids=["empty", "HTML", "not found"],
)
def test_an_issuer_without_keys(issuer: Issuer, url: str, answer: Answer, sentence: str) -> None:
    """An issuer that gives no key that can be used is found, with what it does instead."""
    issuer.answer = answer

    expected = sentence.format(issuer.url)
    assert {"keys": expected} == faults(**with_issuer(url, AUTH_JWKS_URL=f"{issuer.url}?key=secret"))


def test_an_operation_without_a_handler(tmp_path: Path) -> None:
    """A contract that asks for a handler that is not there is found."""
    copy_project(tmp_path)
    contract = tmp_path / "openapi" / "openapi.yaml"
    contract.write_text(contract.read_text().replace("operationId: get_liveness", "operationId: get_pulse"))
    ended = todo_api("doctor", cwd=tmp_path, PYTHONPATH=str(tmp_path))

    line = "FAIL contract: openapi.yaml: GET /health/live: no handler has the name of the operationId 'get_pulse'"
    assert 1 == ended.returncode
    assert line == ended.stdout.splitlines()[0]


def test_a_contract_that_cannot_be_read(tmp_path: Path) -> None:
    """A contract that is wrong is said once, and nothing is said of what it decides."""
    copy_project(tmp_path)
    (tmp_path / "openapi" / "openapi.yaml").write_text("[")
    ended = todo_api("doctor", cwd=tmp_path, PYTHONPATH=str(tmp_path))

    assert (1, "", 1) == (ended.returncode, ended.stderr, len(ended.stdout.splitlines()))
    assert ended.stdout.startswith("FAIL contract: openapi.yaml: line 2: this is not YAML: ")
