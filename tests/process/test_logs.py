"""Log lines: their two forms, what they tell of a fault, and what they never hold."""

import json
import logging
import logging.config
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.migrations import migrations
from server.telemetry.logs import logging_config
from server.telemetry.observe import JSONFormatter
from tests.support.clusters import Cluster, run
from tests.support.running import SECRET, ServeProcess, Service, settings_for

MARKER = "a-thing-that-no-log-may-hold"
# Short enough for the driver to quote it with the statement that failed.
SHORT_MARKER = "Ж"
FAULT = {"error": "Something went wrong on our side. The fault has been logged"}


@pytest.fixture
def restored() -> Iterator[None]:
    """Leaves logging as it was."""
    loggers = [logging.getLogger(name) for name in ("", "todo_api", "openapi.bridge", "uvicorn")]
    states = [(logger.handlers[:], logger.level) for logger in loggers]
    yield
    for logger, (handlers, level) in zip(loggers, states, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)


def record(message: str, *arguments: object, **details: object) -> logging.LogRecord:
    values = {"name": "todo_api", "levelname": "WARNING", "created": 0.25, "msg": message, "args": arguments}
    return logging.makeLogRecord({**values, **details})


def test_a_line_for_a_collector_is_one_json_object() -> None:
    """A JSON line holds time in UTC, level, logger and the message with its arguments filled in."""
    expected = {
        "time": "1970-01-01T00:00:00.250000Z",
        "level": "warning",
        "logger": "todo_api",
        "message": "7 of 9 keys",
    }

    assert expected == json.loads(JSONFormatter().format(record("%d of %d keys", 7, 9)))


@given(st.text(st.characters()))
def test_no_text_breaks_a_json_line(text: str) -> None:
    """Whatever a message holds, surrogates and line breaks included, it is one line of ASCII and comes back whole."""
    line = JSONFormatter().format(record("%s", text))

    assert text == json.loads(line)["message"]
    assert line.isascii()
    assert 1 == len(line.splitlines())


def test_a_json_line_holds_the_traceback() -> None:
    """The traceback of an exception is a member of the line's object and not lines of its own."""
    try:
        raise KeyError("a fault")
    except KeyError:
        line = JSONFormatter().format(record("unexpected fault", exc_info=sys.exc_info()))

    traceback = json.loads(line)["traceback"]
    assert traceback.startswith("Traceback (most recent call last):")
    assert traceback.endswith("KeyError: 'a fault'")
    assert 1 == len(line.splitlines())


@pytest.mark.usefixtures("restored")
def test_a_line_for_a_person_has_the_time_first(capsys: pytest.CaptureFixture[str]) -> None:
    """A text line goes to standard error and holds time, level, logger and message."""
    logging.config.dictConfig(logging_config(settings_for(log_format="text")))

    logging.getLogger("todo_api").info("the answer is %d", 42)

    printed = capsys.readouterr()
    assert "" == printed.out
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO +todo_api: the answer is 42\n", printed.err
    )


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("DEBUG", ["ours debug", "ours info", "ours warning", "theirs warning"]),
        ("INFO", ["ours info", "ours warning", "theirs warning"]),
        ("WARNING", ["ours warning", "theirs warning"]),
        ("ERROR", ["theirs warning"]),
    ],
)
def test_the_level_is_that_of_the_service(
    capsys: pytest.CaptureFixture[str], level: str, expected: list[str]
) -> None:
    """LOG_LEVEL says how much the service tells; libraries are heard from warnings on."""
    logging.config.dictConfig(logging_config(settings_for(log_format="json", log_level=level)))

    for owner, name in (("ours", "todo_api"), ("theirs", "uvicorn.error")):
        for severity in ("debug", "info", "warning"):
            getattr(logging.getLogger(name), severity)(f"{owner} {severity}")

    assert expected == [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]


