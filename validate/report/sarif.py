"""Findings of lint as SARIF 2.1.0, which code hosts show beside the files.

OASIS, Static Analysis Results Interchange Format Version 2.1.0, 2020 (errata 2023).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from pocketrec import __version__
from pocketrec.validate.lint import ENGINES, RULES
from pocketrec.validate.lint.finding import Finding

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def to_sarif(found: Mapping[str, Sequence[Finding]]) -> str:
    """Returns the findings of artifacts, by their paths, as a SARIF log of one run."""
    rules = _rules()
    places = {each["id"]: place for place, each in enumerate(rules)}
    driver = {"name": "pocketrec", "semanticVersion": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True}],
        "artifacts": [{"location": {"uri": _uri(name)}} for name in found],
        "results": [
            _result(name, index, each, places[each.rule])
            for index, (name, findings) in enumerate(found.items())
            for each in findings
        ],
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


def _rules() -> list[dict[str, Any]]:
    """Every rule of lint, those of one engine after the others."""
    known = {**RULES, **{name: rule for rules in ENGINES.values() for name, rule in rules.items()}}
    return [
        {
            "id": name,
            "shortDescription": {"text": name.replace("-", " ").capitalize()},
            "fullDescription": {"text": rule.consequence},
            "help": {"text": rule.remedy},
        }
        for name, rule in known.items()
    ]


def _result(name: str, index: int, finding: Finding, rule: int) -> dict[str, Any]:
    said = f"{finding.place}: {finding.message}\nSo: {finding.consequence}\nDo: {finding.remedy}"
    key = "\0".join((finding.rule, PurePath(name).name, finding.place))
    return {
        "ruleId": finding.rule,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": said},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(name), "index": index},
                    "region": {"startLine": 1},  # of a binary file; code hosts ask for one
                },
                "logicalLocations": [{"fullyQualifiedName": finding.place, "kind": "object"}],
            }
        ],
        "partialFingerprints": {"pocketrec/v1": hashlib.sha256(key.encode()).hexdigest()},
    }


def _uri(name: str) -> str:
    """A path as a reference: relative where the path is."""
    path = PurePath(name)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
