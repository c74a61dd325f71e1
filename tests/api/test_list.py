"""GET /api/{user_id}/tasks: newest first, filtered, and page by page without a gap or a repeat."""

from collections.abc import Iterable, Iterator
from string import ascii_lowercase, ascii_uppercase
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openapi.contract import contract
from tests.support import conforming
from tests.support.clusters import run
from tests.support.running import Service

service = conforming.service

SORTS = "'-created_at' or 'priority' or 'due_date' or '-due_date' or '-updated_at' or 'title'"
KNOWN = "'status', 'priority', 'tag', 'due_from', 'due_to', 'q', 'sort', 'limit', 'cursor', 'count'"
TITLES = (
    *("MILK", "CRE\u0300ME", "back\\slash", "snake_case", "100%", "a\u0301\u0308b"),
    *("δρομος", "ΔΡΟΜΟΣ", "Straße", "\u1112\u1161\u11ab", "Dif\u00edcil", "Vi\u00ea\u0323t"),
)
INVALID_DATE = "Invalid date. Must be a date such as 2026-11-24"


def create(client: httpx.Client, tasks: str, count: int) -> list[dict[str, Any]]:
    """`count` new tasks, newest first."""
    created = [client.post(tasks, json={"title": f"Task {number}"}).json() for number in range(count)]
    return created[::-1]


def pages(client: httpx.Client, address: str) -> Iterator[list[dict[str, Any]]]:
    """Every page from `address` on, by the `Link` of the one before."""
    while address:
        response = client.get(address)
        assert 200 == response.status_code
        yield response.json()
        address = response.links.get("next", {}).get("url", "")


def test_no_tasks(client: httpx.Client, tasks: str) -> None:
    """A user without tasks has an empty list."""
    response = client.get(tasks)

    assert 200 == response.status_code
    assert b"[]\n" == response.content
    assert "Link" not in response.headers


def test_newest_first(client: httpx.Client, tasks: str) -> None:
    """The list is a bare array of whole tasks, the newest first, whatever was changed last."""
    newest_first = create(client, tasks, 4)
    newest_first[2] = client.patch(f"{tasks}/{newest_first[2]['id']}/complete").json()

    assert newest_first == client.get(tasks).json()


def test_tasks_of_one_instant(client: httpx.Client, tasks: str, user: str, database_url: str) -> None:
    """Of tasks that were created at the same instant the one with the higher number comes first, on every page."""
    create(client, tasks, 7)
    run(database_url, "UPDATE tasks SET created_at = '2026-01-01T00:00:00Z' WHERE user_id = %s", user)

    whole = client.get(tasks).json()

    assert sorted((task["id"] for task in whole), reverse=True) == [task["id"] for task in whole]
    assert [[task] for task in whole] == list(pages(client, f"{tasks}?limit=1"))
    assert [whole[:3], whole[3:6], whole[6:]] == list(pages(client, f"{tasks}?limit=3"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=complete", ["a", "c"]),
        ("status=incomplete", ["b", "d", "e"]),
        ("status=incomplete&status=complete", ["a", "b", "c", "d", "e"]),
        ("priority=high", ["c"]),
        ("priority=high&priority=low", ["b", "c", "e"]),
        ("tag=odd", ["a", "c", "e"]),
        ("tag=odd&tag=%C3%A4,", ["c"]),
        ("tag=Odd", []),
        ("due_from=2026-11-24", ["b", "c"]),
        ("due_to=2026-11-24", ["a", "b"]),
        ("due_from=2026-11-24&due_to=2026-11-24", ["b"]),
        ("due_from=2026-11-25&due_to=2026-11-24", []),
        ("due_from=0001-01-01&due_to=9999-12-31", ["a", "b", "c"]),
        ("status=complete&priority=high&priority=low&due_to=2027-01-01", ["c"]),
    ],
)
def test_filters(client: httpx.Client, tasks: str, query: str, expected: list[str]) -> None:
    """A task is listed, and counted, on whatever page, if each filter that is given lets it through."""
    for title, priority, due_date in (
        ("e", "low", None),
        ("d", "medium", None),
        ("c", "high", "2027-01-01"),
        ("b", "low", "2026-11-24"),
        ("a", "medium", "0001-01-01"),
    ):
        tags = [*(["odd"] if title in "ace" else []), *(["ä,"] if title in "bc" else [])]
        task = {"title": title, "priority": priority, "due_date": due_date, "tags": tags}
        address = client.post(tasks, json=task).headers["Location"]
        if title in "ac":
            client.patch(f"{address}/complete")

    response = client.get(f"{tasks}?{query}&count=true")

    assert expected == [task["title"] for task in response.json()]
    assert str(len(expected)) == response.headers["X-Total-Count"]
    listed = [client.get(f"{tasks}?{query}&count=true&limit=2")]
    while "next" in listed[-1].links:
        listed.append(client.get(listed[-1].links["next"]["url"]))
    assert expected == [task["title"] for page in listed for task in page.json()]
    assert {str(len(expected))} == {page.headers["X-Total-Count"] for page in listed}


