"""No user's use hurts another's: one user's attack, and what another user gets meanwhile."""

import asyncio
import multiprocessing
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from server.app import CONNECTIONS
from tests.support.clusters import run
from tests.support.running import SECRET, ServeProcess, Service

pytestmark = pytest.mark.faults

GREEDY, MODEST = "greedy", "modest"
SECONDS = 6
SEARCH = f"/api/{GREEDY}/tasks?limit=1&q=b{63 * 'a'}"
ATTACKS = {
    "searches": (SEARCH, "read"),
    "lists of 1,000": (f"/api/{GREEDY}/tasks", "read"),
    "searches that are reset": (SEARCH, "reset"),
    "searches that are hung up": (SEARCH, "close"),
}
"""What the greedy user asks for, and what the greedy user does about the answers; those who do not read them end their
connections after 0.3 seconds."""
ACTIVE = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo-api' AND state = 'active'"


class Seen(NamedTuple):
    """What a user got: statuses, and the latencies in milliseconds; and at most how many statements ran meanwhile."""

    statuses: Counter[int]
    median: float
    p99: float
    running: int


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, own_url: str) -> Iterator[ServeProcess]:
    """The service as it is in production, with a greedy user's 5,000 tasks of 5,000 characters."""
    run(
        own_url,
        "INSERT INTO users (id) VALUES (%s), (%s);"
        "INSERT INTO tasks (user_id, title, description)"
        " SELECT %s, 'a', repeat('a', 5000) FROM generate_series(1, 5000);"
        "ANALYZE tasks",
        *(GREEDY, MODEST, GREEDY),
    )
    folder: Path = tmp_path_factory.mktemp("fair")
    with ServeProcess(cwd=folder, DATABASE_URL=own_url, AUTH_JWT_SECRET=SECRET.decode()) as process:
        process.wait_until_live()
        yield process


@pytest.fixture(autouse=True)
def reasons(process: ServeProcess) -> Iterator[None]:
    """Shows with a test that fails what the service has said meanwhile."""
    yield
    print(process.said())  # noqa: T201


def attack(port: int, path: str, connections: int, manner: str, until: Any) -> None:
    """Asks for the path over so many connections, again and again, until the event is set."""
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {Service('').token(GREEDY)}\r\n\r\n".encode()

    async def ask_without_end() -> None:
        while not until.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                if manner != "read":
                    writer.write(head)
                    await asyncio.sleep(0.3)
                    linger = struct.pack("ii", manner == "reset", 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                while manner == "read" and not until.is_set():
                    writer.write(head)
                    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                    length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                    await reader.readexactly(length)
                    if not answer.startswith(b"HTTP/1.1 200"):
                        # Much faster than Retry-After asks for, and still not as fast as it could.
                        await asyncio.sleep(0.05)
                writer.transport.abort()
            except (TimeoutError, OSError, EOFError):
                await asyncio.sleep(0.05)

    async def ask_all() -> None:
        await asyncio.gather(*(ask_without_end() for _ in range(connections)))

    asyncio.run(ask_all())


def observe(process: ServeProcess, url: str, seconds: float) -> tuple[Seen, Counter[int]]:
    """What the modest user gets, request by request, and how ready the service says that it is."""
    statuses: Counter[int] = Counter()
    running = 0
    readiness: Counter[int] = Counter()
    latencies = []
    headers = {"Authorization": f"Bearer {Service('').token(MODEST)}"}
    with httpx.Client(base_url=process.url, headers=headers, timeout=30, trust_env=False) as client:
        created = client.post(f"/api/{MODEST}/tasks", json={"title": "Buy milk"}).raise_for_status()
        path = created.headers["location"]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.monotonic()
            statuses[client.get(path).status_code] += 1
            latencies.append((time.monotonic() - begun) * 1000)
            readiness[client.get("/health/ready").status_code] += 1
            running = max(running, run(url, ACTIVE)[0][0])
            time.sleep(0.01)
    latencies.sort()
    median, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    return Seen(statuses, median, p99, running), readiness


@pytest.mark.parametrize("connections", [8, 60, 300])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_of_one_user_does_not_hurt_another(
    process: ServeProcess, own_url: str, name: str, connections: int, record_testsuite_property: Any
) -> None:
    """While one user sends what costs most, each request of another is served, the service stays ready, and no more
    statements run than the pool has connections, beside the one that asks whether the database is ready."""
    path, manner = ATTACKS[name]
    at_rest, _ = observe(process, own_url, 2)
    context = multiprocessing.get_context("spawn")
    until = context.Event()
    attacker = context.Process(target=attack, args=(process.port, path, connections, manner, until))
    attacker.start()
    try:
        time.sleep(1.5)
        attacked, readiness = observe(process, own_url, SECONDS)
    finally:
        until.set()
        attacker.join(20)
        attacker.kill()
    figures = f"p50 {at_rest.median:.0f} -> {attacked.median:.0f} ms, p99 {at_rest.p99:.0f} -> {attacked.p99:.0f} ms"
    record_testsuite_property(f"fair share: {name}, {connections} connections", figures)
    print(f"{name}, {connections} connections: {figures}, {attacked.statuses.total()} requests")  # noqa: T201
    assert {200} == set(attacked.statuses)
    assert {200} == set(readiness)
    assert attacked.running <= CONNECTIONS + 1
