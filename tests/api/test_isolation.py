"""Nobody reaches another's tasks: every operation of the contract against two users and four kinds of token."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.bridge.answers import Answer
from server.todo import todo
from tests.support.contracts import contract_of
from tests.support.operations import CASES, DOCUMENT, Case, ask, name
from tests.support.raw_http import JSON, TASK, exchange, percent_encoded, request, signed_in
from tests.support.running import EACH_ITS_OWN, Service, service_in_thread

NEVER_EXISTED = 2**62

PUBLIC = [case for case in CASES if case.is_public]
SECURED = [case for case in CASES if not case.is_public]
ONE_TASK = [case for case in SECURED if "{id}" in case.operation.path]
secured = pytest.mark.parametrize("case", SECURED, ids=name)
one_task = pytest.mark.parametrize("case", ONE_TASK, ids=name)


class Person:
    """A user who is signed in; `http` is shared, since making a client takes longer than a request."""

    def __init__(self, http: httpx.Client, service: Service, user: str) -> None:
        self.user = user
        self.tasks = f"/api/{user}/tasks"
        self._http = http
        self._token = f"Bearer {service.token(user)}"

    def send(self, method: str, path: str, headers: Any = None, **options: Any) -> httpx.Response:
        """Sends a request with the user's token."""
        signed = {"Authorization": self._token, **(headers or {})}
        return self._http.request(method, path, headers=signed, **options)

    def create(self) -> int:
        """The number of a new task of this user."""
        return int(self.send("POST", self.tasks, json={"title": f"A secret of {self.user}"}).json()["id"])

    def everything(self) -> bytes:
        """All that the user has stored, byte for byte."""
        return self.send("GET", self.tasks).content


@pytest.fixture
def alice(http: httpx.Client, service: Service, user: str) -> Person:
    """The user who asks."""
    return Person(http, service, f"alice-{user}")


@pytest.fixture
def bob(http: httpx.Client, service: Service, user: str) -> Person:
    """The user who is asked for."""
    return Person(http, service, f"bob-{user}")


