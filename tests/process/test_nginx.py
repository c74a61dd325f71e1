"""deploy/nginx.conf on the real nginx: paths arrive as they were sent, and two servers are as good as one."""

import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from openapi.bridge.failures import TooManyRequests
from openapi.contract import contract
from tests.support.issuer import certificate
from tests.support.running import PROJECT, SECRET, ServeProcess, Service, free_port, status_of, wait_until

pytestmark = pytest.mark.faults

PORTS = (free_port(), free_port())
# What the whole of nginx is told beside our file. In one process it runs as whoever runs the tests.
MAIN = """
daemon off; master_process off; pid nginx.pid; error_log error.log;
events {{}}
http {{
    log_format servers "$upstream_addr $request_method $status";
    {paths}
    include todo-api.conf;
}}
"""
KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def running(folder: Path, further: Mapping[str, str]) -> Iterator[tuple[Service, Path]]:
    """nginx with our file, told of two servers and where it may listen; and its log of who has answered.

    Args:
        further: what else is edited in the file, by pattern.
    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        pytest.skip("nginx is not installed")
    _, pem = certificate(folder)
    plain, secure = free_port(), free_port()
    text = (PROJECT / "deploy" / "nginx.conf").read_text()
    edits = {
        r"(server )127\.0\.0\.1:8000( .*;)": "".join(rf"\g<1>127.0.0.1:{port}\2 " for port in PORTS),
        r"listen 80;": f"listen 127.0.0.1:{plain};",
        r"listen 443 ssl;": f"listen 127.0.0.1:{secure} ssl;",
        r"/etc/ssl/\S+\.pem": str(pem),
        r"access_log off;": "access_log access.log servers;",
        **further,
    }
    for old, new in edits.items():
        text, found = re.subn(old, new, text)
        assert found, old
    (folder / "todo-api.conf").write_text(text)
    paths = " ".join(f"{kind}_temp_path {kind};" for kind in KINDS)
    (folder / "nginx.conf").write_text(MAIN.format(paths=paths))
    with subprocess.Popen([program, "-p", folder, "-c", "nginx.conf", "-e", "error.log"]) as process:
        try:
            service = Service(f"https://127.0.0.1:{secure}")
            wait_until(lambda: process.poll() is not None or status_of(f"{service.url}/health/live"))
            assert process.poll() is None, (folder / "error.log").read_text()
            yield service, folder / "access.log"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """nginx with our file as it is."""
    with running(tmp_path_factory.mktemp("nginx"), {}) as started:
        yield started


def server(port: int, database_url: str, folder: Path) -> ServeProcess:
    """One of the two servers, to be used as a context."""
    return ServeProcess(port, folder, DATABASE_URL=database_url, AUTH_JWT_SECRET=SECRET.decode())


@pytest.fixture
def servers(nginx: object, database_url: str, tmp_path: Path) -> Iterator[list[ServeProcess]]:
    """Both servers, live, on one database."""
    with ExitStack() as stack:
        started = [stack.enter_context(server(port, database_url, tmp_path)) for port in PORTS]
        for process in started:
            process.wait_until_live()
        yield started


@pytest.fixture
def proxy(nginx: tuple[Service, Path], servers: object) -> Service:
    """The service as clients of nginx meet it, once nginx has found both servers."""
    service, log = nginx
    with service.client() as client:
        wait_until(lambda: client.get("/health/live").status_code == 200)
        log.write_text("")
        wait_until(lambda: client.get("/health/live") and len(set(served_by(log))) == 2)
    return service


def served_by(log: Path) -> list[str]:
    """The server that has answered each request, in order."""
    return [line.split()[-3].rstrip(",") for line in log.read_text().splitlines()]


def test_names_arrive_as_they_were_sent(proxy: Service) -> None:
    """Whatever an issuer calls a user, the path is theirs behind nginx too, and `Location` leads back to the task."""
    for name in (
        "auth0|42",
        "a b",
        "a%20b",
        "a+b@example.com",
        "Zoë ☃ 日本",
        "a?b#c;d",
        "a\\b",
        "..",
        "'\"<&>",
    ):
        # Every character that may be encoded is, dots too: a client may do so (RFC 3986, section 2.4).
        path = f"/api/{quote(name, safe='').replace('.', '%2E')}/tasks"
        with proxy.client(name) as client:
            created = client.post(path, json={"title": "Buy milk"})
            assert (201, name) == (created.status_code, created.json().get("user_id")), name
            assert created.json() == client.get(created.headers["Location"]).json()
            assert created.json() == client.get(path).json()[0]


def test_what_is_too_large_is_refused(proxy: Service, user: str, tasks: str) -> None:
    """The service's own limit and sentence hold behind nginx; what is far beyond does not get to the service."""
    refusal = contract().refusals["ContentTooLarge"]
    limit = contract().document["components"]["responses"]["ContentTooLarge"]["x-max-body-bytes"]
    with proxy.client(user) as client:
        headers = {"Content-Type": "application/json"}
        answers = [
            client.post(tasks, content=b'{"title": "x"}'.ljust(size), headers=headers)
            for size in (limit, limit + 1, 4 * limit)
        ]

    assert [201, 413, 413] == [answer.status_code for answer in answers]
    assert {"error": refusal.sentence} == answers[1].json()
    assert answers[2].headers["Content-Type"].startswith("text/html")