def test_a_page_of_a_megabyte(client: httpx.Client, tasks: str) -> None:
    """A page ends before it is larger than 1 MiB as JSON, and leads on, whatever its limit is."""
    texts = ["\x01" * 5000, "🙂" * 5000, "a" * 5000]
    created = [client.post(tasks, json={"title": "x", "description": text}).json() for text in texts * 30]

    listed = list(pages(client, tasks))

    assert created[::-1] == [task for page in listed for task in page]
    sizes = [len(orjson.dumps(page)) for page in listed]
    largest = contract().document["x-max-page-bytes"]
    assert max(sizes) <= largest
    assert min(sizes[:-1]) > largest - 40_000


@pytest.mark.parametrize("name", ["status", "priority", "tag", "due_from", "due_to"])
def test_an_empty_filter_is_none(client: httpx.Client, tasks: str, name: str) -> None:
    """A filter without a value, as a form sends one that nobody has filled in, lets every task through."""
    created = client.post(tasks, json={"title": "a"}).json()
    assert [created["id"]] == [task["id"] for task in client.get(f"{tasks}?{name}=").json()]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("status=done", "Invalid status value. Must be 'incomplete' or 'complete'"),
        ("status=Complete", "Invalid status value. Must be 'incomplete' or 'complete'"),
        ("status=incomplete,complete", "Invalid status value. Must be 'incomplete' or 'complete'"),
        ("status=complete&status=done", "Invalid status value. Must be 'incomplete' or 'complete'"),
        ("status=complete&status=complete&status=complete", "Status must have 2 items or less"),
        ("priority=urgent", "Invalid priority value. Must be 'low' or 'medium' or 'high'"),
        ("tag=a&" * 21, "Tag must have 20 items or less"),
        ("due_from=2026-02-29", INVALID_DATE),
        ("due_to=null", INVALID_DATE),
        ("due_to=2026-11-24T00:00:00Z", INVALID_DATE),
        ("count=1", "Count must be true or false"),
        ("limit=0", "Limit must be 1 or more"),
        ("limit=-1", "Limit must be 1 or more"),
        ("limit=1001", "Limit must be 1000 or less"),
        ("limit=99999999999999999999", "Limit must be 1000 or less"),
        ("limit=ten", "Limit must be an integer"),
        ("limit=", "Limit must be an integer"),
        ("limit=1.5", "Limit must be an integer"),
        ("limit=%2B1", "Limit must be an integer"),
        ("limit=01", "Limit must be an integer"),
        ("limit=1&limit=1", "Limit must be given once"),
        ("cursor=", "Invalid cursor. Take it from the Link header of the page before"),
        ("cursor=abc", "Invalid cursor. Take it from the Link header of the page before"),
        ("cursor=" + "0" * 62, "Invalid cursor. Take it from the Link header of the page before"),
        ("cursor=" + "f0" * 31, "Invalid cursor. Take it from the Link header of the page before"),
        ("cursor=" + "69" + "0f" * 30, "Invalid cursor. Take it from the Link header of the page before"),
        ("cursor=" + "0f" * 30, "Invalid cursor. Take it from the Link header of the page before"),
        ("sort=", f"Sort must be {SORTS}"),
        ("sort=-title", f"Sort must be {SORTS}"),
        ("sort=-priority", f"Sort must be {SORTS}"),
        ("sort=priority,due_date", f"Sort must be {SORTS}"),
        ("sort=priority&sort=priority", "Sort must be given once"),
        ("q=" + "%F0%9F%98%80" * 65, "Q must be 64 characters or less"),
        ("q=a%00b", "Q must not contain the character U+0000"),
        ("q=a&q=b", "Q must be given once"),
        ("offset=10", f"Unknown query parameter. Known here: {KNOWN}"),
        ("Status=complete", f"Unknown query parameter. Known here: {KNOWN}"),
        ("=", f"Unknown query parameter. Known here: {KNOWN}"),
        ("limit=%ff", "The query must be percent-encoded UTF-8"),
        ("limit=%zz", "The query must be percent-encoded UTF-8"),
    ],
)
def test_a_query_that_breaks_a_rule(client: httpx.Client, tasks: str, query: str, sentence: str) -> None:
    """A query that the contract does not allow is refused with the rule's sentence."""
    response = client.get(f"{tasks}?{query}")

    assert 400 == response.status_code
    assert {"error": sentence} == response.json()


