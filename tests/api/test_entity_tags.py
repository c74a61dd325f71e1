"""Entity tags: from a task to its tag, and from the tags of a request to what they allow."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handlers.entity_tags import conditions, matches, shape_in
from handlers.tasks import entity_tag
from openapi.bridge.contract import Contract
from openapi.contract import contract

NOW = datetime(2026, 11, 22, 10, 0, 0, 125000)
MEMBER = "        created_at:\n          $ref: '#/components/schemas/Timestamp'\n"

times = st.datetimes(min_value=datetime(1970, 1, 1, 0, 0, 1), max_value=datetime(9999, 1, 1))
opaque = st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E) | st.just("!"), max_size=40)


def versions(if_match: str | None) -> Any:
    """The times that If-Match allows, None for any."""
    return conditions(if_match, None)["versions"]


def task(updated_at: datetime = NOW) -> Any:
    return {"updated_at": updated_at}


@given(times)
def test_a_tag_is_the_contracts(updated_at: datetime) -> None:
    """Every tag has the form that the contract gives: strong, quoted, of plain characters."""
    schema = contract().schemas.at("/components/headers/ETag/schema")

    assert schema.is_valid(entity_tag(task(updated_at)))


@given(times)
def test_round_trip(updated_at: datetime) -> None:
    """If-Match with a task's tag allows exactly the state that the tag was made of."""
    assert [updated_at.replace(tzinfo=UTC)] == versions(entity_tag(task(updated_at)))


@given(times, times)
def test_one_tag_for_one_state(first: datetime, second: datetime) -> None:
    """Two states have the same tag only if they are the same."""
    assert (first == second) == (entity_tag(task(first)) == entity_tag(task(second)))
    assert (first == second) == matches(entity_tag(task(first)), entity_tag(task(second)))


def test_the_smallest_change() -> None:
    """States that are a microsecond apart have different tags."""
    assert entity_tag(task()) != entity_tag(task(NOW + timedelta(microseconds=1)))


@given(opaque)
def test_any_foreign_tag(text: str) -> None:
    """A tag that this service did not make allows no state, matches none, and does no harm."""
    assert [] == versions(f'"{text}"')
    assert not matches(f'"{text}"', entity_tag(task()))


@given(st.from_regex(r"[0-9a-f]{1,20}", fullmatch=True))
@example(15 * "f")  # A time after the year 9999.
def test_only_the_tags_own_spelling(digits: str) -> None:
    """Of all tags that hold a state's time, only the one that this service makes stands for it."""
    shape = entity_tag(task()).strip('"').partition("-")[0]
    tag = f'"{shape}-{digits}"'

    for time in versions(tag) or []:
        assert tag == entity_tag(task(time.replace(tzinfo=None)))


@given(st.lists(opaque, max_size=5), st.lists(opaque, max_size=5), st.sampled_from(["", "W/"]))
def test_a_list(before: list[str], after: list[str], weak: str) -> None:
    """A tag counts wherever in a list it stands: weak or strong for If-None-Match, only strong for If-Match."""
    tag = entity_tag(task())
    header = ", ".join([*(f'"{text}"' for text in before), weak + tag, *(f'W/"{text}"' for text in after)])

    assert matches(header, tag)
    assert ([] if weak else [NOW.replace(tzinfo=UTC)]) == versions(header)


@pytest.mark.parametrize("header", [None, "*"])
def test_any_state(header: str | None) -> None:
    """No If-Match and `*` allow any state."""
    assert None is versions(header)


def test_another_shape_of_tasks() -> None:
    """When the contract gives tasks another member, every task has another tag, and the tags of before are stale."""
    assert 1 == contract().text.count(MEMBER)
    other = Contract(contract().text.replace(MEMBER, f"        label:\n          type: integer\n{MEMBER}"))
    before = entity_tag(task()).replace(shape_in(contract()), shape_in(other))

    assert before != entity_tag(task())
    assert [] == versions(before)
    assert not matches(before, entity_tag(task()))


def test_another_sentence_of_the_contract() -> None:
    """When the contract changes elsewhere, tasks keep their tags."""
    other = Contract(contract().text.replace("Title is required", "Please give a title"))

    assert other.text != contract().text
    assert shape_in(contract()) == shape_in(other)