@pytest.fixture(scope="module")
def troubled(database_url: str) -> list[dict[str, Any]]:
    """What a service in trouble logs at the level DEBUG, with the answers that it gave meanwhile in front."""
    with Cluster(database_url).database() as url:
        migrations.upgrade(url)
        run(url, "ALTER TABLE tasks ADD CHECK (title NOT LIKE 'unwelcome%')")
        settings = {"DATABASE_URL": url, "AUTH_JWT_SECRET": SECRET.decode()}
        with ServeProcess(**settings, LOG_LEVEL="debug", LOG_FORMAT="json") as process:
            process.wait_until_live()
            answers = list(provoke(Service(process.url)))
            run(url, "ALTER TABLE tasks DROP COLUMN description")
            answers += provoke(Service(process.url))
            _, output = process.stop()
    return [*answers, *(json.loads(line) for line in output.splitlines() if line.startswith("{"))]


def provoke(service: Service) -> Iterator[dict[str, Any]]:
    """The answers to requests that are refused, or fail in the database, and hold MARKER all over."""
    tasks = f"/api/{MARKER}/tasks"
    with service.client(MARKER) as client:
        for title in (f"unwelcome {MARKER}", f"{MARKER}\x00", MARKER):
            response = client.post(tasks, json={"title": title, "description": MARKER})
            yield {"status": response.status_code, "body": response.json()}
        response = client.put(f"{tasks}/1", json={"title": MARKER, "description": MARKER})
        yield {"status": response.status_code, "body": response.json()}
        for body in (f'{{"title": "{MARKER}"', f'["{MARKER}"]', f'{{"{MARKER}": 1}}'):
            client.post(tasks, content=body, headers={"Content-Type": "application/json"})
        client.post(tasks, json={"title": MARKER}, headers={"Idempotency-Key": f"{MARKER} é".encode()})
        client.get(f"{tasks}/{MARKER}?{MARKER}={MARKER}")
        client.get(f"/api/other-{MARKER}/tasks")
        for token in (MARKER, f"{MARKER}.{MARKER}.{MARKER}", f"{service.token(MARKER)}{MARKER}"):
            client.get(tasks, headers={"Authorization": f"Bearer {token}"})
    with service.client(SHORT_MARKER) as client:
        client.post(f"/api/{SHORT_MARKER}/tasks", json={"title": SHORT_MARKER, "description": SHORT_MARKER})


def test_an_unexpected_fault_is_answered_with_a_sentence(troubled: list[dict[str, Any]]) -> None:
    """The client of an unexpected fault gets 500 with the contract's sentence and no detail."""
    answers = [
        (line["status"], line["body"]) for line in troubled if "body" in line and line["status"] == 500
    ]

    assert [(500, FAULT)] * 4 == answers


def test_an_unexpected_fault_is_logged_with_its_traceback(troubled: list[dict[str, Any]]) -> None:
    """The log tells where a fault arose and which SQLSTATE was behind it: a broken rule, then a missing column."""
    faults = [line for line in troubled if line.get("message") == "unexpected fault"]

    assert ["error"] * 5 == [line["level"] for line in faults]
    assert all(line["traceback"].startswith("Traceback (most recent call last):") for line in faults)
    assert ["23514", *["42703"] * 4] == [
        re.findall("SQLSTATE (.....)", line["traceback"])[-1] for line in faults
    ]


def test_a_refused_token_is_logged_with_the_reason(troubled: list[dict[str, Any]]) -> None:
    """The precise reason of a 401, which no client is told, is a line of the log."""
    reasons = [line["message"] for line in troubled if line.get("message", "").startswith("unauthorized: ")]

    assert 6 == len(reasons)
    assert all(len(reason) > len("unauthorized: ") for reason in reasons)


def test_no_line_holds_what_a_client_sent(troubled: list[dict[str, Any]]) -> None:
    """No token, body, title or user is in any line, not even in the traceback of a fault or at the level DEBUG."""
    lines = [line for line in troubled if "logger" in line]

    assert lines
    assert [] == [line for line in lines for marker in (MARKER, SHORT_MARKER) if marker in str(line)]


def test_the_lines_of_a_service_have_its_time(troubled: list[dict[str, Any]]) -> None:
    """Every line's time is a moment of this run, in UTC."""
    times = [datetime.fromisoformat(line["time"]) for line in troubled if "logger" in line]

    assert times == sorted(times)
    assert all(abs((datetime.now(UTC) - time).total_seconds()) < 600 for time in times)
