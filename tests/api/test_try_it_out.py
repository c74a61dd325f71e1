"""Swagger UI on the real service: "Try it out" works with the contract's own examples, with nothing to be typed in."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from openapi.contract import contract
from server.identity.claims import issue_token
from tests.support.browser import needs_chromium, open_browser
from tests.support.running import SECRET, ServeProcess, Service

pytestmark = [pytest.mark.faults, needs_chromium]

TASKS = contract().document["paths"].values()
# What each operation answers when all is well: the first of its responses.
SUCCESS = {
    f"operations-tasks-{operation['operationId']}": next(iter(operation["responses"]))
    for path in TASKS
    for operation in path.values()
    if "tasks" in (operation.get("tags", []) if isinstance(operation, dict) else [])
}

# The largest of the three colours of the page's ground, from 0 to 255.
BRIGHTNESS = """
const colour = getComputedStyle(document.body).backgroundColor;
return Math.max(...(colour === "rgba(0, 0, 0, 0)" ? [255] : colour.match(/[0-9]+/g).slice(0, 3).map(Number)));
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def find(within: Chrome | WebElement, selector: str) -> WebElement:
    """The first element that `selector` finds, as soon as there is one."""
    return WebDriverWait(within, 30, 0.1).until(lambda _: within.find_element(By.CSS_SELECTOR, selector))


def click(browser: Chrome, element: WebElement) -> None:
    """Clicks an element wherever on the page it stands."""
    browser.execute_script("arguments[0].click()", element)


def execute(browser: Chrome, block: WebElement) -> tuple[str, str]:
    """Opens an operation, clicks "Try it out" and "Execute"; gives the status and the rest of the answer shown."""
    click(browser, find(block, ".opblock-summary-control"))
    click(browser, find(block, ".try-out__btn"))
    click(browser, find(block, ".execute"))
    row = find(block, ".live-responses-table .response")
    return find(row, ".response-col_status").text.split()[0], find(row, ".response-col_description").text


def test_every_operation_works_at_the_first_click(chromium: Chrome, tmp_path: Path) -> None:
    """On a fresh machine each operation of the tasks, from top to bottom, answers its success with its own examples."""
    with ServeProcess(cwd=tmp_path) as process:
        process.wait_until_live()
        chromium.get(process.url)
        find(chromium, ".btn.authorize.locked")
        assert f"{process.url}/docs/" == chromium.current_url
        blocks = chromium.find_elements(By.CSS_SELECTOR, "[id^=operations-tasks-]")
        assert SUCCESS.keys() == {block.get_attribute("id") for block in blocks}
        answers = {block.get_attribute("id"): execute(chromium, block) for block in blocks}

    assert {name: status for name, (status, _) in answers.items()} == SUCCESS
    shown = answers["operations-tasks-create_task"][1]
    assert all(f'"{name}"' in shown for name in contract().schema("Task")["required"])
    assert '"title": "Buy milk"' in answers["operations-tasks-get_task"][1]
    assert '"title": "Buy oat milk"' in answers["operations-tasks-update_task"][1]
    assert '"status": "complete"' in answers["operations-tasks-complete_task"][1]


def test_a_narrow_and_dark_screen(chromium: Chrome, tmp_path: Path) -> None:
    """At 375 pixels nothing scrolls sideways, answers included, and the page is dark where the system is."""
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    narrow = {"width": 375, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    try:
        with ServeProcess(cwd=tmp_path) as process:
            process.wait_until_live()
            chromium.get(process.url)
            find(chromium, ".btn.authorize.locked")
            light = chromium.execute_script(BRIGHTNESS)
            chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
            for name in ("create_task", "list_tasks", "get_task"):
                execute(chromium, find(chromium, f"#operations-tasks-{name}"))
            page = "document.documentElement"
            assert chromium.execute_script(f"return {page}.scrollWidth <= {page}.clientWidth")
            assert chromium.execute_script(BRIGHTNESS) < 100 < light
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_each_answer_shows_the_headers_of_its_own(chromium: Chrome, service: Service) -> None:
    """What every answer carries is described at the top, and not once more below each answer."""
    chromium.get(f"{service.url}/docs/")
    block = find(chromium, "#operations-tasks-create_task")
    click(chromium, find(block, ".opblock-summary-control"))
    find(block, ".responses-table")
    names = block.find_elements(By.CSS_SELECTOR, "table.headers tbody td:first-child")
    every = {"X-Request-Id", "Access-Control-Allow-Origin"}
    (create,) = (each for each in contract().operations.values() if each.id == "create_task")
    assert set().union(*(response.node["headers"] for response in create.responses.values())) - every == {
        name.text for name in names
    }
    assert all(name in find(chromium, ".information-container").text for name in every)


def test_in_production_a_token_is_asked_for(chromium: Chrome, tmp_path: Path) -> None:
    """With AUTH_JWT_SECRET the page brings no token; one that is typed into "Authorize" opens the same operations."""
    with ServeProcess(cwd=tmp_path, AUTH_JWT_SECRET=SECRET.decode()) as process:
        process.wait_until_live()
        assert "data-token" not in httpx.get(f"{process.url}/docs/", trust_env=False).text
        chromium.get(process.url)
        listing = find(chromium, "#operations-tasks-list_tasks")
        assert "401" == execute(chromium, listing)[0]

        click(chromium, find(chromium, ".btn.authorize.unlocked"))
        find(chromium, ".auth-container input").send_keys(issue_token(SECRET, "demo"))
        click(chromium, find(chromium, ".auth-btn-wrapper .authorize"))
        click(chromium, find(chromium, ".auth-btn-wrapper .btn-done"))
        assert ("201", True) == (
            (answer := execute(chromium, find(chromium, "#operations-tasks-create_task")))[0],
            '"user_id": "demo"' in answer[1],
        )
