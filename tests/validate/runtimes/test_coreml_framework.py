"""Apple's framework says where it is not, and what a package computes in is read from its ops."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import types
from tests.validate.conftest import IOS18, PROGRAM_TABLE, convert
from tests.validate.runtimes.fake_mac import Mac

from pocketrec.validate.artifact.coreml import read_core_ml
from pocketrec.validate.open import available_runtimes
from pocketrec.validate.runtimes.compiled import CompiledModels, cache_folder
from pocketrec.validate.runtimes.coreml_framework import CoreMLFramework, precision_of
from pocketrec.validate.runtimes.faults import FrameworkFault
from pocketrec.validate.runtimes.runtime import RuntimeUnavailable


@pytest.mark.skipif(sys.platform == "darwin", reason="the framework is there")
def test_the_framework_says_that_it_exists_only_on_macos(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"only on macOS.*coreml-interpreter"):
        CoreMLFramework(tmp_path / "x.mlpackage")
    status = {each.name: each for each in available_runtimes()}
    assert not status["coreml-framework"].available
    assert "macOS" in status["coreml-framework"].reason
    assert status["onnxruntime"].available
    assert status["onnxruntime"].version


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_precision_is_that_of_what_the_ops_make(packages: Path, precision: str) -> None:
    assert precision_of(read_core_ml(packages / f"{precision}.mlpackage")) == precision


class Rewriting:
    """Stands in for coremltools.models.MLModel, which needs macOS: rewrites the manifest of what it loads."""

    loaded: Path

    def __init__(self, path: str, **options: Any) -> None:
        type(self).loaded = Path(path)
        (Path(path) / "Manifest.json").write_text("rewritten")
        if options["compute_units"].name == "CPU_ONLY":
            raise RuntimeError("no such unit")

    def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        assert self.loaded.is_dir()
        return {"y": np.zeros((2, 4), np.float32)}


@pytest.fixture
def framework(monkeypatch: pytest.MonkeyPatch) -> type[Rewriting]:
    """A machine that has the framework, as far as this runtime can tell."""
    monkeypatch.setattr(ct.models, "MLModel", Rewriting)
    monkeypatch.setattr(sys, "platform", "darwin")
    return Rewriting


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_a_loader_that_rewrites_what_it_reads_gets_a_copy_that_goes_with_the_runtime(
    packages: Path, framework: type[Rewriting]
) -> None:
    package = packages / "float32.mlpackage"
    before = bytes_of(package)
    with CoreMLFramework(package) as runtime:
        inputs = {
            each.name: np.zeros([size or 1 for size in each.shape], each.dtype)
            for each in runtime.describe().inputs
        }
        assert "y" in runtime.run(inputs)
        assert (framework.loaded / "Manifest.json").read_text() == "rewritten"
        weights = "Data/com.apple.CoreML/weights/weight.bin"
        if (package / weights).exists():
            assert (framework.loaded / weights).read_bytes() == before[weights]
        assert framework.loaded != package
    assert bytes_of(package) == before
    assert not framework.loaded.parent.exists()
    runtime.close()


def test_a_package_that_is_refused_leaves_no_copy(packages: Path, framework: type[Rewriting]) -> None:
    with pytest.raises(FrameworkFault, match="Core ML cannot load it") as refused:
        CoreMLFramework(packages / "float32.mlpackage", compute_units="cpu_only")
    assert refused.value.fault == "refused"
    assert not framework.loaded.parent.exists()


IDS = {"ids": np.array([0, 1, 3], np.int32)}
SCORES = PROGRAM_TABLE[IDS["ids"]] @ PROGRAM_TABLE.T


@pytest.fixture
def here(mac: Mac) -> Mac:
    """A fake Mac whose framework is in this process."""
    mac.is_here()
    return mac


@pytest.mark.parametrize(
    ("rules", "fault", "message"),
    [
        (
            "load=refuse",
            "refused",
            r"Core ML cannot load it \(\{ NSLocalizedDescription = ",
        ),
        ("load=e5rt", "e5rt_timeout", r"Core ML cannot load it \(.*E5RT: .* has timed out"),
        ("predict=refuse", "failed", r"Core ML failed: \{ NSLocalizedDescription"),
        ("predict=e5rt", "e5rt_timeout", r"Core ML failed: .*E5RT: Submit Async failed .* has timed out"),
    ],
)
def test_an_error_of_the_framework_is_told_although_coremltools_makes_a_warning_of_it(
    here: Mac, packages: Path, rules: str, fault: str, message: str
) -> None:
    here.does(rules)
    with (
        pytest.raises(FrameworkFault, match=message) as found,
        CoreMLFramework(packages / "float32.mlpackage") as runtime,
    ):
        runtime.run(IDS)
    assert found.value.fault == fault


def test_a_package_that_the_framework_gives_no_model_for_is_refused(here: Mac, packages: Path) -> None:
    """Coremltools asks for no model of a specification that is later than the framework's, in silence."""
    here.pretends_to_read("14")
    with pytest.raises(FrameworkFault, match="the framework gave no model, and said nothing"):
        CoreMLFramework(packages / "float32.mlpackage")


def test_a_model_that_is_known_is_not_compiled_again_and_a_damaged_one_is(here: Mac, packages: Path) -> None:
    package = packages / "float32.mlpackage"

    def opened() -> tuple[bool, int]:
        with CoreMLFramework(package, compiled=cache_folder()) as runtime:
            assert np.allclose(np.asarray(runtime.run(IDS)["scores"], np.float64), SCORES, rtol=1e-6)
            return runtime.cached, here.compilations

    assert opened() == (False, 1)
    assert opened() == (True, 1)
    (weights,) = (here.folder / "cache").rglob("model.mlmodel")
    weights.write_bytes(b"")
    assert opened() == (False, 2)


def test_a_compiled_model_that_the_framework_refuses_is_compiled_again(here: Mac, packages: Path) -> None:
    """Its bytes are those that were kept, and no framework loads them."""
    package = packages / "float32.mlpackage"
    CoreMLFramework(package, compiled=cache_folder()).close()
    (entry,) = cache_folder().iterdir()
    empty = here.folder / "empty.mlmodelc"
    (empty / "package").mkdir(parents=True)
    kept = CompiledModels(cache_folder())
    kept.discard(entry.name)
    kept.keep(entry.name, empty)
    with CoreMLFramework(package, compiled=cache_folder()) as runtime:
        assert (runtime.cached, here.compilations) == (False, 2)


def test_a_program_with_states_is_given_fresh_ones_for_every_call(here: Mac, tmp_path: Path) -> None:
    def body(x: Any, s: Any) -> Any:
        total = mb.add(x=mb.read_state(input=s), y=x)
        return mb.identity(x=mb.coreml_update_state(state=s, value=total), name="y")

    specs = [mb.TensorSpec((2,), dtype=types.fp16), mb.StateTensorSpec((2,), dtype=types.fp16)]
    program = mb.program(input_specs=specs, opset_version=IOS18)(body)
    convert(program, precision="FLOAT16").save(str(tmp_path / "kept.mlpackage"))
    with CoreMLFramework(tmp_path / "kept.mlpackage") as runtime:
        x = {"x": np.array([1, 2], runtime.describe().inputs[0].dtype)}
        for _ in range(2):
            np.testing.assert_array_equal(runtime.run(x)["y"], [1, 2])
    here.does("state=refuse")
    with (
        pytest.raises(FrameworkFault, match=r"Core ML failed: \{ NSLocalizedDescription"),
        CoreMLFramework(tmp_path / "kept.mlpackage") as again,
    ):
        again.run(x)
