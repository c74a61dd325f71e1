"""A real browser for tests: headless Chromium, driven by Selenium."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")

needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="Chromium and its driver are not installed (Debian: chromium, chromium-driver)",
)


@contextmanager
def open_browser(profile: Path) -> Iterator[Chrome]:
    """Runs headless Chromium while the context lasts.

    Args:
        profile: an empty folder for what the browser keeps.
    """
    assert CHROMIUM, "tests that open a browser are marked with needs_chromium"
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless",
        "--no-sandbox",  # The sandbox refuses to run as root, and the pages are our own.
        "--disable-gpu",
        "--disable-dev-shm-usage",
        # A browser on its own errands would ask hosts that a closed network refuses.
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        # Browsers trust a page on loopback more than others, so tests can also call this machine by a name.
        "--host-resolver-rules=MAP todo.example 127.0.0.1",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # With the driver's own path given, Selenium never looks for one to download.
    browser = Chrome(options, Service(CHROMEDRIVER))
    try:
        yield browser
    finally:
        browser.quit()


def console(browser: Chrome) -> list[str]:
    """What the console has shown since the last call, breaches of the Content-Security-Policy included."""
    return [f"{entry['level']}: {entry['message']}" for entry in _log(browser, "browser")]


def requests(browser: Chrome) -> list[dict[str, Any]]:
    """Every request over the network since the last call: `url`, `method` and `headers` of each."""
    events = [json.loads(entry["message"])["message"] for entry in _log(browser, "performance")]
    sent = [event["params"]["request"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [request for request in sent if not request["url"].startswith(("data:", "chrome:"))]


def _log(browser: Chrome, kind: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries
