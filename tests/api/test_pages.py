"""The pages for people: what they answer over HTTP, and what a real browser makes of them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from werkzeug.serving import make_server

from openapi.contract import CONTRACT_FILE, contract
from server.pages.paths import PATHS, is_page
from server.pages.site import SECURITY_HEADERS, SWAGGER_UI_FILES, SWAGGER_UI_VERSION, create_pages
from tests.support.browser import console, needs_chromium, open_browser, requests
from tests.support.running import service_in_thread, settings_for

TOKEN = "eyJ.a\"b<c>&'.z"
SWAGGER_UI_PATHS = [f"/docs/{SWAGGER_UI_VERSION}/{name}" for name in sorted(SWAGGER_UI_FILES)]
CONTRACT_PATHS = ["/openapi.json", "/openapi.yaml"]
STYLE = f"/docs/{SWAGGER_UI_VERSION}/docs.css"
PAGES = ["/", "/docs", "/docs/", "/docs/docs.js", STYLE, *SWAGGER_UI_PATHS, *CONTRACT_PATHS]
SECURED = [operation for operation in contract().operations.values() if operation.secured]


@pytest.fixture(scope="module")
def pages() -> Flask:
    return create_pages(contract())


@pytest.fixture
def client(pages: Flask) -> FlaskClient:
    return pages.test_client()


@pytest.fixture
def developer() -> FlaskClient:
    return create_pages(contract(), lambda: TOKEN).test_client()


def test_the_pages_are_told_from_the_api_by_their_paths(pages: Flask) -> None:
    """Every path that the pages answer is theirs, and no path of the contract is."""
    assert all(map(is_page, PAGES))
    assert PATHS <= {str(rule) for rule in pages.url_map.iter_rules()}
    assert all(is_page(str(rule)) for rule in pages.url_map.iter_rules())
    assert [] == [path for path in contract().document["paths"] if is_page(path)]
    assert [] == [path for path in ("/docsx", "/openapi.yaml/", "/openapi", "//docs", "") if is_page(path)]


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("host", ["localhost", "evil.example", "evil.example/x?"])
def test_the_way_to_the_docs_names_no_host(client: FlaskClient, path: str, host: str) -> None:
    """A redirect is relative, so no Host header decides where it leads."""
    response = client.get(path, headers={"Host": host, "X-Forwarded-Host": host})

    assert (302, "docs/") == (response.status_code, response.headers["Location"])
    assert "evil" not in response.text


@pytest.mark.parametrize("path", ["/todo", "/todo/docs", "/docs"])
def test_below_a_path_the_way_to_the_docs_stays_there(database_url: str, path: str) -> None:
    """With ROOT_PATH its own name leads to the pages too, which lie below it (RFC 3986, section 5.3)."""
    with (
        service_in_thread(database_url, settings_for(root_path="/todo")) as service,
        service.client() as asking,
    ):
        response = asking.get(path)

    assert (302, "/todo/docs/") == (response.status_code, response.headers["location"])


def test_the_contract_is_published_as_it_is(client: FlaskClient) -> None:
    """`/openapi.yaml` is the file, byte for byte, in the media type of RFC 9512."""
    response = client.get("/openapi.yaml")

    assert CONTRACT_FILE.read_bytes() == response.data
    assert (200, "application/yaml") == (response.status_code, response.headers["Content-Type"])


def test_the_contract_as_json_is_the_same_document(client: FlaskClient) -> None:
    """`/openapi.json` says what the YAML says, its references as they stand there."""
    response = client.get("/openapi.json")

    assert yaml.safe_load(CONTRACT_FILE.read_text()) == response.json
    assert CONTRACT_FILE.read_text().count("$ref: ") == response.text.count('"$ref": ')
    assert (200, "application/json") == (response.status_code, response.headers["Content-Type"])


@pytest.mark.parametrize("path", [*CONTRACT_PATHS, *SWAGGER_UI_PATHS, "/docs/docs.js"])
def test_a_file_that_the_client_holds_is_not_sent_again(client: FlaskClient, path: str) -> None:
    """The entity tag of a file turns the next answer into 304, another tag does not (RFC 9110, section 13.1.2)."""
    tag = client.get(path).headers["ETag"]

    unchanged = client.get(path, headers={"If-None-Match": tag})
    assert (304, b"", tag) == (unchanged.status_code, unchanged.data, unchanged.headers["ETag"])
    assert 200 == client.get(path, headers={"If-None-Match": '"another"'}).status_code


@pytest.mark.parametrize("path", SWAGGER_UI_PATHS)
def test_a_file_with_a_version_in_its_path_is_cached_for_good(client: FlaskClient, path: str) -> None:
    """Another version of Swagger UI has other paths, so a browser never needs to ask again (RFC 8246)."""
    assert "public, max-age=31536000, immutable" == client.get(path).headers["Cache-Control"]


@pytest.mark.parametrize("path", [*CONTRACT_PATHS, "/docs/docs.js", STYLE])
def test_a_file_without_a_version_is_asked_for_each_time(client: FlaskClient, path: str) -> None:
    """After a restart on another contract nobody sees the former one."""
    assert "no-cache" == client.get(path).headers["Cache-Control"]


@given(
    name=st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda name: f"/docs/{name}" not in PAGES)
)
def test_there_is_nothing_else_below_docs(pages: Flask, name: str) -> None:
    """Whatever name is asked for below /docs, the answer is the envelope and never a file of ours or a fault."""
    response = pages.test_client().get(f"/docs/{quote(name, safe='')}")

    assert (404, ["error"]) == (response.status_code, [*response.get_json()])


@pytest.mark.parametrize(
    "path",
    [
        "/docs/nothing",
        f"/docs/{SWAGGER_UI_VERSION}/swagger-ui.js",
        f"/docs/{SWAGGER_UI_VERSION}/oauth2-redirect.html",
        "/docs/0.0.0/swagger-ui.css",
        "/docs//docs.js",
        "/docs/../pages.py",
        "/docs/..%2fpages.py",
        "/docs/%00",
        "/docs/%ff",
        "/docs/" + "a" * 5000,
    ],
)
def test_a_page_that_does_not_exist_is_the_contracts_404(client: FlaskClient, path: str) -> None:
    """An unknown page is refused as an unknown path of the API is."""
    response = client.get(path)

    assert 404 == response.status_code
    assert {"error": "Not found. The paths of this API are listed in /openapi.yaml"} == response.json


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_a_page_can_only_be_read(client: FlaskClient, method: str, path: str) -> None:
    """Any method but GET and HEAD is the contract's 405, with `Allow`."""
    response = client.open(path, method=method)

    assert (405, "GET, HEAD") == (response.status_code, response.headers["Allow"])
    assert {"error": contract().refusals["MethodNotAllowed"].sentence} == response.json


