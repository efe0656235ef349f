"""What Xcode shows of a package is what the contract says, in the sizes that the package takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.about import About
from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.convert.coreml.multifunction import to_multifunction

ABOUT = About(version="3.1", description="For films.\n\nNot for books.", author="A. Person", license="MIT")


def description(path: Path) -> Any:
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model()
    spec.ParseFromString(next(path.glob("Data/**/*.mlmodel")).read_bytes())
    return spec.description


def texts(features: Any) -> dict[str, str]:
    return {each.name: each.shortDescription for each in features}


def test_a_package_of_fixed_sizes_says_them_of_every_input_and_output(
    captured: Capture, tmp_path: Path
) -> None:
    made = replace(captured, about=ABOUT)
    said = description(to_coreml(made, tmp_path / "fixed.mlpackage", precision="float32"))
    assert texts(said.input) == {
        "history": "Ids in order of the vocabulary item, 0 to 299, int32. Shape 1 × 8 (batch × length). "
        "Exactly 8 ids a row; a shorter one is filled on the left with the padding id 0. "
        "An id from outside of the vocabulary becomes the padding id 0.",
        "genres": "Ids in any order of the vocabulary genre, 0 to 11, int32. Shape 1 × 4 (batch × 4). "
        "Exactly 4 ids a row; a shorter one is filled on the right with the padding id 0. "
        "An id from outside of the vocabulary becomes the padding id 0.",
    }
    assert texts(said.output) == {
        "scores": "Scores, more is better, float32. Shape 1 × 300 (batch × 300).",
        "best_scores": "Scores, best first, float32. Shape 1 × 5 (batch × 5).",
        "best_ids": "Ids, best first, int32. Shape 1 × 5 (batch × 5).",
    }
    metadata = said.metadata
    assert (metadata.author, metadata.license, metadata.versionString) == ("A. Person", "MIT", "3.1")
    assert metadata.shortDescription == (
        "For films.\n\nNot for books.\n\n"
        "Function main takes history, genres and gives scores, best_scores, best_ids."
    )
    assert not said.predictedFeatureName, "a classifier's outputs would be others than the contract's"


def test_a_range_that_stays_is_said_as_one_and_nothing_is_said_that_nobody_stated(
    captured: Capture, tmp_path: Path
) -> None:
    path = to_coreml(captured, tmp_path / "free.mlpackage", precision="float32", flexible=["batch"])
    said = description(path)
    assert "Shape 1...8 × 8 (batch × length). Exactly 8 ids a row" in texts(said.input)["history"]
    assert texts(said.output)["scores"].endswith("Shape 1...8 × 300 (batch × 300).")
    assert (said.metadata.author, said.metadata.license, said.metadata.versionString) == ("", "", "")
    assert said.metadata.shortDescription.startswith("Function main takes")


class Step(nn.Module):
    def forward(self, price: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        after = hidden + price
        return after * 2, after


@pytest.fixture(scope="module")
def step() -> Capture:
    contract = Contract(
        functions={
            "main": Signature(
                inputs=(
                    Feature(name="price", kind="dense", dtype="float32", shape=(1, 3), unit="euros"),
                    Feature(name="hidden", kind="state", dtype="float32", shape=(1, 3)),
                ),
                outputs=(
                    Output(name="value", meaning="embedding", shape=(1, 3), unit="euros"),
                    Output(name="hidden_after", meaning="state", shape=(1, 3), updates="hidden"),
                ),
            )
        }
    )
    probes = [{"price": torch.rand(1, 3), "hidden": torch.rand(1, 3)} for _ in range(2)]
    return capture(Step().eval(), contract, "main", probes)


def test_a_state_says_who_keeps_it(step: Capture, tmp_path: Path) -> None:
    handed = description(to_coreml(step, tmp_path / "handed.mlpackage", precision="float32"))
    assert texts(handed.input) == {
        "price": "Numbers in euros, float32. Shape 1 × 3. Tried from 0 to 1.",
        "hidden": "State, float32: zeros at first, then what hidden_after was in the last call. Shape 1 × 3.",
    }
    assert texts(handed.output)["value"] == "An embedding in euros, float32. Shape 1 × 3."
    kept = description(
        to_coreml(step, tmp_path / "kept.mlpackage", minimum_deployment_target="iOS18", stateful=True)
    )
    assert texts(kept.input).keys() == {"price"}
    assert texts(kept.state) == {
        "hidden": "State that the model keeps from call to call, zeros at first. Shape 1 × 3."
    }


def test_a_package_of_several_functions_says_each_of_them_and_the_makers_words_once(
    step: Capture, tmp_path: Path
) -> None:
    whole = replace(step.contract, functions={"up": step.signature, "down": step.signature})
    packages = {
        name: to_coreml(
            replace(step, name=name, contract=whole, about=ABOUT),
            tmp_path / f"{name}.mlpackage",
            minimum_deployment_target="iOS18",
        )
        for name in ("up", "down")
    }
    said = description(to_multifunction(packages, tmp_path / "both.mlpackage"))
    assert said.metadata.shortDescription == (
        "For films.\n\nNot for books.\n\n"
        "Function up takes price, hidden and gives value, hidden_after. Its other functions: down.\n\n"
        "Function down takes price, hidden and gives value, hidden_after. Its other functions: up."
    )
    assert (said.metadata.author, said.metadata.license, said.metadata.versionString) == (
        "A. Person",
        "MIT",
        "3.1",
    )
    for function in said.functions:
        assert texts(function.input)["price"].startswith("Numbers in euros, float32.")