def test_all_tasks_in_one_answer(client: httpx.Client, tasks: str) -> None:
    """150 tasks are listed in one answer."""
    created = create(client, tasks, 150)

    response = client.get(tasks)

    assert created == response.json()
    assert "Link" not in response.headers


def test_three_pages_while_tasks_come_and_go(client: httpx.Client, tasks: str) -> None:
    """150 tasks make three pages of 50, none missing or doubled while others are created and deleted in between."""
    created = create(client, tasks, 150)
    seen: list[dict[str, Any]] = []
    sizes = []

    for page in pages(client, f"{tasks}?limit=50"):
        sizes.append(len(page))
        seen += page
        # The task that the cursor was made from goes too.
        for gone in (*create(client, tasks, 3)[:1], page[-1]):
            assert 204 == client.delete(f"{tasks}/{gone['id']}").status_code

    assert [50, 50, 50] == sizes
    assert created == seen


@pytest.mark.parametrize(("count", "limit", "expected"), [(3, 3, [3]), (4, 3, [3, 1]), (6, 3, [3, 3])])
def test_the_last_page_has_no_link(
    client: httpx.Client, tasks: str, count: int, limit: int, expected: list[int]
) -> None:
    """Only a page after which there are more tasks leads on."""
    create(client, tasks, count)

    assert expected == [len(page) for page in pages(client, f"{tasks}?limit={limit}")]


def test_a_thousand_tasks_at_most(client: httpx.Client, tasks: str, user: str, database_url: str) -> None:
    """Without `limit` an answer holds 1000 tasks, and leads on where there are more."""
    create(client, tasks, 1)
    run(
        database_url,
        "INSERT INTO tasks (user_id, title) SELECT %s, 'Task ' || n FROM generate_series(1, 1000) AS n",
        user,
    )

    listed = list(pages(client, tasks))

    assert [1000, 1] == [len(page) for page in listed]
    assert 1001 == len({task["id"] for page in listed for task in page})
    assert [1000, 1] == [len(page) for page in pages(client, f"{tasks}?limit=1000")]


def test_the_link_keeps_the_question(client: httpx.Client, tasks: str) -> None:
    """The next page's address is relative to the server and repeats what was asked."""
    create(client, tasks, 3)

    response = client.get(
        tasks, params={"limit": 2, "status": ["incomplete", "complete"], "q": "TASK ", "sort": "-due_date"}
    )

    address = urlsplit(response.links["next"]["url"])
    assert ("", "", tasks) == (address.scheme, address.netloc, address.path)
    query = parse_qs(address.query)
    asked = {"limit": ["2"], "status": ["incomplete", "complete"], "q": ["TASK "], "sort": ["-due_date"]}
    assert {**asked, "cursor": query["cursor"]} == query


