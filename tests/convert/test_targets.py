"""The table of targets: defaults, what does not fit, what is carried; and no format is compared elsewhere."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from pocketrec.convert.targets import TARGETS, carries, resolve_target, row_of, row_of_suffix, with_others
from pocketrec.errors import RecipeError
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.recipe import Compress, Target

ROOT = Path(__file__).parents[2]
TABLE = np.random.default_rng(0).normal(size=(16, 64)).astype(np.float32)


def test_a_target_is_named_by_its_format_or_states_it() -> None:
    assert row_of("onnx", Target()) is TARGETS["onnx"]
    assert row_of("mine", Target(format="coreml")) is TARGETS["coreml"]
    with pytest.raises(RecipeError, match=r"targets\.mine: 'mine' is not a format; add format = 'onnx' or"):
        row_of("mine", Target())
    assert row_of_suffix(".mlpackage") is TARGETS["coreml"]
    assert row_of_suffix(".pdf") is None


@pytest.mark.parametrize(
    ("name", "target", "compress", "expected"),
    [
        ("onnx", Target(), Compress(), ("float32", "iOS17")),
        ("web", Target(), Compress(), ("float32", "iOS17")),
        ("coreml", Target(), Compress(), ("float16", "iOS17")),
        ("coreml", Target(minimum_deployment_target="iOS15"), Compress(), ("float32", "iOS15")),
        ("coreml", Target(), Compress(preset="int4"), ("float16", "iOS18")),
    ],
)
def test_defaults_follow_the_format_and_what_is_compressed(
    name: str, target: Target, compress: Compress, expected: tuple[str, str]
) -> None:
    resolved = resolve_target(name, target, compress)
    assert (resolved.precision, resolved.minimum_deployment_target) == expected
    assert resolved.format == name


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("onnx", Target(precision="float16"), "an ONNX target is float32"),
        ("web", Target(precision="float16"), "an ONNX target is float32"),
        ("onnx", Target(multifunction=True), "several functions in one package need format 'coreml'"),
        ("coreml", Target(multifunction=True), "minimum_deployment_target 'iOS18'"),
        (
            "coreml",
            Target(precision="float16", minimum_deployment_target="iOS15"),
            "float16 with float32 scores needs iOS16",
        ),
        ("onnx", Target(providers=("wasm",)), r"targets.onnx.providers is .* only to 'web'"),
    ],
)
def test_options_that_do_not_fit_are_one_line(name: str, target: Target, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        resolve_target(name, target)


def test_a_web_target_is_run_on_the_providers_that_its_app_asks_for() -> None:
    both, one = Target(format="web"), Target(format="web", providers=("wasm",))
    assert list(row_of("web", both).runtimes) == ["onnxruntime", "web-wasm", "web-webgpu"]
    assert list(row_of("web", one).runtimes) == ["onnxruntime", "web-wasm"]
    assert row_of("web", resolve_target("web", one)).portable == "onnxruntime"
    with pytest.raises(RecipeError, match="providers is empty"):
        Target(format="web", providers=())


def test_a_format_that_shares_the_lowering_of_one_that_refused_is_no_way_out() -> None:
    assert with_others({"onnx": Target()}) == ["onnx", "coreml"]
    assert with_others({"mine": Target(format="coreml")}) == ["mine", "onnx", "web"]
    assert with_others({"web": Target()}) == ["web", "onnx", "coreml"]


def test_what_a_target_carries_depends_on_its_deployment_target() -> None:
    nibbles = Linear(bits=4).quantize("table", TABLE)
    assert carries(nibbles, resolve_target("onnx", Target()))
    assert not carries(nibbles, resolve_target("coreml", Target()))
    assert carries(nibbles, resolve_target("coreml", Target(minimum_deployment_target="iOS18")))


def compared(tree: ast.AST) -> list[str]:
    """Names of formats that are compared, or looked up in a literal table."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            literals = [each for side in sides for each in ast.walk(side) if isinstance(each, ast.Constant)]
            found += [str(each.value) for each in literals if each.value in TARGETS]
    return found


def test_no_other_module_compares_a_formats_name() -> None:
    folders = ("cli", "convert", "package", "pipeline", "quantize", "source", "validate", "src/pocketrec")
    wrong = {}
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if path.is_symlink() or path == ROOT / "convert" / "targets.py":
                continue
            names = compared(ast.parse(path.read_text(encoding="utf-8")))
            if names:
                wrong[str(path.relative_to(ROOT))] = names
    assert wrong == {}


def test_a_comparison_with_a_formats_name_is_found() -> None:
    assert compared(ast.parse("if target.format == 'onnx': pass")) == ["onnx"]
