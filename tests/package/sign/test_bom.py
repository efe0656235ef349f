"""The bill of materials is what CycloneDX's own schema takes, and the same bytes for the same release."""

from __future__ import annotations

from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.package.sign.releases import release

from pocketrec.package.sign.bom import bill_of_materials
from pocketrec.package.sign.envelope import to_bytes

TIME = "1970-01-01T00:00:00Z"


def complaint(bill: Any) -> str:
    """What the schema has against it; empty where nothing."""
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(to_bytes(bill).decode())
    return "" if found is None else str(found.data)


def test_the_schema_takes_it() -> None:
    recipe = {
        "model": {"factory": "model.py:make"},
        "evaluate": {"data": "data.py:test"},
        "description": "Recommends films.",
        "author": "A. Person",
        "license": "MIT",
    }
    bill: Any = bill_of_materials(release(recipe), TIME)
    assert complaint(bill) == ""
    model = bill["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "mine", "1.0")
    assert model["licenses"] == [{"license": {"name": "MIT"}}]
    card = model["modelCard"]
    assert card["modelParameters"]["task"] == "recommend"
    assert card["modelParameters"]["datasets"] == [{"type": "dataset", "name": "data.py:test"}]
    assert card["modelParameters"]["inputs"] == [{"format": "history: int32 [batch, 4], id_sequence"}]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [
        {"type": "hr@10", "value": "0.25", "slice": "onnx on onnxruntime"},
        {"type": "ndcg@10", "value": "0.1", "slice": "onnx on onnxruntime"},
    ]
    assert card["considerations"]["technicalLimitations"] == ["coreml was not run on coreml-framework"]


def test_every_head_has_its_data_and_its_figures() -> None:
    tables = [{"data": "clicks.py:test"}, {"data": "buys.py:test"}, {"data": "clicks.py:test"}]
    results = [
        {
            "target": "onnx",
            "runtime": "onnxruntime",
            "ranking": {"name": "click", "artifact": {"auc": 0.8}},
            "further": [{"name": "buy", "artifact": {"auc": 0.7}}, 3],
        }
    ]
    card: Any = bill_of_materials(release({"evaluate": tables}, results=results), TIME)
    said = card["metadata"]["component"]["modelCard"]
    named = [each["name"] for each in said["modelParameters"]["datasets"]]
    assert named == ["clicks.py:test", "buys.py:test"]
    found = {each["type"]: each["value"] for each in said["quantitativeAnalysis"]["performanceMetrics"]}
    assert found == {"auc of click": "0.8", "auc of buy": "0.7"}


def test_the_schema_takes_the_least_there_can_be() -> None:
    assert complaint(bill_of_materials(release({}, results=[], versions={}), TIME)) == ""


@pytest.mark.parametrize(
    ("key", "value"),
    [("serialNumber", "urn:uuid:1"), ("surplus", 1), ("bomFormat", None)],
)
def test_the_schema_refuses_what_is_none(key: str, value: object) -> None:
    assert complaint({**bill_of_materials(release(), TIME), key: value})


def test_every_file_of_the_release_stands_there_with_its_digest() -> None:
    made = release()
    bill: Any = bill_of_materials(made, TIME)
    assert {each["name"]: each["hashes"][0]["content"] for each in bill["components"]} == made.manifest.files


def test_one_release_is_one_document_and_another_release_another() -> None:
    one: Any = bill_of_materials(release(), TIME)
    assert to_bytes(one) == to_bytes(bill_of_materials(release(), TIME))
    other: Any = bill_of_materials(release(version="1.1"), TIME)
    assert one["serialNumber"] != other["serialNumber"]
    assert one["metadata"]["timestamp"] == TIME
