"""The published schema is what the dataclasses say, and real evidence is valid by it."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pocketrec.report.json_schema import NAME, as_text, evidence_schema

ROOT = Path(__file__).parent.parent.parent
REAL = ROOT / "tests/fixtures/first/mean/evidence/evidence.json"


def errors(schema: dict[str, Any], table: Any) -> list[str]:
    """What a validator finds."""
    return [each.json_path for each in jsonschema.Draft202012Validator(schema).iter_errors(table)]


@pytest.fixture
def real() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(REAL.read_text(encoding="utf-8"))
    return table


def test_the_published_file_is_current() -> None:
    committed = (ROOT / "docs/schemas" / NAME).read_text(encoding="utf-8")
    said = f"docs/schemas/{NAME} is not what the dataclasses of pocketrec.report say: run `make schemas`"
    assert committed == as_text(evidence_schema()), said


def test_it_is_a_schema_of_its_dialect() -> None:
    jsonschema.Draft202012Validator.check_schema(evidence_schema())


def test_evidence_of_the_first_release_is_valid_and_holds_nothing_unknown(real: dict[str, Any]) -> None:
    assert errors(evidence_schema(closed=True), real) == []


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("recipe", 1, "$.recipe"),
        ("schema", 2, "$.schema"),
        ("gates", [{"gate": "x"}], "$.gates[0]"),
        ("results", {}, "$.results"),
        ("versions", {"torch": 2}, "$.versions.torch"),
    ],
)
def test_what_is_no_evidence_is_named(real: dict[str, Any], key: str, value: object, path: str) -> None:
    assert path in errors(evidence_schema(), {**real, key: value})


def test_numbers_may_be_infinite_and_texts_may_not_be_numbers(real: dict[str, Any]) -> None:
    table = deepcopy(real)
    parity = next(each["parity"][0] for each in table["results"] if each["parity"])
    parity["sqnr_db"] = "inf"
    assert errors(evidence_schema(), table) == []
    parity["sqnr_db"] = "large"
    assert errors(evidence_schema(), table) != []


def test_what_a_later_release_adds_is_allowed_by_the_published_one(real: dict[str, Any]) -> None:
    table = {**real, "added": 1}
    assert errors(evidence_schema(), table) == []
    assert errors(evidence_schema(closed=True), table) == ["$"]


def test_it_says_what_keys_mean() -> None:
    about = evidence_schema()["$defs"]["TensorParity"]["properties"]["excess"]["description"]
    assert about.startswith("the largest difference as a multiple of what counts as the same numbers")
    assert about.endswith("above 1 they are others.")
