"""What an artifact does not say of its tensors is found where it lies; itself it holds none of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from tests.mean import write_mean
from torch import Tensor, nn

import pocketrec
from pocketrec.cli.main import main
from pocketrec.package.bundle import read_bundle
from pocketrec.package.origins import ORIGINS
from pocketrec.package.swift.generate import write_swift_package
from pocketrec.package.web.generate import write_web_package
from pocketrec.pipeline.opening import open_graph
from pocketrec.pipeline.told import carried_in, with_origins

FIRST = Path(__file__).parents[1] / "fixtures" / "first" / "mean"
APPS_AND_PROOFS = {
    "pocketrec.contract_sha256",
    "pocketrec.function",
    "pocketrec.activations",
    "com.github.apple.coremltools.source",
    "com.github.apple.coremltools.source_dialect",
    "com.github.apple.coremltools.version",
}
ARTIFACTS = ("onnx/main.onnx", "coreml/main.mlpackage")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compressed one."""
    folder = tmp_path_factory.mktemp("told")
    lines = '[targets.onnx]\n[targets.coreml]\n[compress]\npreset = "int8"\n'
    return pocketrec.build(write_mean(folder, lines), out=folder / "mean").path


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_an_artifact_holds_what_apps_and_proofs_need_and_its_bundle_tells_the_rest(
    bundle: Path, artifact: str
) -> None:
    path = bundle / "artifacts" / artifact
    graph = open_graph(path)
    assert graph.metadata.keys() <= APPS_AND_PROOFS
    assert {"pocketrec.contract_sha256", "pocketrec.function"} <= graph.metadata.keys()
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    assert not any(b"model.py" in each.read_bytes() for each in files)
    known = with_origins(graph, path, "main")
    assert known.unknown == ""
    assert any(each.source.startswith("model.py:") for each in known.graph.origins.values())
    assert known.graph.origins.keys() & known.graph.tensors.keys()
    carried, unknown = carried_in(graph, path)
    assert (list(carried), unknown) == (["item.weight"], "")


def test_inspect_shows_what_a_bundle_tells_of_compressed_tensors(bundle: Path) -> None:
    result = CliRunner().invoke(main, ["inspect", str(bundle / "artifacts/onnx/main.onnx")])
    assert result.exit_code == 0, result.output
    assert "item.weight" in result.output.partition("Compressed")[2]
    assert "not known" not in result.output


def test_inspect_says_of_a_lone_artifact_that_it_is_not_known(bundle: Path, tmp_path: Path) -> None:
    lone = shutil.copy(bundle / "artifacts/onnx/main.onnx", tmp_path / "main.onnx")
    result = CliRunner().invoke(main, ["inspect", str(lone)])
    assert result.exit_code == 0, result.output
    assert "Compressed" not in result.output
    said = "it is in no bundle, whose evidence/origins.json would tell it"
    assert f"which tensors are compressed is not known: {said}\n" in result.output
    first = CliRunner().invoke(main, ["inspect", str(shutil.copy(FIRST / "artifacts/onnx/main.onnx", lone))])
    assert "not known" not in first.output


def test_no_package_of_an_app_takes_them_along(bundle: Path, tmp_path: Path) -> None:
    write_web_package(read_bundle(bundle), tmp_path / "web")
    write_swift_package(read_bundle(bundle), tmp_path / "swift")
    for name in ("web", "swift"):
        found = [each for each in (tmp_path / name).rglob("*") if each.is_file()]
        assert found
        assert not any("origins" in each.name or b"model.py" in each.read_bytes() for each in found)


def test_a_folder_of_a_conversion_tells_them_too(tmp_path: Path) -> None:
    class Doubled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(x) * 2

    done = pocketrec.convert_module(Doubled().eval(), torch.randn(2, 3), tmp_path / "out")
    for path in done.artifacts.values():
        known = with_origins(open_graph(path), path, "main")
        assert known.unknown == ""
        assert {each.op for each in known.graph.origins.values()} == {"sigmoid", "mul"}
    lone = Path(shutil.copy(done.artifacts["onnx"], tmp_path / "lone.onnx"))
    assert with_origins(open_graph(lone), lone, "main").unknown.startswith("lone.onnx carries no origins")


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_artifacts_of_the_first_release_still_tell_their_own(artifact: str, tmp_path: Path) -> None:
    """In their bundle and alone; their bundle has no table."""
    path = FIRST / "artifacts" / artifact
    assert ORIGINS not in read_bundle(FIRST).listed
    lone = tmp_path / path.name
    shutil.copytree(path, lone) if path.is_dir() else shutil.copy(path, lone)
    for each in (path, lone):
        known = with_origins(open_graph(each).only(None), each, "main")
        assert known.unknown == ""
        assert any(origin.source.startswith("model.py:") for origin in known.graph.origins.values())
