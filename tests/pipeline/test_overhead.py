"""A size is that of the files: what a plan adds to their graphs counts, once they are written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.mean import model_of, recipe_of, write_mean

import pocketrec
from pocketrec.errors import BudgetMissed
from pocketrec.pipeline import overhead
from pocketrec.pipeline.overhead import Room
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.product import Product

ITEMS, BUDGET = 400, 0.0068
COMPRESS = f"[targets.onnx]\n[compress]\nmax_size_mb = {BUDGET}\ntime_limit_s = 12\n"


def written(folder: Path, compress: str = COMPRESS) -> Path:
    files = {"model": model_of(items=ITEMS, users=400), "recipe": recipe_of(items=ITEMS)}
    return write_mean(folder, compress, items=ITEMS, **files)


def given_by(monkeypatch: pytest.MonkeyPatch, name: str) -> list[dict[str, Any]]:
    """What a function of `overhead` gives from now on, call by call."""
    found, known = getattr(overhead, name), []

    def kept(*given: Any) -> Any:
        known.append(found(*given))
        return known[-1]

    monkeypatch.setattr(overhead, name, kept)
    return known


def test_a_plan_whose_files_are_beyond_the_budget_is_searched_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if files were smaller than what is in them, so that the first plan is too large."""
    found, known = overhead.check_room, overhead.written_sizes
    sizes: list[int] = []

    def bare(*given: Any) -> dict[str, Room]:
        return {name: replace(each, besides=-4000) for name, each in found(*given).items()}

    def kept(*given: Any) -> dict[str, int]:
        written = known(*given)
        sizes.append(max(written.values()))
        return written

    monkeypatch.setattr(overhead, "check_room", bare)
    monkeypatch.setattr(overhead, "written_sizes", kept)
    result = pocketrec.build(written(tmp_path), out=tmp_path / "bundle")
    assert sizes[0] > BUDGET * 1e6 >= sizes[-1]
    assert sum(each.size_bytes for each in result.evidence.sizes) <= BUDGET * 1e6
    assert any("MB on disk" in each.message and each.status == "passed" for each in result.evidence.gates)


def test_each_target_is_within_its_own_limit_and_no_smaller_than_that_asks(tmp_path: Path) -> None:
    """The smaller limit for both gives a smaller plan, as a package holds more besides than an ONNX file."""
    targets, search = "[targets.onnx]\n[targets.coreml]\n", "[compress]\ntime_limit_s = 12\n"
    limits = {"onnx": 0.0042, "coreml": 0.0065}
    own = f"max_size_mb = {{ onnx = {limits['onnx']}, coreml = {limits['coreml']} }}\n"
    asked = {"own": f"{targets}{search}{own}", "one": f"{targets}{search}max_size_mb = {limits['onnx']}\n"}
    found = {}
    for name, compress in asked.items():
        (tmp_path / name).mkdir()
        found[name] = pocketrec.build(
            written(tmp_path / name, compress), out=tmp_path / name / "bundle"
        ).evidence
    for target, limit in limits.items():
        size = sum(each.size_bytes for each in found["own"].sizes if each.target == target)
        assert size <= limit * 1e6
    assert {each.target for each in found["own"].gates if each.gate == "max_size_mb"} == set(limits)
    own_bytes, one_bytes = (
        sum(each.bytes_after for each in found[name].compression) for name in ("own", "one")
    )
    assert one_bytes < own_bytes


def test_what_is_written_is_searched_for_again_where_one_target_is_beyond_its_own_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ONNX file is within the package's limit and not within its own; the package has none to exceed."""
    found, sizes = overhead.check_room, given_by(monkeypatch, "written_sizes")

    def bare(*given: Any) -> dict[str, Room]:
        return {name: replace(each, besides=-4000) for name, each in found(*given).items()}

    monkeypatch.setattr(overhead, "check_room", bare)
    limits = f"max_size_mb = {{ onnx = {BUDGET}, coreml = 1.0 }}\n"
    asked = f"[targets.onnx]\n[targets.coreml]\n[compress]\ntime_limit_s = 12\n{limits}"
    gated = "[gates]\nmax_size_mb = { coreml = 0.5 }\n"
    result = pocketrec.build(written(tmp_path, asked + gated), out=tmp_path / "bundle")
    assert sizes[0]["onnx"] > BUDGET * 1e6 >= sizes[-1]["onnx"]
    replayed = json.loads((result.path / "recipe.json").read_text())
    assert replayed["compress"]["max_size_mb"] is None
    assert replayed["gates"]["max_size_mb"] == {"onnx": BUDGET, "coreml": 0.5}