def test_no_session_sticks(proxy: Service, nginx: tuple[Service, Path], user: str, tasks: str) -> None:
    """What was created on one server is read and changed on the other."""
    log = nginx[1]
    log.write_text("")
    with proxy.client(user) as client:
        created = client.post(tasks, json={"title": "Buy milk"})
        path = created.headers["Location"]
        read = [client.get(path) for _ in range(4)]
        changed = client.put(path, json={"title": "Buy bread"}, headers={"If-Match": created.headers["ETag"]})
        titles = [client.get(path).json()["title"] for _ in range(4)]

    wait_until(lambda: 10 == len(served_by(log)))
    creator, *readers = served_by(log)
    assert {creator, *readers} == {f"127.0.0.1:{port}" for port in PORTS}
    assert ({200}, 200) == ({answer.status_code for answer in read}, changed.status_code)
    assert ["Buy bread"] * 4 == titles


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_one_server_goes_under_load(
    proxy: Service, servers: list[ServeProcess], user: str, tasks: str, number: signal.Signals
) -> None:
    """While one of two servers is stopped or killed, no request of an idempotent method fails."""
    with proxy.client(user) as client:
        path = client.post(tasks, json={"title": "Buy milk"}).headers["Location"]
        statuses: Counter[int] = Counter()
        numbers = count()

        def load(_: int) -> None:
            while (turn := next(numbers)) < 1500:
                change = {"title": f"Turn {turn}"}
                answer = client.put(path, json=change) if turn % 3 else client.get(tasks)
                statuses[answer.status_code] += 1

        with ThreadPoolExecutor(6) as threads:
            working = [threads.submit(load, thread) for thread in range(6)]
            wait_until(lambda: statuses[200] > 300)
            servers[0].process.send_signal(number)
            for work in working:
                work.result()

        assert {200: 1500} == statuses
        assert servers[0].process.wait(30) is not None
        assert 201 == client.post(tasks, json={"title": "Still here"}).status_code


def test_without_any_server(nginx: tuple[Service, Path], database_url: str, tmp_path: Path) -> None:
    """While no server runs nginx answers 502 in its own words, and the service as soon as one is back."""
    with nginx[0].client() as client:
        away = client.get("/health/live")
        assert (502, True) == (away.status_code, away.headers["Content-Type"].startswith("text/html"))
        with server(PORTS[0], database_url, tmp_path) as process:
            process.wait_until_live()
            wait_until(lambda: client.get("/health/live").status_code == 200, seconds=10)


def test_every_answer_asks_for_tls(proxy: Service) -> None:
    """HSTS is on refusals too, beside the service's own headers."""
    with proxy.client() as client:
        refused = client.get("/api/demo/tasks")

    assert (401, "max-age=31536000") == (refused.status_code, refused.headers["Strict-Transport-Security"])
    assert dict(contract().headers) == {name: refused.headers[name] for name in contract().headers}


def test_who_asks_too_often_is_told_in_our_own_form(tmp_path: Path) -> None:
    """Beyond the limit nginx answers as the contract's TooManyRequests, and another token is not touched by it."""
    with running(tmp_path, {"burst=2000": "burst=3", "rate=200r/s": "rate=1r/m"}) as (service, _):
        with service.client("alice") as client:
            answers = [client.get("/api/alice/tasks") for _ in range(6)]
        with service.client("bob") as client:
            other = client.get("/api/bob/tasks")

    # No server runs.
    assert [502] * 4 + [429] * 2 == [answer.status_code for answer in answers]
    assert {"error": contract().refusal(TooManyRequests()).sentence} == answers[-1].json()
    assert "1" == answers[-1].headers["Retry-After"]
    assert 502 == other.status_code


@pytest.mark.parametrize("strips", [True, False], ids=["stripped", "kept"])
def test_below_a_path_every_address_leads_back(
    database_url: str, tmp_path: Path, user: str, strips: bool
) -> None:
    """With ROOT_PATH the addresses in answers, pages and the contract stay below the path, whether or not the proxy
    takes it away."""
    rewrite = r"rewrite ^/todo(/.*)$ $1 break; " if strips else ""
    edits = {r"location / {": "location /todo/ {", r"proxy_pass": f"{rewrite}proxy_pass"}
    settings = {"DATABASE_URL": database_url, "AUTH_JWT_SECRET": SECRET.decode(), "ROOT_PATH": "/todo"}
    with (
        ServeProcess(PORTS[0], tmp_path, **settings) as process,
        running(tmp_path, edits) as (service, _),
        service.client(user) as client,
    ):
        process.wait_until_live()
        wait_until(lambda: client.get("/todo/health/live").status_code == 200)
        created = [client.post(f"/todo/api/{user}/tasks", json={"title": "Buy milk"}) for _ in range(2)]
        address = created[0].headers["Location"]
        page = client.get(f"/todo/api/{user}/tasks?limit=1")
        following = page.links["next"]["url"]

        assert f"/todo/api/{user}/tasks/{created[0].json()['id']}" == address
        assert created[0].json() == client.get(address).json()
        assert [created[0].json()] == client.get(following).json()
        assert 200 == client.get("/todo/", follow_redirects=True).status_code
        assert ["/todo"] == [server["url"] for server in client.get("/todo/openapi.json").json()["servers"]]
        assert "url: /todo" in client.get("/todo/openapi.yaml").text


def test_a_redirect_leads_to_no_other_host(nginx: tuple[Service, Path]) -> None:
    """Port 80 sends everybody to the name of the site, whatever Host says."""
    text = (nginx[1].parent / "todo-api.conf").read_text()
    port = re.findall(r"listen (127\.0\.0\.1:\d+);", text)[0]
    answer = httpx.get(f"http://{port}/a?b", headers={"Host": "evil.example"}, trust_env=False)

    assert (308, "https://todo.example/a?b") == (answer.status_code, answer.headers["Location"])