@pytest.mark.parametrize("user", ["auth0|42", "a user@example.com", "ünïcödé ☃", "100%?#&=+;", ".."])
def test_the_link_leads_on_for_any_user(client: httpx.Client, user: str) -> None:
    """The addresses in an answer are right for every user, percent-encoded where needed."""
    address = "/api/" + "".join(f"%{byte:02X}" for byte in user.encode()) + "/tasks"
    created = create(client, address, 3)

    listed = [task for page in pages(client, f"{address}?limit=2") for task in page]
    assert created == listed[:3]
    assert client.get(address).json() == listed


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("priority", ["later", "sooner", "never", "same day", "some day"]),
        ("due_date", ["same day", "sooner", "later", "never", "some day"]),
        ("-due_date", ["later", "same day", "sooner", "never", "some day"]),
        ("-created_at", ["never", "same day", "later", "sooner", "some day"]),
        ("-updated_at", ["sooner", "never", "same day", "later", "some day"]),
        ("title", ["later", "never", "same day", "some day", "sooner"]),
    ],
)
def test_sort(client: httpx.Client, tasks: str, sort: str, expected: list[str]) -> None:
    """Each order is that of its name, with what has no due date at the end, and among equals the newest first."""
    for title, members in {
        "some day": {"priority": "low"},
        "sooner": {"priority": "high", "due_date": "2026-11-24"},
        "later": {"priority": "high", "due_date": "2027-01-01"},
        "same day": {"priority": "low", "due_date": "2026-11-24"},
        "never": {},
    }.items():
        location = client.post(tasks, json={"title": title, **members}).headers["Location"]
        if title == "sooner":
            changed = location
    client.put(changed, json={"description": "changed last"})

    assert expected == [task["title"] for task in client.get(tasks, params={"sort": sort}).json()]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("milk", ["MILK", "Buy milk"]),
        ("mIlK", ["MILK", "Buy milk"]),
        ("2 LITRES", ["Buy milk"]),
        ("crème", ["CRE\u0300ME"]),
        ("cre\u0300me", ["CRE\u0300ME"]),
        ("creme", []),
        ("cr", ["CRE\u0300ME"]),
        ("cre", []),
        ("δρομος", ["ΔΡΟΜΟΣ", "δρομος"]),
        ("ΔΡΟΜΟΣ", ["ΔΡΟΜΟΣ", "δρομος"]),
        ("strasse", ["Straße"]),
        ("STRAẞE", ["Straße"]),
        ("한", ["\u1112\u1161\u11ab"]),
        # A letter that can be in a ligature has a mark, and marks have another order than in either normal form.
        ("DIF\u00cdCIL", ["Dif\u00edcil"]),
        ("difi\u0301cil", ["Dif\u00edcil"]),
        ("dificil", []),
        ("vi\u1ec7t", ["Vi\u00ea\u0323t"]),
        # Two marks on the same side of a letter are others in another order.
        ("A\u0301\u0308", ["a\u0301\u0308b"]),
        ("a\u0308\u0301", []),
        ("%", ["100%"]),
        ("_", ["snake_case"]),
        ("\\", ["back\\slash"]),
        (".*", []),
        ("' OR ''='", []),
        ("milk\n", []),
        ("", [*TITLES[::-1], "Buy milk"]),
    ],
)
def test_search(client: httpx.Client, tasks: str, q: str, expected: list[str]) -> None:
    """With `q` the tasks are listed whose title or description holds the text by Unicode's canonical caseless matching
    (The Unicode Standard, definition D145)."""
    client.post(tasks, json={"title": "Buy milk", "description": "2 litres"})
    for title in TITLES:
        client.post(tasks, json={"title": title})

    assert expected == [task["title"] for task in client.get(tasks, params={"q": q}).json()]


SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)
texts = st.text("éÉ%\\aA😀", max_size=3)
bodies = st.fixed_dictionaries(
    {
        "title": texts.map("x".__add__),
        "description": st.none() | texts,
        "priority": st.sampled_from(["low", "medium", "high"]),
        "due_date": st.sampled_from([None, "0001-01-01", "2026-11-24", "9999-12-31"]),
    }
)


