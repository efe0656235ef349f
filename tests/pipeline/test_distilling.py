"""Distilled codes on the road: what ships is the tuned reference, for every scheme on every target."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree

import pytest
from tests.mean import model_of, recipe_of, write_mean

import pocketrec
from pocketrec.errors import PlanError, RecipeError
from pocketrec.pipeline import audit, distilling
from pocketrec.pipeline.build import BuildResult, build
from pocketrec.pipeline.diverge import diverge_bundle
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.quantize import distillation
from pocketrec.report import COMPRESSED

SCHEMES = {
    "linear": "{ scheme = 'linear', bits = 4",
    "affine": "{ scheme = 'linear', bits = 4, symmetric = false",
    "blocks": "{ scheme = 'linear', bits = 4, granularity = 'per_block', block_size = 4",
    "palette": "{ scheme = 'palette', bits = 3, groups = 2",
    "scaled_palette": "{ scheme = 'scaled_palette', bits = 2",
    "product": "{ scheme = 'product', bits = 4, width = 2",
    "hot_rows": "{ scheme = 'hot_rows', share = 0.25, cold_bits = 2",
    "hot_vectors": "{ scheme = 'hot_rows', share = 0.25, cold_bits = 4, cold_width = 2",
    "components": "{ scheme = 'product', bits = 4, width = 3, basis = 'principal'",
    "hot_components": (
        "{ scheme = 'hot_rows', share = 0.25, cold_bits = 4, cold_width = 3, cold_basis = 'principal'"
    ),
}
TARGETS = """
[targets.onnx]
[targets.coreml]
precision = "float32"
minimum_deployment_target = "iOS18"
[compress]
max_ndcg_drop = 0.9
[compress.tensors]
"item.weight" = SCHEME, rounding = "ROUNDING" }
"""


def built(folder: Path, scheme: str, rounding: str, model: str = "") -> BuildResult:
    return pocketrec.build(written(folder, scheme, rounding, model), out=folder / "bundle")


def written(folder: Path, scheme: str, rounding: str, model: str = "") -> Path:
    """The path of a recipe whose table is compressed in that way."""
    folder.mkdir(exist_ok=True)
    given = TARGETS.replace("SCHEME", SCHEMES[scheme]).replace("ROUNDING", rounding)
    files = {"model": model or model_of(items=60, users=400), "recipe": recipe_of(items=60)}
    return write_mean(folder, given, items=60, **files)


def gates(result: BuildResult, gate: str) -> Mapping[str, str]:
    return {each.target: each.status for each in result.evidence.gates if each.gate.startswith(gate)}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_artifact_equals_the_compressed_reference_distilled_or_not(scheme: str, tmp_path: Path) -> None:
    lost, sizes = {}, {}
    for rounding in ("nearest", "distilled"):
        result = built(tmp_path / rounding, scheme, rounding)
        compared = [each for each in result.evidence.results if each.target in ("onnx", "coreml")]
        assert {each.target for each in compared if each.parity} == {"onnx", "coreml"}
        for each in compared:
            assert all(one.max_abs_error < 1e-5 for one in each.parity), (each.target, rounding)
        (tensor,) = result.evidence.compression
        lost[rounding], sizes[rounding] = tensor.sqnr_db, tensor.bits
    assert lost["nearest"] != lost["distilled"]
    assert sizes["nearest"] == sizes["distilled"]


def test_it_is_said_what_distillation_came_to(tmp_path: Path) -> None:
    result = built(tmp_path, "product", "distilled")
    (said,) = (each for each in result.evidence.notes if each.startswith("Distilled"))
    assert "Distilled 1 tensors in" in said
    assert any(each.target == COMPRESSED for each in result.evidence.results)


def test_a_module_without_gradients_is_refused_with_a_way_out(tmp_path: Path) -> None:
    model = model_of(items=60, users=400).replace("# HERE", "user = user.detach().sign() * 0 + 1")
    model = model.replace("user @ self.item.weight.T", "user @ self.item.weight.detach().T")
    with pytest.raises(PlanError, match=r"'distilled' needs gradients of the outputs .* use rounding"):
        built(tmp_path, "linear", "distilled", model)


def test_a_module_that_fails_for_another_reason_is_not_called_one_without_gradients(tmp_path: Path) -> None:
    fails = "if torch.is_grad_enabled(): raise RuntimeError('out of memory: 8 bytes')"
    model = model_of(items=60, users=400).replace("# HERE", fails)
    said = r"'distilled' runs the module .* there it fails \(out of memory: 8 bytes\); use rounding"
    with pytest.raises(PlanError, match=said):
        built(tmp_path, "linear", "distilled", model)


def test_a_table_that_is_held_a_second_time_is_tuned_there_or_said_to_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_LARGE_CONSTANT", 400)
    said, before = {}, {}
    for held in ("self.item.weight", "self.item.weight.detach()"):
        attribute = f"object.__setattr__(self, 'seen', {held})"  # nn.Module would make it a parameter
        model = model_of(items=60, users=400).replace("self.seen = None", attribute)
        result = built(tmp_path, "linear", "distilled", model.replace("self.item.weight.T", "self.seen.T"))
        said[held] = [each for each in result.evidence.notes if "stays in float32" in each]
        (before[held],) = (each for each in result.evidence.notes if each.startswith("Distilled"))
    usual = built(tmp_path, "linear", "distilled").evidence.notes
    assert before["self.item.weight"] in usual
    assert before["self.item.weight.detach()"] not in usual
    assert said["self.item.weight"] == []
    (note,) = said["self.item.weight.detach()"]
    assert note.startswith("a constant of 60 × 8 that main computes from weights stays in float32")


class Told:
    """What a build tells of distillation, and where it is cut short."""

    def __init__(self, cut: int = 0) -> None:
        self.steps: list[int] = []
        self.cut = cut

    def __call__(self, what: str, done: int, total: int) -> None:
        if what == "distil":
            self.steps.append(done)
            if done == self.cut:
                raise KeyboardInterrupt


def distilled(folder: Path, told: Told, model: str = "") -> BuildResult:
    recipe = written(folder, "product", "distilled", model)
    return build(recipe, out=folder / "bundle", progress=told)


def test_a_build_that_was_cut_short_goes_on_distilling_to_the_same_bytes(tmp_path: Path) -> None:
    whole, cut, rest, again = Told(), Told(120), Told(), Told()
    expected = distilled(tmp_path / "whole", whole)
    with pytest.raises(KeyboardInterrupt) as caught:
        distilled(tmp_path / "cut", cut)
    kept = tmp_path / "cut" / "bundle.search"
    (note,) = caught.value.__notes__
    assert note == f"the distillation so far is kept in {kept}; the same command goes on from there"
    result = distilled(tmp_path / "cut", rest)
    assert rest.steps == whole.steps[100:]
    assert result.tree_sha256 == expected.tree_sha256
    assert [each for each in result.evidence.notes if each.startswith("Distilled")] == [
        each for each in expected.evidence.notes if each.startswith("Distilled")
    ]
    assert distilled(tmp_path / "cut", again).tree_sha256 == expected.tree_sha256
    assert again.steps == []  # it is answered from the file


def test_a_bundle_is_compared_with_the_codes_that_its_build_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = distilled(tmp_path, Told()).path

    def taught(*_: object) -> None:
        raise AssertionError("distilled once more")

    monkeypatch.setattr(distillation, "_taught", taught)
    found = diverge_bundle(bundle, tmp_path / "recipe.toml", target="onnx")
    assert [each.comparison.divergence for each in found] == [None]
    rmtree(tmp_path / "bundle.search")
    with pytest.raises(AssertionError, match="distilled once more"):
        diverge_bundle(bundle, tmp_path / "recipe.toml", target="onnx")


def test_another_model_or_one_of_other_code_is_distilled_anew(tmp_path: Path) -> None:
    for change in ("", "user = user * 2", "user = user * 3"):
        told = Told()
        distilled(tmp_path, told, model_of(items=60, users=400).replace("# HERE", change))
        assert told.steps[0] == 1
    assert len([*(tmp_path / "bundle.search").iterdir()]) == 3


def test_a_table_that_is_too_large_to_train_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distilling, "MAX_NUMBERS", 100)
    said = r"item\.weight: holds 480 numbers, of which 'distilled' trains 100 at most; use rounding"
    with pytest.raises(PlanError, match=said):
        built(tmp_path, "linear", "distilled")


def test_rounding_goes_with_a_preset_or_a_budget_and_with_nothing_else(tmp_path: Path) -> None:
    for right in ("preset = 'int4'\n", "preset = 'smallest-neutral'\n", "max_ratio = 0.3\n"):
        recipe = write_mean(tmp_path, f"[targets.onnx]\n[compress]\nrounding = 'distilled'\n{right}")
        assert load_recipe(recipe).compress.rounding == "distilled"
    for wrong in ("", "preset = 'int8'\nscales_from = 'old'\n"):
        recipe = write_mean(tmp_path, f"[targets.onnx]\n[compress]\nrounding = 'distilled'\n{wrong}")
        with pytest.raises(RecipeError, match=r"compress\.rounding"):
            load_recipe(recipe)


def test_a_tensor_whose_scales_are_to_be_kept_is_not_distilled(tmp_path: Path) -> None:
    plan = "[compress.tensors]\n'item.weight' = { scheme = 'linear', rounding = 'distilled' }\n"
    recipe = write_mean(tmp_path, f"[targets.onnx]\n[compress]\nscales_from = 'old'\n{plan}")
    said = r"compress\.tensors\.'item\.weight': distilled scales .* leave out scales_from"
    with pytest.raises(RecipeError, match=said):
        load_recipe(recipe)


SEARCH = """
[targets.onnx]
[compress]
rounding = "distilled"
max_ratio = 0.3
time_limit_s = 5
"""


def test_what_a_search_found_is_distilled_and_written_down_as_that(tmp_path: Path) -> None:
    files = {"model": model_of(items=60, users=400), "recipe": recipe_of(items=60)}
    result = pocketrec.build(write_mean(tmp_path, SEARCH, items=60, **files), out=tmp_path / "bundle")
    assert any(each.startswith("Distilled") for each in result.evidence.notes)
    stated = json.loads((result.path / "recipe.json").read_text())["compress"]
    assert stated["rounding"] is None
    assert {each["rounding"] for each in stated["tensors"].values()} == {"distilled"}
    written = tomllib.loads((tmp_path / "bundle.search" / "plan.toml").read_text())
    assert written["compress"]["tensors"] == stated["tensors"]  # so that it is replayed as it was built