def seen(response: httpx.Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Everything that a client sees of an answer, apart from the time and the request's id."""
    headers = [
        (name, value) for name, value in response.headers.raw if name.lower().decode() not in EACH_ITS_OWN
    ]
    return response.status_code, headers, response.content


@secured
def test_the_owner_reaches_the_own_path(alice: Person, case: Case) -> None:
    """An owner's own token opens the owner's path, so the refusals below are not those of a broken request."""
    assert case.operation.success == ask(alice.send, case, alice.user, alice.create()).status_code


@secured
@pytest.mark.parametrize("token", ["absent", "Basic eDp5", "foreign", "expired"])
def test_without_a_valid_token_nothing_opens(
    http: httpx.Client, service: Service, alice: Person, case: Case, token: str
) -> None:
    """No token, one that is none, one of another issuer and one that has expired are the same 401."""
    another_issuer = Service(service.url, b"another secret, also of 32 bytes!")
    made = {
        "foreign": f"Bearer {another_issuer.token(alice.user)}",
        "expired": f"Bearer {service.token(alice.user, lifetime=timedelta(hours=-1))}",
    }
    headers = {} if token == "absent" else {"Authorization": made.get(token, token)}
    task = alice.create()
    before = alice.everything()
    response = ask(http.request, case, alice.user, task, **headers)
    assert 401 == response.status_code
    assert "Bearer" == response.headers["www-authenticate"]
    assert _body(case, b'{"error":"Unauthorized"}\n') == response.content
    assert before == alice.everything()


def _body(case: Case, content: bytes) -> bytes:
    return b"" if case.method == "HEAD" else content


@secured
def test_another_s_path_is_closed(alice: Person, bob: Person, case: Case) -> None:
    """A valid token of another user is 403 on a path, and changes nothing there."""
    task = bob.create()
    before = bob.everything()
    response = ask(alice.send, case, bob.user, task)
    assert 403 == response.status_code
    assert _body(case, b'{"error":"Forbidden"}\n') == response.content
    assert before == bob.everything()


@secured
def test_403_does_not_tell_who_exists(alice: Person, bob: Person, case: Case) -> None:
    """The 403 for a user who exists and for one who does not are the same, headers and all."""
    of_bob = ask(alice.send, case, bob.user, bob.create())
    of_nobody = ask(alice.send, case, "nobody-has-this-name", 1)
    assert seen(of_nobody) == seen(of_bob)


@one_task
def test_another_s_task_is_not_there(alice: Person, bob: Person, case: Case) -> None:
    """Another's task below the own path is the same 404, headers and all, as one that never existed."""
    alice.create()
    task = bob.create()
    before = alice.everything(), bob.everything()
    of_bob = ask(alice.send, case, alice.user, task)
    of_nobody = ask(alice.send, case, alice.user, NEVER_EXISTED)
    assert 404 == of_bob.status_code
    assert _body(case, b'{"error":"Task not found"}\n') == of_bob.content
    assert seen(of_nobody) == seen(of_bob)
    assert before == (alice.everything(), bob.everything())


@one_task
@pytest.mark.parametrize("tag", ["current", '"stale"', "*"])
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_conditions_do_not_tell_another_s_state(
    alice: Person, bob: Person, case: Case, header: str, tag: str
) -> None:
    """Another's task stays the same 404 whatever entity tag the request names, its current one included."""
    task = bob.create()
    current = bob.send("GET", f"{bob.tasks}/{task}").headers["etag"]
    headers = {header: current if tag == "current" else tag}
    before = bob.everything()
    of_bob = ask(alice.send, case, alice.user, task, **headers)
    of_nobody = ask(alice.send, case, alice.user, NEVER_EXISTED, **headers)
    assert 404 == of_bob.status_code
    assert seen(of_nobody) == seen(of_bob)
    assert before == bob.everything()


@pytest.mark.parametrize("query", ["", "sort=priority", "sort=due_date", "sort=-due_date", "q=secret"])
def test_a_list_holds_the_own_tasks_only(alice: Person, bob: Person, query: str) -> None:
    """A list, also one that goes on from the cursor of another's list, holds the owner's tasks alone."""
    earlier = [alice.create(), alice.create()]
    bob.create(), bob.create()
    link = bob.send("GET", f"{bob.tasks}?limit=1&{query}").links["next"]["url"]
    cursor = httpx.URL(link).params["cursor"]
    later = [alice.create(), alice.create()]
    everything = alice.send("GET", f"{alice.tasks}?{query}").json()
    continued = alice.send("GET", f"{alice.tasks}?{query}&cursor={cursor}").json()
    assert [*later[::-1], *earlier[::-1]] == [task["id"] for task in everything]
    assert earlier[::-1] == [task["id"] for task in continued]
    assert {alice.user} == {task["user_id"] for task in everything}


def test_an_idempotency_key_of_another_is_another_key(alice: Person, bob: Person) -> None:
    """A key that another user has used is a fresh one here, with another body too."""
    key = {"Idempotency-Key": "shared"}
    of_bob = bob.send("POST", bob.tasks, headers=key, json={"title": "Of Bob"}).json()
    before = bob.everything()
    of_alice = alice.send("POST", alice.tasks, headers=key, json={"title": "Of Alice"})
    assert 201 == of_alice.status_code
    assert alice.user == of_alice.json()["user_id"]
    assert of_bob["id"] != of_alice.json()["id"]
    assert before == bob.everything()


@pytest.mark.parametrize("case", PUBLIC, ids=name)
def test_what_the_contract_frees_is_public(http: httpx.Client, case: Case) -> None:
    """An operation with `security: []` answers without a token, and looks at none."""
    for headers in ({}, {"Authorization": "Bearer x.y.z"}):
        assert case.operation.success == ask(http.request, case, "", 1, **headers).status_code


def test_health_alone_is_public() -> None:
    """Nothing but the two health checks is free of security."""
    assert ["get_liveness", "get_readiness"] == [c.operation.id for c in PUBLIC if c.method == "GET"]


def test_a_new_operation_is_closed_by_default(database_url: str, user: str) -> None:
    """An operation that is added to the contract without a word on security asks for a token."""
    document = deepcopy(DOCUMENT)
    news = {**document["paths"]["/health/live"]["get"], "operationId": "get_news"}
    del news["security"]
    document["paths"]["/news"] = {"get": news}

    async def get_news(_caller: object) -> Answer[Any]:
        return Answer({"status": "ok"})

    handlers = (*todo().handlers, SimpleNamespace(get_news=get_news))
    product = replace(todo(), contract=contract_of(document), handlers=handlers)
    with service_in_thread(database_url, load=lambda: product, validate_answers=False) as service:
        headers = ({}, {"Authorization": f"Bearer {service.token(user)}"})
        statuses = [
            httpx.get(f"{service.url}/news", headers=each, trust_env=False).status_code for each in headers
        ]
    assert [401, 200] == statuses


Encode = Callable[[str], str]


def as_needed(text: str) -> str:
    """`text` with percent-encoding where RFC 3986 asks for it."""
    return quote(text, safe="")


encodings = pytest.mark.parametrize("encode", [percent_encoded, as_needed])

LEGAL_SUBJECTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=255
)
ISSUERS_SUBJECTS = [
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "alice@example.com",
    "李雷",
    "👩‍👩‍👧‍👦" * 36,
    " ",
    " leading and trailing ",
    ".",
    "..",
    "%2F",
    "a+b&c=d;e,f",
    "{user_id}",
    "line break at the end\n",
    "\x7f\x1b[31m",
    "\U0010ffff" * 255,
]