def in_order(tasks: Iterable[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    """The tasks as the contract says that `sort` has them."""
    newest_first = sorted(tasks, key=lambda task: task["id"], reverse=True)
    if sort == "priority":
        return sorted(newest_first, key=lambda task: ["high", "medium", "low"].index(task["priority"]))
    if sort == "-created_at":
        return newest_first
    if sort == "-updated_at":
        return sorted(newest_first, key=lambda task: str(task["updated_at"]), reverse=True)
    if sort == "title":
        return sorted(newest_first, key=lambda task: str(task["title"]).translate(SMALL))
    dated = [task for task in newest_first if task["due_date"]]
    dated.sort(key=lambda task: str(task["due_date"]), reverse=sort == "-due_date")
    return [*dated, *(task for task in newest_first if not task["due_date"])]


@pytest.mark.parametrize("sort", contract().schema("Sort")["enum"])
def test_pages_in_every_order(service: Service, sort: str) -> None:
    """In any order, with any filter and page size, the pages hold what is due after the task that was listed last,
    while tasks come and go."""
    with service.client() as client:

        @given(
            st.data(),
            st.sampled_from([None, None, "incomplete"]),
            st.sampled_from([None, None, "é", "\\"]),
            st.integers(1, 3),
        )
        @settings(max_examples=settings.default.max_examples // 4)
        def as_the_model(data: st.DataObject, status: str | None, q: str | None, limit: int) -> None:
            user = f"pages-{uuid4()}"
            tasks = f"/api/{user}/tasks"
            client.headers["Authorization"] = f"Bearer {service.token(user)}"
            model: dict[int, dict[str, Any]] = {}

            def come_and_go(least: int, most: int) -> None:
                for body in data.draw(st.lists(bodies, min_size=least, max_size=most)):
                    task = client.post(tasks, json=body).json()
                    if data.draw(st.booleans()):
                        task = client.patch(f"{tasks}/{task['id']}/complete").json()
                    model[task["id"]] = task
                for gone in data.draw(st.sets(st.sampled_from([*model, None]), max_size=2)) - {None}:
                    client.delete(f"{tasks}/{gone}")
                    del model[gone]

            come_and_go(4, 8)
            query = {"status": status, "q": q, "sort": sort, "limit": limit}
            address = str(
                httpx.URL(tasks, params={name: value for name, value in query.items() if value is not None})
            )
            last: dict[int, dict[str, Any]] = {}
            while address:
                listed = in_order((model | last).values(), sort)
                rest = listed[listed.index(*last.values()) + 1 :] if last else listed
                expected = [
                    task
                    for task in rest
                    if status in (None, task["status"])
                    and (q or "").lower() in f"{task['title']}\n{task['description'] or ''}".lower()
                ]
                response = client.get(address)
                assert expected[:limit] == response.json()
                address = response.links.get("next", {}).get("url", "")
                assert bool(address) == (len(expected) > limit)
                last = {task["id"]: task for task in response.json()[-1:]}
                come_and_go(0, 2)

        as_the_model()


@given(st.from_regex(contract().schema("Cursor")["pattern"], fullmatch=True))
def test_any_cursor_of_the_contracts_form(service: Service, cursor: str) -> None:
    """A cursor that has the contract's form is a place in its list, whoever made it up."""
    with service.client("cursors") as client:
        client.post("/api/cursors/tasks", json={"title": "Mine"})
        assert 200 == client.get("/api/cursors/tasks", params={"cursor": cursor}).status_code


def test_a_cursor_holds_its_order(client: httpx.Client, tasks: str) -> None:
    """A cursor goes on with the list that it was taken from, whatever `sort` stands beside it."""
    for priority in ("low", "medium", "high"):
        client.post(tasks, json={"title": "x", "priority": priority})
    link = client.get(tasks, params={"sort": "priority", "limit": 1}).links["next"]["url"]

    for other in ("sort=due_date", "sort=-created_at"):
        response = client.get(link.replace("sort=priority", other))
        assert ["medium"] == [task["priority"] for task in response.json()]
        assert "sort=priority" in response.links["next"]["url"]


def test_a_cursor_of_another_user(service: Service, client: httpx.Client, tasks: str) -> None:
    """A cursor is a place in time and no key: under another user it shows nothing of the first user's."""
    create(client, tasks, 3)
    link = client.get(tasks, params={"limit": 1}).links["next"]["url"]

    with service.client("another") as another:
        response = another.get(link.replace(tasks, "/api/another/tasks"))

    assert [] == response.json()