def test_no_form_of_a_tensor_is_made_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by candidates, measurements, files that are weighed, and what is built."""
    made: list[tuple[str, str]] = []
    quantize = Palette.quantize

    def counted(scheme: Palette, name: str, *given: Any, **known: Any) -> Any:
        made.append((name, str(scheme)))
        return quantize(scheme, name, *given, **known)

    monkeypatch.setattr(Palette, "quantize", counted)
    roomy = COMPRESS.replace(str(BUDGET), "0.025")
    pocketrec.build(written(tmp_path, roomy), out=tmp_path / "bundle")
    assert len(made) > 5
    assert len(set(made)) == len(made)


def test_a_graph_that_is_larger_than_the_budget_is_told_before_anything_is_searched(tmp_path: Path) -> None:
    small = COMPRESS.replace(str(BUDGET), "0.0005")
    with pytest.raises(BudgetMissed, match=r"max_size_mb is 0\.0005; .* MB of onnx are its graph"):
        pocketrec.build(written(tmp_path, small), out=tmp_path / "bundle")
    own = "[targets.onnx]\n[targets.coreml]\n[compress]\nmax_size_mb = { onnx = 0.0005, coreml = 1.0 }\n"
    with pytest.raises(BudgetMissed, match=r"max_size_mb is 0\.0005; .* MB of onnx are its graph"):
        pocketrec.build(written(tmp_path, own), out=tmp_path / "own")  # a package holds more, and may


def test_a_table_that_a_float16_package_scores_with_in_float32_is_no_part_of_its_graph(
    tmp_path: Path,
) -> None:
    """Half of it was taken for what no plan makes smaller, so that no small budget could be held."""
    items, budget = 4000, 0.04
    files = {"model": model_of(items=items, users=100), "recipe": recipe_of(items=items)}
    asked = f"[targets.coreml]\n[compress]\nmax_size_mb = {budget}\ntime_limit_s = 5\n"
    result = pocketrec.build(write_mean(tmp_path, asked, items=items, **files), out=tmp_path / "bundle")
    sizes = [each.size_bytes for each in result.evidence.sizes]
    assert sum(sizes) <= budget * 1e6 < 4 * items * 8 / 2


def test_codebooks_of_what_a_float16_package_scores_with_weigh_as_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package holds the table in float16 and widens it, its codebooks of 8,192 bytes in float32."""
    rooms = given_by(monkeypatch, "check_room")
    searched = "[targets.coreml]\nminimum_deployment_target = 'iOS18'\n[compress]\n"
    asked = f"{searched}max_size_mb = 1\ntime_limit_s = 1\n"
    pocketrec.build(written(tmp_path, asked), out=tmp_path / "bundle")
    room = rooms[0]["coreml"]
    assert room.places == {"item.weight": ((("float16", "float32"),),)}
    stated = f"{searched}[compress.tensors]\n'item.weight' = {{ scheme = 'product', width = 2 }}\n"
    sizes = pocketrec.build(written(tmp_path, stated), out=tmp_path / "stated").evidence.sizes
    table = np.random.default_rng(0).normal(size=(ITEMS, 8)).astype(np.float32)
    weighed = room.bytes_of(Product(width=2).quantize("item.weight", table), looked_up=True)
    assert abs(room.besides + weighed - sum(each.size_bytes for each in sizes)) < 300


def test_files_are_weighed_without_what_a_target_cannot_carry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was weighed, so that the files of the plan that was left could be beyond the budget."""
    sizes = given_by(monkeypatch, "written_sizes")
    model = model_of(items=ITEMS, users=100).replace(
        "self.seen = None", "self.seen = None; self.bias = nn.Parameter(torch.randn(ITEMS, 1))"
    )
    files = {
        "model": model.replace("(ITEMS, 1)", f"({ITEMS}, 1)").replace(".T\n", ".T + self.bias.T\n"),
        "recipe": recipe_of(items=ITEMS),
    }
    asked = "[targets.coreml]\n[compress]\nmax_size_mb = 0.009\ntime_limit_s = 8\n"
    evidence = pocketrec.build(
        write_mean(tmp_path, asked, items=ITEMS, **files), out=tmp_path / "bundle"
    ).evidence
    assert any(each.startswith("bias stays in float32") for each in evidence.notes)
    assert abs(sizes[-1]["coreml"] - sum(each.size_bytes for each in evidence.sizes)) < 100
    assert sizes[-1]["coreml"] <= 9000


@pytest.mark.parametrize("budget", [0.02, 0.004])
def test_a_table_of_which_a_package_holds_some_rows_counts_for_these(budget: float, tmp_path: Path) -> None:
    """Of 20,000 positions the package has 5; they were weighed whole, and any budget below that refused."""
    long = "self.seen = None; self.pos = nn.Parameter(torch.randn(20000, 8))"
    model = model_of(items=ITEMS, users=100).replace("self.seen = None", long)
    files = {
        "model": model.replace("self.item(history)", "(self.item(history) + self.pos[:5])"),
        "recipe": recipe_of(items=ITEMS),
    }
    asked = f"[targets.coreml]\n[compress]\nmax_size_mb = {budget}\ntime_limit_s = 12\n"
    recipe = write_mean(tmp_path, asked, items=ITEMS, **files)
    if budget < 0.005:
        with pytest.raises(BudgetMissed, match=r"no plan holds max_size_mb = 0\.004"):
            pocketrec.build(recipe, out=tmp_path / "bundle")
        return
    evidence = pocketrec.build(recipe, out=tmp_path / "bundle").evidence
    assert sum(each.size_bytes for each in evidence.sizes) <= budget * 1e6
    assert not any("nothing is compressed" in each for each in evidence.notes)  # it is what distorts least


@pytest.mark.parametrize("target", ["onnx", "coreml"])
def test_what_candidates_weigh_is_what_files_grow_by(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of a plan are as large as was expected, within a few hundred bytes."""
    rooms = given_by(monkeypatch, "check_room")
    sizes = given_by(monkeypatch, "written_sizes")
    asked = f"[targets.{target}]\n[compress]\nmax_size_mb = 0.012\ntime_limit_s = 5\n"
    result = pocketrec.build(written(tmp_path, asked), out=tmp_path / "bundle")
    pareto = json.loads((tmp_path / "bundle.search" / "pareto.json").read_text())
    stored = next(each["size_bytes"] for each in pareto["front"] if each["chosen"])
    assert result.passed
    assert len(sizes) == 1
    assert abs(rooms[0][target].besides + stored - sizes[0][target]) < 300
