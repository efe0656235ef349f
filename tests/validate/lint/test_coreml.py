"""Packages that plain coremltools makes: what lint names in them, and that it stays silent otherwise."""

from __future__ import annotations

from pathlib import Path

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import types
from coremltools.optimize import coreml as optimize

from pocketrec.errors import ArtifactError, UsageError
from pocketrec.validate.coreml_program.weights import WeightFile
from pocketrec.validate.lint import Finding, lint_artifact


def by_rule(path: Path) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for each in lint_artifact(path):
        found.setdefault(each.rule, []).append(each)
    return found


@pytest.mark.parametrize(
    ("rule", "severity", "message"),
    [
        ("narrow-top-k-indices", "error", "uint16 indices over 70,000 items: item 69,999 becomes 4,463"),
        ("ids-in-float", "error", "ids of 5,000 rows pass through float16"),
        ("saturated-constant", "error", "mul with the constant 2147483647, where int32 ends"),
        ("mask-beyond-float16", "warning", "masks with -inf"),
        ("ids-narrowed-on-entry", "warning", "input ids is int32 and becomes int16"),
        ("float16-scores", "warning", "70,000 items ranked by float16 scores"),
        ("duplicate-table", "warning", ", transposed: 8,000 bytes again"),
        ("unnamed-output", "warning", "the output is called var_"),
        ("index-guard-chain", "note", "of the lookups add the number of rows"),
        ("conversion-date", "note", "converted on 20"),
    ],
)
def test_a_hazard_of_a_default_conversion_is_named(
    careless: Path, rule: str, severity: str, message: str
) -> None:
    found = by_rule(careless)
    assert rule in found, sorted(found)
    assert {each.severity for each in found[rule]} == {severity}
    assert any(message in each.message for each in found[rule]), found[rule]


def test_the_worst_comes_first(careless: Path) -> None:
    order = [each.severity for each in lint_artifact(careless)]
    assert order == sorted(order, key=["error", "warning", "note"].index)


def test_a_float32_model_with_named_outputs_has_notes_only(plain: Path) -> None:
    assert set(by_rule(plain)) == {"index-guard-chain", "unguarded-ids", "conversion-date"}


def test_ranges_are_named_with_their_bounds(ranged: Path) -> None:
    (found,) = by_rule(ranged)["dynamic-shape"]
    assert (found.place, found.message) == ("ids", "a size is 1 to 8")


def test_a_table_that_compression_skipped_is_named(plain: Path, tmp_path: Path) -> None:
    rows, other = 4_001, 64  # 4,001 rows do not divide into groups of 16

    def program(ids: object) -> object:
        generator = np.random.default_rng(0)
        table = generator.normal(size=(rows, other)).astype("float32")
        weight = generator.normal(size=(other, other)).astype("float32")
        return mb.linear(x=mb.gather(x=table, indices=ids, axis=0), weight=weight, name="scores")

    typed = mb.program(input_specs=[mb.TensorSpec((2,), dtype=types.int32)], opset_version=ct.target.iOS18)
    model = ct.convert(
        typed(program),
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS18,
        skip_model_load=True,
    )
    config = optimize.OptimizationConfig(
        global_config=optimize.OpPalettizerConfig(
            nbits=2, mode="uniform", granularity="per_grouped_channel", group_size=16
        )
    )
    model = optimize.palettize_weights(model, config)
    model.save(str(tmp_path / "skipped.mlpackage"))
    (found,) = by_rule(tmp_path / "skipped.mlpackage")["uncompressed-table"]
    assert "4,001×64" in found.message
    assert "largest compressed tensor has" in found.message


def test_weights_are_not_read_where_no_two_tables_are_alike(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("a weight was read")

    monkeypatch.setattr(WeightFile, "read", read)
    assert lint_artifact(plain)


def test_a_damaged_package_is_an_error_of_one_line(plain: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mlpackage"
    broken.mkdir()
    (broken / "Manifest.json").write_text("{}")
    with pytest.raises(ArtifactError, match="no readable package manifest"):
        lint_artifact(broken)


def test_another_suffix_is_a_wrong_call(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"")
    with pytest.raises(
        UsageError, match=r"model\.pt: expected a bundle, or an artifact that ends in one of \.onnx"
    ):
        lint_artifact(tmp_path / "model.pt")
