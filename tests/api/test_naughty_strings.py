"""minimaxir's Big List of Naughty Strings: what a person may type comes back as it was, or is refused with 400."""

import base64
import json
import os
from collections import Counter
from functools import cache
from pathlib import Path

import httpx
import pytest

from tests.support.raw_http import JSON, TASK, exchange, percent_encoded, request, signed_in
from tests.support.running import Service

FOLDER = Path(os.environ.get("TEST_VECTORS") or Path(__file__).parents[3] / "shared" / "vectors")
FILE = FOLDER / "naughty_strings.base64.json"
LINE = 76

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the naughty strings are not there (TEST_VECTORS)")


@cache
def lines() -> list[str]:
    """The file's items, which are lines as `base64` wraps them: a full one without padding goes on in the next."""
    found: list[str] = json.loads(FILE.read_bytes())
    return found


@cache
def strings() -> list[str]:
    """The strings, each put together again from its lines."""
    whole = [""]
    for line in lines():
        whole[-1] += line
        if len(line) < LINE or line.endswith("="):
            whole.append("")
    return [base64.b64decode(string).decode() for string in whole[:-1]]


def _answered(response: httpx.Response, field: str, string: str) -> str:
    if response.status_code == 400:
        return str(response.json()["error"])
    assert 201 == response.status_code
    assert string == response.json()[field]
    return "exact"


@pytest.mark.parametrize(
    ("field", "counts"),
    [
        ("title", {"exact": 497, "Title is required": 2, "Title must be 255 characters or less": 1}),
        ("description", {"exact": 500}),
    ],
)
def test_a_naughty_string_comes_back_exactly_or_is_refused(
    client: httpx.Client, tasks: str, field: str, counts: dict[str, int]
) -> None:
    """As a title and as a description every string comes back code point by code point, at once and when read
    again, but for the titles that are blank (one is a byte order mark alone) or too long."""
    answers = [
        _answered(client.post(tasks, json={"title": "A title", field: string}), field, string)
        for string in strings()
    ]
    kept = [string for string, answer in zip(strings(), answers, strict=True) if answer == "exact"]
    assert counts == Counter(answers)
    assert kept[::-1] == [task[field] for task in client.get(tasks).json()]


def test_half_a_character_is_refused(service: Service, user: str) -> None:
    """A line that was cut inside a character is not UTF-8, so as a title it is 400."""
    broken = [
        line for line in map(base64.b64decode, lines()) if line != line.decode(errors="ignore").encode()
    ]
    identity = signed_in(service, user)
    for line in broken:
        body = b'{"title":"%s"}' % line.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        answer = exchange(service, request("POST", f"/api/{user}/tasks", identity, JSON, body=body))
        assert (400, "The request body must be valid JSON (RFC 8259) in UTF-8") == (
            answer.status,
            answer.sentence,
        )
    assert 66 <= len(broken)


def test_a_naughty_string_may_be_a_user(service: Service) -> None:
    """As `sub` and in the path every string works that is not empty, too long or has a `/`."""
    users = [string for string in strings() if 1 <= len(string) <= 255 and "/" not in string]
    for user in users:
        tasks = f"/api/{percent_encoded(user)}/tasks"
        answer = exchange(service, request("POST", tasks, signed_in(service, user), JSON, body=TASK))
        assert (201, user) == (answer.status, json.loads(answer.body)["user_id"])
    assert 327 == len(users)
