"""Clients that abort, statements that are cancelled, a network that stalls and resets: each answer is its asker's."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from tests.support.clusters import run
from tests.support.running import Service, service_in_thread

REQUESTS = 20_000
USERS = 16
CANCEL = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'todo-api' AND state = 'active'"


class Network:
    """A proxy before PostgreSQL that now and then holds bytes back, or resets a connection."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._random = random.Random(0)
        self.resets = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Its port while the context lasts."""
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        below = await asyncio.open_unix_connection(self._path)
        ways = [
            asyncio.ensure_future(self._pass_on(reader, below[1])),
            asyncio.ensure_future(self._pass_on(below[0], writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            writer.transport.abort()
            below[1].transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                chance = self._random.random()
                if chance < 0.002:
                    self.resets += 1
                    # A part of it arrives, or nothing.
                    writer.write(data[: len(data) // 2])
                    return
                if chance < 0.01:
                    await asyncio.sleep(self._random.random() / 2)
                writer.write(data)
                await writer.drain()


class Person:
    """A user who sends what comes to mind, does not always wait for the answer, and looks whose it is."""

    def __init__(self, service: Service, number: int) -> None:
        self.user = f"chaos-{number}"
        self._path = f"/api/{self.user}/tasks"
        self._random = random.Random(number)
        self._client = httpx.AsyncClient(
            base_url=service.url,
            headers={"Authorization": f"Bearer {service.token(self.user)}"},
            timeout=30,
            trust_env=False,
        )
        self._ids: list[int] = []
        self.seen: Counter[int | str] = Counter()

    async def send(self, requests: int) -> None:
        """Sends so many requests, one after the other."""
        async with self._client:
            for number in range(requests):
                await self._send_one(f"{self.user} {number}")

    async def _send_one(self, title: str) -> None:
        known = self._random.choice(self._ids) if self._ids else None
        choices: list[tuple[str, str, Any, int | None]] = [
            ("GET", f"{self._path}?limit=5", None, None),
            ("POST", self._path, {"title": title}, None),
        ]
        if known is not None:
            choices += [
                ("GET", f"{self._path}/{known}", None, known),
                ("PUT", f"{self._path}/{known}", {"title": title}, known),
            ]
        method, path, body, asked = self._random.choice(choices)
        limit = self._random.random() / 50 if self._random.random() < 0.1 else 30
        try:
            answer = await asyncio.wait_for(self._client.request(method, path, json=body), limit)
        except (TimeoutError, httpx.TransportError):
            self.seen["aborted"] += 1
            return
        self.seen[answer.status_code] += 1
        if answer.status_code in (200, 201):
            self._check(answer.json(), asked, body)

    def _check(self, answer: Any, asked: int | None, body: Any) -> None:
        tasks = answer if isinstance(answer, list) else [answer]
        assert {self.user} >= {task["user_id"] for task in tasks}
        assert all(task["title"].startswith(f"{self.user} ") for task in tasks)
        if body is not None:
            assert body["title"] == answer["title"]
        if asked is not None:
            assert asked == answer["id"]
        self._ids = [*self._ids, *(task["id"] for task in tasks)][-20:]


@pytest.mark.faults
def test_each_answer_belongs_to_its_asker(own_url: str, record_testsuite_property: Any) -> None:
    """Whatever is aborted, cancelled, stalled and reset, nobody gets another's answer, and in the end all is served."""
    url = make_url(own_url)
    network = Network(f"{url.query['host']}/.s.PGSQL.{url.query.get('port', 5432)}")

    async def cancel_now_and_then() -> None:
        while True:
            await asyncio.sleep(0.1)
            await asyncio.to_thread(run, own_url, CANCEL)

    async def live() -> Counter[int | str]:
        async with network.listening() as port:
            through = url.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
            with service_in_thread(through) as service:
                people = [Person(service, number) for number in range(USERS)]
                cancelling = asyncio.ensure_future(cancel_now_and_then())
                await asyncio.gather(*(person.send(REQUESTS // USERS) for person in people))
                cancelling.cancel()
                async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                    headers = {"Authorization": f"Bearer {service.token('chaos-0')}"}
                    answers = [
                        (
                            await client.get(f"{service.url}/api/chaos-0/tasks?limit=1", headers=headers)
                        ).status_code
                        for _ in range(20)
                    ]
                    assert answers.count(200) >= 15
            return sum((person.seen for person in people), Counter())

    seen = asyncio.run(live())
    record_testsuite_property(f"chaos: {REQUESTS} requests", f"{dict(seen)}, {network.resets} resets")
    assert set(seen) <= {200, 201, 503, "aborted"}
    assert seen[200] + seen[201] > REQUESTS / 2