@pytest.mark.parametrize("path", [*CONTRACT_PATHS, *SWAGGER_UI_PATHS])
def test_a_condition_that_fails_is_the_envelope(client: FlaskClient, path: str) -> None:
    """What Werkzeug refuses by itself has the form of every other refusal."""
    response = client.get(path, headers={"If-Match": '"another"'})

    assert (412, ["error"]) == (response.status_code, [*response.get_json()])


def test_a_fault_is_the_contracts_500() -> None:
    """An exception in a page becomes the envelope, without its text."""
    broken = create_pages(contract())
    broken.add_url_rule("/docs/fault", view_func=lambda: str(1 // 0))

    response = broken.test_client().get("/docs/fault")

    assert 500 == response.status_code
    assert {"error": contract().refusals["InternalError"].sentence} == response.json


@pytest.mark.parametrize("path", [*PAGES, "/docs/nothing"])
def test_every_answer_tells_browsers_to_be_careful(client: FlaskClient, path: str) -> None:
    """Refusals and redirects too carry the headers that keep scripts, frames and guesses away."""
    headers = client.get(path).headers

    assert dict(SECURITY_HEADERS) == {name: headers[name] for name in SECURITY_HEADERS}
    assert ("nosniff", "DENY", "no-referrer") == (
        headers["X-Content-Type-Options"],
        headers["X-Frame-Options"],
        headers["Referrer-Policy"],
    )


def test_the_policy_lets_only_our_own_files_run() -> None:
    """The Content-Security-Policy starts from nothing and has no exception for inline code or other hosts."""
    policy = dict(
        rule.strip().split(" ", 1) for rule in SECURITY_HEADERS["Content-Security-Policy"].split(";")
    )

    assert ("'none'", "'self'", "'self'") == (
        policy["default-src"],
        policy["script-src"],
        policy["style-src"],
    )
    assert ("'self'", "'none'", "'none'") == (
        policy["connect-src"],
        policy["frame-ancestors"],
        policy["base-uri"],
    )


def test_in_production_the_page_holds_no_token(client: FlaskClient) -> None:
    """Without a token nothing of signing in is in the page, and the answer is not kept."""
    response = client.get("/docs/")

    assert "data-token" not in response.text
    assert "no-store" == response.headers["Cache-Control"]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.8.9.10", "[::1]:8000"]
)
def test_in_development_the_page_holds_the_token(developer: FlaskClient, host: str) -> None:
    """The developer's own browser gets the token, as text that cannot become markup, and does not keep it."""
    response = developer.get("/docs/", headers={"Host": host})

    assert 'data-token="eyJ.a&#34;b&lt;c&gt;&amp;&#39;.z"' in response.text
    assert 'data-scheme="bearer"' in response.text
    assert "no-store" == response.headers["Cache-Control"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost@evil.example"},
        {"Host": "192.168.0.10:8000"},
        {"Host": "[::1"},
        {"Host": ""},
        {"Host": "localhost:8000", "Origin": "https://evil.example"},
        {"Host": "localhost:8000", "Origin": "null"},
    ],
)
def test_no_other_site_gets_the_token(developer: FlaskClient, headers: dict[str, str]) -> None:
    """A site that leads its own name here, or reads across origins, gets the page without the token."""
    response = developer.get("/docs/", headers=headers)

    assert 200 == response.status_code
    assert "data-token" not in response.text


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serves `app` over HTTP on a free port of loopback and yields the address."""
    with make_server("127.0.0.1", 0, app, threaded=True) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@dataclass(frozen=True)
class Visit:
    """What a browser saw at /docs, in production with every operation opened."""

    url: str
    token: str | None
    address: str
    title: str
    version: list[str]
    operations: set[tuple[str, str]]
    faults: list[str]
    authorize: str
    padlocks: list[str]
    console: list[str]
    requested: list[str]


@pytest.fixture(scope="module", params=[None, TOKEN], ids=["production", "development"])
def visit(request: pytest.FixtureRequest, chromium: Chrome) -> Iterator[Visit]:
    with serving(create_pages(contract(), lambda: request.param)) as url:
        if request.param is None:
            # Off loopback both Swagger UI and the browser have more to ask and to complain of.
            url = url.replace("127.0.0.1", "todo.example")
        open_docs(chromium, url)
        address = chromium.current_url
        if request.param is None:
            # One by one, and in one visit only, since the browser computes long with many open.
            for block in find(chromium, ".opblock"):
                (control,) = find(block, ".opblock-summary-control")
                chromium.execute_script("arguments[0].click()", control)
                find(block, ".responses-table")
                chromium.execute_script("arguments[0].click()", control)
        yield Visit(
            url,
            request.param,
            address,
            chromium.title,
            [element.text for element in find(chromium, ".version-stamp")],
            {
                (
                    block.find_element(By.CSS_SELECTOR, ".opblock-summary-method").text,
                    block.find_element(By.CSS_SELECTOR, ".opblock-summary-path").get_attribute("data-path"),
                )
                for block in find(chromium, ".opblock")
            },
            [element.text for element in chromium.find_elements(By.CSS_SELECTOR, ".errors-wrapper")],
            find(chromium, ".btn.authorize")[0].get_attribute("class"),
            [button.get_attribute("aria-label") for button in find(chromium, ".authorization__btn")],
            console(chromium),
            # The browser's own first page is none of ours.
            [each["url"] for each in requests(chromium) if each["url"].startswith("http")],
        )


def find(within: Chrome | WebElement, selector: str) -> list[Any]:
    """The elements that `selector` finds, as soon as there are any."""
    elements: list[Any] = WebDriverWait(within, 60, 0.1).until(
        lambda _: within.find_elements(By.CSS_SELECTOR, selector)
    )
    return elements


def open_docs(browser: Chrome, url: str) -> None:
    """Opens the docs and forgets what the page before has said and asked."""
    console(browser)
    requests(browser)
    browser.get(f"{url}/docs")
    find(browser, ".opblock")


def execute_first_operation(browser: Chrome) -> list[str | None]:
    """The Authorization header of each request that "Try it out" and "Execute" send."""
    find(browser, ".opblock-summary-control")[0].click()
    find(browser, ".try-out__btn")[0].click()
    find(browser, ".execute")[0].click()
    find(browser, ".live-responses-table")
    sent = [request for request in requests(browser) if "/api/" in request["url"]]
    return [request["headers"].get("Authorization") for request in sent]


@needs_chromium
def test_swagger_ui_shows_the_contract(visit: Visit) -> None:
    """Title, version and every operation of the OpenAPI 3.1 document are on the page at /docs/."""
    operations = {(operation.method, operation.path) for operation in contract().operations.values()}

    assert f"{visit.url}/docs/" == visit.address
    assert (contract().document["info"]["title"], ["OAS 3.1"]) == (visit.title, visit.version)
    assert operations == visit.operations


@needs_chromium
def test_swagger_ui_has_nothing_to_complain_of(visit: Visit) -> None:
    """Neither the page nor the console shows an error, a warning or a breach of the policy."""
    assert ([], []) == (visit.faults, visit.console)


@needs_chromium
def test_the_docs_ask_nothing_of_another_host(visit: Visit) -> None:
    """Everything that the page loads comes from the server that it came from, and nothing is loaded twice."""
    expected = ["/docs", "/docs/", "/docs/docs.js", STYLE, *SWAGGER_UI_PATHS, "/openapi.json"]

    assert sorted(f"{visit.url}{path}" for path in expected) == sorted(visit.requested)


@needs_chromium
def test_the_padlocks_show_who_is_signed_in(visit: Visit) -> None:
    """In development every secured operation is signed in from the start, in production none is."""
    state = "locked" if visit.token else "unlocked"

    assert [f"authorization button {state}"] * len(SECURED) == visit.padlocks
    assert f"btn authorize {state}" == visit.authorize


@needs_chromium
def test_the_first_try_out_carries_the_token(chromium: Chrome) -> None:
    """In development "Try it out" and "Execute" send the token as a bearer, with nothing to be typed in."""
    with serving(create_pages(contract(), lambda: "eyJ.first.try")) as url:
        open_docs(chromium, url)
        find(chromium, ".btn.authorize.locked")

        assert ["Bearer eyJ.first.try"] == execute_first_operation(chromium)


@needs_chromium
def test_a_token_that_is_typed_in_is_forgotten_with_the_page(chromium: Chrome) -> None:
    """In production "Authorize" takes a token, requests carry it, and the next page knows nothing of it."""
    with serving(create_pages(contract())) as url:
        open_docs(chromium, url)
        find(chromium, ".btn.authorize.unlocked")[0].click()
        find(chromium, ".auth-container input")[0].send_keys("eyJ.typed.in")
        find(chromium, ".auth-btn-wrapper .authorize")[0].click()
        find(chromium, ".auth-btn-wrapper .btn-done")[0].click()
        find(chromium, ".btn.authorize.locked")
        assert ["Bearer eyJ.typed.in"] == execute_first_operation(chromium)

        open_docs(chromium, url)
        find(chromium, ".btn.authorize.unlocked")
        assert 0 == chromium.execute_script("return localStorage.length + sessionStorage.length")
        assert "" == chromium.execute_script("return document.cookie")


@needs_chromium
def test_a_script_that_is_written_into_the_page_does_not_run(chromium: Chrome) -> None:
    """The policy stops inline code, and the console that the other tests read says so."""
    with serving(create_pages(contract())) as url:
        open_docs(chromium, url)
        chromium.execute_script(
            "const script = document.createElement('script');"
            "script.textContent = 'window.intruder = true';"
            "document.body.append(script);"
        )

        assert chromium.execute_script("return window.intruder === undefined")
        (complaint,) = console(chromium)
        assert "Content Security Policy" in complaint
