"""Addresses in answers: they lead back to what they name, whoever the user is."""

import re
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from handlers.addresses import next_page, task_address
from openapi.bridge.addresses import address_of
from openapi.contract import contract

LINK = "/paths/~1api~1{user_id}~1tasks/get/responses/200/headers/Link/schema"
LOCATION = "/paths/~1api~1{user_id}~1tasks/post/responses/201/headers/Location/schema"
MOST = next(
    place.node["schema"]["maxLength"]
    for place in contract().operations["list_tasks"].parameters
    if place.node["name"] == "q"
)

users = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\x00"), min_size=1, max_size=255
)
ids = st.integers(1, 2**63 - 1)


@given(users, ids)
@example("..", 1)
@example(".", 1)
@example("{id}", 1)
@example("%2F", 1)
@example("😀" * 255, 1)
def test_the_address_of_a_task(user: str, id: int) -> None:
    """A task's address, resolved as a client resolves it, holds the user and the number."""
    address = task_address(user, id)

    assert contract().schemas.at(LOCATION).is_valid(address)
    path = urlsplit(urljoin("http://service/", address)).path
    match = re.fullmatch(r"/api/([^/]+)/tasks/([0-9]+)", path)
    assert match is not None
    assert (user, str(id)) == (unquote(match[1]), match[2])


@given(users, st.none() | st.text(max_size=MOST), st.integers(1, 1000))
@example("..", None, 1)
@example("a>b", "a>b", 1)
@example("😀" * 255, "😀" * MOST, 1000)
def test_the_next_page(user: str, q: str | None, limit: int) -> None:
    """The next page's link leads to the user's list with the query, without what was not asked."""
    rest = {"status": "incomplete", "sort": "-created_at", "limit": str(limit), "cursor": "0f" * 31}
    link = next_page(user, {"q": q, **rest})

    assert contract().schemas.at(LINK).is_valid(link)
    address = urlsplit(urljoin("http://service/", link[1 : link.index(">")]))
    assert user == unquote(address.path.removeprefix("/api/").removesuffix("/tasks"))
    expected = rest if q is None else {"q": q, **rest}
    assert expected == dict(parse_qsl(address.query, keep_blank_values=True))


def test_a_query_of_several_values() -> None:
    """A list or tuple is repeated, what is None is left out, and anything else is its text."""
    query = {"tag": ["a", "b&c"], "after": (1, 2), "limit": 3, "cursor": None}
    address = address_of(contract().operations["get_liveness"], query)

    assert "/health/live?tag=a&tag=b%26c&after=1&after=2&limit=3" == address
