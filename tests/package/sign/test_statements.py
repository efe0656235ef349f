"""Statements say of a release what its evidence says: which gates passed, and what is known of its making."""

from __future__ import annotations

from typing import Any

import pytest
from tests.package.sign.releases import digest, release

from pocketrec.package.sign.statements import provenance, purl
from pocketrec.package.sign.statements import test_result as result_of


def gate(status: str, runtime: str = "onnxruntime") -> dict[str, Any]:
    return {"gate": "ran", "target": "onnx", "runtime": runtime, "status": status, "message": "m"}


@pytest.mark.parametrize(
    ("gates", "expected"),
    [
        ([gate("passed")], "PASSED"),
        ([gate("passed"), gate("skipped", "nowhere")], "WARNED"),
        ([gate("passed"), gate("failed")], "FAILED"),
        ([gate("passed"), gate("new word")], "FAILED"),
        ([gate("skipped")], "FAILED"),
        ([], "FAILED"),
        (None, "FAILED"),
    ],
)
def test_a_result_passed_where_gates_passed_and_none_failed(gates: Any, expected: str) -> None:
    assert result_of(release(gates=gates))["predicate"]["result"] == expected


def test_a_result_names_its_gates_and_its_evidence() -> None:
    made = release(gates=[gate("passed"), gate("skipped", "nowhere"), gate("failed", "")])
    said = result_of(made)
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert said["subject"] == [
        {"name": "manifest.json", "digest": {"sha256": made.digest}},
        {"name": "mine 1.0", "digest": {"sha256": made.manifest.tree_sha256}},
    ]
    predicate = said["predicate"]
    assert predicate["passedTests"] == ["ran: onnx on onnxruntime"]
    assert predicate["warnedTests"] == ["ran: onnx on nowhere"]
    assert predicate["failedTests"] == ["ran: onnx"]
    assert predicate["evidence"] == [
        {"name": "evidence/manifest.json", "digest": {"sha256": digest("evidence")}}
    ]


def test_provenance_says_what_is_known_and_no_more() -> None:
    made = release()
    said = provenance(made, digest("bom"), "https://ci.example/runner")
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    definition, run = said["predicate"]["buildDefinition"], said["predicate"]["runDetails"]
    assert definition["externalParameters"] == {
        "recipe": "recipe.json",
        "name": "mine",
        "version": "1.0",
        "targets": ["onnx"],
    }
    assert definition["resolvedDependencies"] == [
        {"name": "recipe.json", "digest": {"sha256": made.manifest.files["recipe.json"]}},
        {"name": "ml_dtypes", "uri": "pkg:pypi/ml-dtypes@0.6"},
        {"name": "torch", "uri": "pkg:pypi/torch@2.13.0%2Bcpu"},
    ]
    assert run["builder"] == {
        "id": "https://ci.example/runner",
        "version": {"pocketrec": "0.1.0", "python": "3.11.7"},
    }
    assert run["byproducts"] == [{"name": "signatures/bom.cdx.json", "digest": {"sha256": digest("bom")}}]
    assert "metadata" not in run  # nobody measured when it began


def test_a_builder_that_nobody_named_is_said_to_be_unstated() -> None:
    run = provenance(release(machine=None, versions=[]), digest("bom"), "")["predicate"]["runDetails"]
    assert run["builder"] == {"id": "pocketrec:builder/unstated", "version": {"pocketrec": "0.1.0"}}


def test_a_package_url_is_in_its_normal_form() -> None:
    assert purl("Ruamel_Yaml", "1.0+a b") == "pkg:pypi/ruamel-yaml@1.0%2Ba%20b"
