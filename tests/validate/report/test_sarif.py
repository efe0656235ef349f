"""SARIF is what the published format asks of a log, a run, a rule and a result (version 2.1.0)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from pocketrec.validate.lint import ENGINES, RULES
from pocketrec.validate.lint.finding import Finding
from pocketrec.validate.report.sarif import to_sarif

FINDING = Finding(
    rule="loop", severity="warning", place="<b> %", message="a loop", consequence="slow", remedy="unroll"
)
WEB = replace(FINDING, rule="web-no-kernel")
# A reference by RFC 3986: no space, no letter beyond ASCII, a percent sign only before two digits.
URI = re.compile(r"([A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-F]{2})+")


@pytest.fixture
def log() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(to_sarif({"a b/größe 100%.onnx": [FINDING, WEB], "/m/x.onnx": []}))
    return found


def test_a_log_has_its_version_and_one_run_of_a_named_tool(log: dict[str, Any]) -> None:
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["tool"]["driver"]["name"] == "pocketrec"
    assert run["invocations"][0]["executionSuccessful"] is True


def test_every_rule_stands_there_once_with_texts(log: dict[str, Any]) -> None:
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert [each["id"] for each in rules] == [*RULES, *(name for each in ENGINES.values() for name in each)]
    assert len({each["id"] for each in rules}) == len(rules)
    for each in rules:
        assert all(each[key]["text"] for key in ("shortDescription", "fullDescription", "help"))


def test_a_result_points_at_its_rule_and_its_artifact(log: dict[str, Any]) -> None:
    run = log["runs"][0]
    for result, finding in zip(run["results"], (FINDING, WEB), strict=True):
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == finding.rule
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"] == "<b> %: a loop\nSo: slow\nDo: unroll"
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        artifact = run["artifacts"][physical["artifactLocation"]["index"]]
        assert artifact["location"]["uri"] == physical["artifactLocation"]["uri"]
        assert physical["region"]["startLine"] >= 1
        assert location["logicalLocations"][0]["fullyQualifiedName"] == finding.place


def test_places_are_references(log: dict[str, Any]) -> None:
    uris = [each["location"]["uri"] for each in log["runs"][0]["artifacts"]]
    assert uris == ["a%20b/gr%C3%B6%C3%9Fe%20100%25.onnx", "file:///m/x.onnx"]
    assert all(URI.fullmatch(each) for each in uris)


def test_a_fingerprint_stays_where_the_folder_changes_and_not_where_the_place_does() -> None:
    def fingerprint(name: str, place: str) -> str:
        finding = Finding(rule="loop", severity="note", place=place, message="", consequence="", remedy="")
        (result,) = json.loads(to_sarif({name: [finding]}))["runs"][0]["results"]
        return str(result["partialFingerprints"]["pocketrec/v1"])

    assert fingerprint("a/x.onnx", "op") == fingerprint("b/x.onnx", "op")
    assert fingerprint("a/x.onnx", "op") != fingerprint("a/x.onnx", "other")
