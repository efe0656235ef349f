"""What a target cannot carry is said while the recipe is read, and not after minutes."""

from __future__ import annotations

from typing import Any

import pytest

from pocketrec.errors import PlanError
from pocketrec.pipeline.carried import check_carried
from pocketrec.recipe import Compress, Target

OLD = {
    "phone": Target(format="coreml", minimum_deployment_target="iOS17"),
    "server": Target(format="onnx"),
}
SHAPES = {"bias": (64,), "w": (100, 64)}
NEW = {"phone": Target(format="coreml", minimum_deployment_target="iOS18")}


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"preset": "int4"}, "compress.preset = 'int4'"),
        ({"tensors": {"w": {"scheme": "linear", "bits": 4}}}, "compress.tensors.'w'"),
        (
            {"tensors": {"w": {"scheme": "linear", "granularity": "per_block", "block_size": 32}}},
            "compress.tensors.'w'",
        ),
    ],
)
def test_a_plan_that_needs_a_newer_target_names_both_keys(given: dict[str, Any], key: str) -> None:
    with pytest.raises(PlanError) as caught:
        check_carried(Compress(**given), OLD, "recipe.toml", SHAPES)
    assert str(caught.value) == (
        f"recipe.toml: {key} needs targets.phone.minimum_deployment_target = 'iOS18'; it is 'iOS17'; "
        "raise it, or change the scheme"
    )
    check_carried(Compress(**given), NEW, shapes=SHAPES)
    check_carried(Compress(**given), {"server": OLD["server"]}, shapes=SHAPES)


@pytest.mark.parametrize(
    "given", [{"preset": "int8"}, {"preset": "smallest-neutral"}, {"tensors": {"w": {"scheme": "float16"}}}]
)
def test_a_plan_that_every_target_carries_passes(given: dict[str, Any]) -> None:
    check_carried(Compress(**given), OLD, shapes=SHAPES)


def test_a_preset_is_about_the_tensors_that_there_are() -> None:
    """Small ones are stored as float16, which every target carries."""
    check_carried(Compress(preset="int4"), OLD, shapes={"w": (40, 8)})
    check_carried(Compress(preset="int4"), OLD)
