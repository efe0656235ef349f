"""Evidence comes back as it was written; what is none is one line with file and key."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pocketrec.errors import ArtifactError
from pocketrec.report import Evidence, Interval, MetricChange, RankingParity
from pocketrec.report.reading import read_evidence

FIRST = Path(__file__).parent.parent / "fixtures/first/mean/evidence/evidence.json"


@pytest.fixture
def table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FIRST.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def evidence(table: dict[str, Any]) -> Evidence:
    return read_evidence(table, source="evidence.json")


def test_what_was_written_is_read_to_the_bit(evidence: Evidence) -> None:
    change = MetricChange(
        metric="auc",
        before=0.1,
        after=math.inf,
        deviation=1e-300,
        intervals=(Interval(low=-math.inf, high=2.5, confidence=0.95),),
    )
    ranking = RankingParity(examples=3, reference={"auc": 0.1}, artifact={"auc": 0.3}, changes=(change,))
    first = replace(evidence.results[0], ranking=ranking)
    whole = replace(evidence, results=(first, *evidence.results[1:]), notes=("a", "b"))
    again = read_evidence(json.loads(whole.to_json()), source="x")
    assert again == whole
    assert again.passed == whole.passed


def test_nan_comes_back_as_nan(evidence: Evidence) -> None:
    written = json.loads(evidence.to_json())
    written["machine"]["memory_gb"] = "nan"
    assert math.isnan(read_evidence(written, source="x").machine.memory_gb)


def test_what_a_later_release_added_is_left_out(table: dict[str, Any], evidence: Evidence) -> None:
    table["machine"]["colour"] = "red"
    assert read_evidence({**table, "added": [1]}, source="x") == evidence


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("schema",), 2, "its format is 2; this pocketrec reads 1"),
        (("schema",), True, "its format is True"),
        (("results",), {}, r"results is {}; expected a list"),
        (("gates", 0, "status"), "fine", r"gates\[0\]\.status is 'fine'; expected one of 'passed'"),
        (("machine", "cores"), 2.5, r"machine\.cores is 2\.5; expected a whole number"),
        (("machine", "cores"), True, r"machine\.cores is True; expected a whole number"),
        (("machine", "memory_gb"), "much", r"machine\.memory_gb is 'much'; expected a number"),
        (("machine", "memory_gb"), 10**400, r"machine\.memory_gb is .*; expected a number"),
        (("machine",), 7, "machine is 7; expected a table"),
        (("recipe",), "x" * 999, None),
        (("recipe",), None, "recipe is None; expected a text"),
    ],
)
def test_what_is_no_evidence_is_one_line(
    table: dict[str, Any], path: tuple[Any, ...], value: object, said: str | None
) -> None:
    *way, last = path
    place: Any = table
    for each in way:
        place = place[each]
    place[last] = value
    if said is None:
        assert read_evidence(table, source="e.json").recipe == value
        return
    with pytest.raises(ArtifactError, match=said) as raised:
        read_evidence(table, source="e.json")
    assert str(raised.value).startswith("e.json: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_what_is_no_table_is_one_line(value: object) -> None:
    with pytest.raises(ArtifactError, match=r"e\.json: top level is .*; expected a table"):
        read_evidence(value, source="e.json")


def test_a_missing_key_is_named(table: dict[str, Any]) -> None:
    del table["machine"]["system"]
    with pytest.raises(ArtifactError, match="machine lacks 'system'"):
        read_evidence(table, source="e.json")
