"""The public JSON-Schema-Test-Suite (draft 2020-12) through the body reader, as a request's body takes it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import pytest

from openapi.bridge.document.places import ContractError
from openapi.bridge.failures import BadRequest
from openapi.bridge.request.body import BodyReader
from tests.support.contracts import VECTORS, body_reader, parsed

FOLDER = VECTORS / "json_schema_2020_12"
SKIPPED = pytest.mark.skip("the JSON Schema suite is not there (TEST_VECTORS)")

# A dialect that is not known is read as JSON Schema 2020-12, and this group is about one in which no limit holds.
UNKNOWN_DIALECT = "schema that uses custom metaschema with with no validation vocabulary"
# The standard leaves `format` a note; here it is a rule, and these are the cases that tell the one from the other.
NOTES = "is only an annotation by default"


class Outcome(NamedTuple):
    """A case: what the suite expects, how a request's body is judged, and what jsonschema-rs alone says."""

    description: str
    expected: bool
    ours: bool
    bare: bool


def groups(path: Path) -> list[dict[str, Any]]:
    """The groups of one file of the suite, each a schema and the cases it is tried on."""
    found: list[dict[str, Any]] = json.loads(path.read_bytes())
    return found


def files() -> list[Any]:
    """The suite's required files, or one that is skipped where there are none."""
    found = sorted(FOLDER.glob("*.json"))
    return [pytest.param(path, id=path.stem) for path in found] or [pytest.param(FOLDER, marks=SKIPPED)]


def reader(schema: Any) -> BodyReader:
    """What reads a body of this schema in production.

    The suite's references are relative to the schema, a contract's to the document; an `$id` makes the schema a
    document of its own.
    """
    if isinstance(schema, dict):
        schema = {"$id": "https://suite.example/schema", **schema}
    return body_reader({"application/json": {"schema": schema}})


def is_accepted(body: BodyReader, value: Any) -> bool:
    """Whether a body that holds `value` is taken; any answer but the refusal is an error of the test."""
    try:
        parsed(body, json.dumps(value, ensure_ascii=False).encode())
    except BadRequest:
        return False
    return True


def outcomes(path: Path) -> Iterator[Outcome]:
    """Every case of a file whose schema a contract can hold."""
    for group in groups(path):
        if group["description"] == UNKNOWN_DIALECT:
            continue
        try:
            body = reader(group["schema"])
        except ContractError as error:
            if "leads out of the document" in str(error):
                continue
            raise
        bare = jsonschema_rs.Draft202012Validator(group["schema"], validate_formats=True)
        for case in group["tests"]:
            yield Outcome(
                f"{group['description']}: {case['description']}",
                case["valid"],
                is_accepted(body, case["data"]),
                bare.is_valid(case["data"]),
            )


@pytest.mark.parametrize("path", files())
def test_a_body_is_judged_as_the_suite_says(path: Path) -> None:
    """Each required case is decided as the suite expects, save that a format is a rule here."""
    wrong = [
        case
        for case in outcomes(path)
        if case.ours != (case.bare if NOTES in case.description else case.expected)
    ]
    assert [] == wrong


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the JSON Schema suite is not there (TEST_VECTORS)")
def test_we_do_not_fall_short_of_the_validator() -> None:
    """Of the required cases that fit into a contract, 1,250 or more, we decide all as jsonschema-rs alone does."""
    cases = [case for path in FOLDER.glob("*.json") for case in outcomes(path)]
    assert 1250 <= len(cases)
    assert 1231 <= sum(case.ours == case.expected for case in cases)
    assert [] == [case for case in cases if case.ours != case.bare]


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.stem) for path in sorted(FOLDER.glob("optional/format/*"))]
)
def test_formats_are_rules(path: Path) -> None:
    """The suite's optional cases on formats are decided as jsonschema-rs with its formats on decides them."""
    assert [] == [case for case in outcomes(path) if case.ours != case.bare]