@given(LEGAL_SUBJECTS)
@encodings
def test_any_legal_subject_works_in_the_path(service: Service, encode: Encode, subject: str) -> None:
    """Any `sub` without `/` and U+0000 can create, list and read below its percent-encoded path."""
    _walk(service, encode, subject)


@encodings
@pytest.mark.parametrize("subject", ISSUERS_SUBJECTS, ids=lambda subject: ascii(subject[:30]))
def test_subjects_as_issuers_make_them_work(service: Service, encode: Encode, subject: str) -> None:
    """The subjects that issuers give, and the odd ones that clients and routers stumble over, all work."""
    _walk(service, encode, subject)


def _walk(service: Service, encode: Encode, subject: str) -> None:
    identity = signed_in(service, subject)
    tasks = f"/api/{encode(subject)}/tasks"
    created = exchange(service, request("POST", tasks, identity, JSON, body=TASK))
    assert 201 == created.status
    assert subject == json.loads(created.body)["user_id"]
    listed = exchange(service, request("GET", f"{tasks}?limit=1", identity))
    assert (200, b"[%s]\n" % created.body.rstrip()) == (listed.status, listed.body)
    read = exchange(service, request("GET", created.headers["location"], identity))
    assert (200, created.body) == (read.status, read.body)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "Alice"),
        ("alice", "alice "),
        ("alice", "alicе"),
        ("\u00e9", "e\u0301"),
        ("\u212b", "\u00c5"),
        ("%2e", "."),
        ("a+b", "a b"),
        ("%41", "A"),
        ("stra\u00dfe", "strasse"),
        ("x", "x\u200b"),
    ],
    ids=ascii,
)
def test_users_that_look_alike_are_two(service: Service, one: str, other: str) -> None:
    """Users whose names differ in a single code point do not share a path, whatever a reader makes of them."""
    for owner, stranger in ((one, other), (other, one)):
        path = f"/api/{percent_encoded(owner)}/tasks"
        assert 200 == exchange(service, request("GET", path, signed_in(service, owner))).status
        assert 403 == exchange(service, request("GET", path, signed_in(service, stranger))).status
