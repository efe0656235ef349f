"""A wrong op in the middle of SASRec is found in both formats, with PyTorch's module and source line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from coremltools.proto import Model_pb2

from pocketrec.convert.capture.capture import capture
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import ArtifactError, InputError, RecipeError, UsageError
from pocketrec.model_zoo.families import sasrec
from pocketrec.model_zoo.families.parts import attention
from pocketrec.origin import Told
from pocketrec.package.bundle import publish, seal, staging
from pocketrec.package.golden import Vector, write_golden
from pocketrec.package.origins import ORIGINS, write_origins
from pocketrec.pipeline.diverge import Examined, diverge_artifacts, diverge_bundle
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.source.loaded import load_model
from pocketrec.validate.artifact.divergence import Divergence

MODEL = """
import torch
from pocketrec.model_zoo.families import sasrec


def make(seed=0):
    torch.manual_seed(seed)
    return sasrec.model(num_items=39, max_length=6, dim=8)


def data():
    raise AssertionError("a search needs no evaluation data")
"""
RECIPE = """
schema = 1
name = "small"
version = "1.0"
model = {factory = "model.py:make"}
[contract.dims]
batch = {max = 4}
length = {max = 6}
[contract.vocabularies.item]
tokens = "items.txt"
padding_id = 0
[[contract.functions.main.inputs]]
name = "history"
kind = "id_sequence"
shape = ["batch", "length"]
vocabulary = "item"
padding_side = "left"
out_of_vocabulary = "padding"
[[contract.functions.main.outputs]]
name = "scores"
meaning = "score"
shape = ["batch", 40]
vocabulary = "item"
[evaluate]
data = "model.py:data"
kind = "ranking"
output = "scores"
[targets.onnx]
[targets.coreml]
[targets.coreml_fp32]
format = "coreml"
precision = "float32"
"""
LOWERED = {"onnx": "main.onnx", "coreml": "main.mlpackage", "coreml_fp32": "main.mlpackage"}
HISTORY = np.array([[0, 0, 5, 39, 7, 2]], np.int32)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `recipe.toml` and the bundle `good`, of its evidence only the origins."""
    folder = tmp_path_factory.mktemp("diverge")
    (folder / "model.py").write_text(MODEL)
    (folder / "items.txt").write_text("".join(f"item {number}\n" for number in range(40)))
    (folder / "recipe.toml").write_text(RECIPE)
    recipe = load_recipe(folder / "recipe.toml")
    model = load_model(recipe, folder)
    rng = np.random.default_rng(1)
    histories = [HISTORY, *(rng.integers(0, 40, (rows, 6)).astype(np.int32) for rows in (1, 3))]
    captured = capture(
        model.module, model.contract, "main", [{"history": torch.from_numpy(each)} for each in histories]
    )
    vectors = tuple(
        Vector(
            name=f"{number:02d}",
            inputs={"history": each},
            outputs={"scores": captured.module(torch.from_numpy(each))[0].detach().numpy()},
        )
        for number, each in enumerate(histories)
    )
    told: dict[str, Told] = {}
    with staging(folder / "good") as place:
        for target, name in LOWERED.items():
            (place / "artifacts" / target).mkdir(parents=True)
            path = place / "artifacts" / target / name
            precision = recipe.targets[target].precision or "float32"
            if target == "onnx":
                to_onnx(captured, path, told=told.setdefault(target, Told()))
            else:
                to_coreml(captured, path, precision=precision, told=told.setdefault(target, Told()))
        (place / "recipe.json").write_text(json.dumps(recipe.to_dict()))
        (place / "contract.json").write_text(json.dumps(model.contract.to_dict()))
        write_golden(place, {"main": vectors}, {})
        artifacts = {target: {"main": f"artifacts/{target}/{name}"} for target, name in LOWERED.items()}
        (place / "evidence").mkdir()
        write_origins(
            place / ORIGINS, {artifacts[target]["main"]: {"main": each} for target, each in told.items()}
        )
        seal(place, name="small", version="1.0", artifacts=artifacts)
        publish(place, folder / "good")
    return folder


@pytest.fixture
def bundle(built: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to be spoiled."""
    return Path(shutil.copytree(built / "good", tmp_path / "bundle"))


def edit_onnx(path: Path, change: Callable[[Any], object]) -> None:
    model = onnx.load(str(path))
    change(model.graph)
    onnx.save(model, str(path))


def edit_coreml(path: Path, change: Callable[[Any], object]) -> None:
    (file,), spec = path.glob("Data/**/*.mlmodel"), Model_pb2.Model()
    spec.ParseFromString(file.read_bytes())
    function = spec.mlProgram.functions["main"]
    change(function.block_specializations[function.opset])
    file.write_bytes(spec.SerializeToString())


def turn_scale_into_sum(block: Any) -> None:
    """The second block's attention adds its scale to the scores instead of multiplying with it."""
    [each for each in block.operations if each.type == "mul"][1].type = "add"


def approximate_gelu(graph: Any) -> None:
    """The first block's GELU becomes its tanh approximation: off by 5e-4 at most."""
    node = next(each for each in graph.node if each.op_type == "Gelu")
    del node.attribute[:]
    node.attribute.append(onnx.helper.make_attribute("approximate", "tanh"))


def line_of(text: str, module: ModuleType = attention) -> str:
    path = Path(str(module.__file__))
    lines = path.read_text(encoding="utf-8").splitlines()
    return f"{path.name}:{next(number for number, line in enumerate(lines, 1) if text in line)}"


def only(examined: tuple[Examined, ...]) -> Divergence:
    (found,) = examined
    assert found.comparison.divergence is not None
    return found.comparison.divergence


@pytest.mark.long
def test_a_good_artifact_does_not_diverge_from_pytorch(built: Path) -> None:
    """On every golden vector, and most of its tensors were compared."""
    (examined,) = diverge_bundle(built / "good", built / "recipe.toml", target="onnx")
    assert examined.comparison.divergence is None
    assert examined.comparison.partners > 70
    assert examined.comparison.outputs[0].relative_error is not None


def test_a_wrong_op_in_the_middle_is_found_in_both_formats(built: Path, bundle: Path) -> None:
    """Named with PyTorch's module and line, its inputs within the bound, its outputs outside."""
    edit_onnx(bundle / "artifacts/onnx/main.onnx", approximate_gelu)
    for target in ("coreml", "coreml_fp32"):
        edit_coreml(bundle / f"artifacts/{target}/main.mlpackage", turn_scale_into_sum)
    examined = {each.target: each for each in diverge_bundle(bundle, built / "recipe.toml")}
    check_found(
        examined["onnx"],
        op="Gelu",
        module="blocks.0.feed_forward.1",
        line="self.feed_forward(self.feed_forward_norm(x))",
        dtype="float32",
    )
    for target, dtype in (("coreml", "float16"), ("coreml_fp32", "float32")):
        check_found(
            examined[target],
            op="add",
            module="blocks.1.attention",
            line="scores = query @ key.transpose(-2, -1)",
            dtype=dtype,
        )


def check_found(examined: Examined, *, op: str, module: str, line: str, dtype: str) -> None:
    found, bound = only((examined,)), examined.comparison.tolerance
    assert found.op.type == op
    assert found.origin is not None
    assert (found.origin.module, found.origin.source) == (module, line_of(line))
    assert line in examined.source_text
    assert found.own_error > bound
    ((taken,), (given,)) = found.inputs, found.outputs
    assert (taken.dtype, given.dtype) == (dtype, dtype)
    assert len(given.shape) > 1
    assert taken.relative_error is not None
    assert given.relative_error is not None
    assert taken.relative_error < bound < given.relative_error


def test_two_artifacts_are_compared_without_pytorch_across_formats(built: Path, bundle: Path) -> None:
    """Partners are found by their origins, because graph nodes have other names in either format."""
    reference, artifact = (
        bundle / f"artifacts/{name}" for name in ("onnx/main.onnx", "coreml/main.mlpackage")
    )
    good = diverge_artifacts(reference, artifact, inputs={"history": HISTORY})
    assert good.comparison.divergence is None
    assert good.comparison.partners > 40
    edit_coreml(artifact, turn_scale_into_sum)
    found = only((diverge_artifacts(reference, artifact, inputs={"history": HISTORY}),))
    assert found.origin is not None
    assert (found.op.type, found.origin.module) == ("add", "blocks.1.attention")


def test_lone_artifacts_say_that_they_carry_no_origins_and_only_outputs_are_compared(
    bundle: Path, tmp_path: Path
) -> None:
    """Names are numbers, and the same number is another tensor in another format."""
    paths = [bundle / "artifacts" / each for each in ("onnx/main.onnx", "coreml/main.mlpackage")]
    lone = [Path(each.rename(tmp_path / each.name)) for each in paths]
    edit_coreml(lone[1], turn_scale_into_sum)
    examined = diverge_artifacts(*lone, inputs={"history": HISTORY})
    assert only((examined,)).origin is None
    assert examined.comparison.partners == 1
    assert examined.unknown == "; ".join(
        f"{each.name} carries no origins of its tensors: it is in no bundle, whose evidence/origins.json "
        "would tell it"
        for each in lone
    )


def test_lone_artifacts_of_one_graph_are_compared_by_names(built: Path, bundle: Path, tmp_path: Path) -> None:
    """A file whose op was spoiled has the same names as the good one."""
    good = shutil.copy(built / "good/artifacts/onnx/main.onnx", tmp_path / "good.onnx")
    bad = bundle / "artifacts/onnx/main.onnx"
    edit_onnx(bad, approximate_gelu)
    bad = bad.rename(tmp_path / "bad.onnx")
    examined = diverge_artifacts(Path(good), bad, inputs={"history": HISTORY})
    assert only((examined,)).op.type == "Gelu"
    assert examined.comparison.partners > 70


def test_damaged_origins_are_an_error(built: Path, bundle: Path) -> None:
    """A search without them would look at outputs alone, and say less than it was asked."""
    (bundle / ORIGINS).write_text("{}")
    with pytest.raises(ArtifactError, match=r"^evidence/origins\.json: altered"):
        diverge_bundle(bundle, built / "recipe.toml", target="onnx")


def test_a_wrong_table_of_ids_is_found_at_the_gather(built: Path, bundle: Path) -> None:
    """The first op of all is found too, not only one in the middle."""

    def spoil(graph: Any) -> None:
        table = next(each for each in graph.initializer if list(each.dims) == [40, 8])
        values = np.array(onnx.numpy_helper.to_array(table))
        values[39, 0] += 1
        table.CopyFrom(onnx.numpy_helper.from_array(values, table.name))

    path = bundle / "artifacts/onnx/main.onnx"
    edit_onnx(path, spoil)
    inputs = {"history": HISTORY}
    found = only((diverge_artifacts(built / "good/artifacts/onnx/main.onnx", path, inputs=inputs),))
    assert found.op.type == "Gather"
    assert found.origin is not None
    assert found.origin.source == line_of("self.item_embedding(history) + positions", sasrec)


def test_another_recipe_and_other_weights_are_refused(built: Path, tmp_path: Path) -> None:
    """A search against a model that the bundle was not built from would blame the artifact."""
    for name in ("model.py", "items.txt"):
        shutil.copy(built / name, tmp_path / name)
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("max = 6", "max = 5"))
    with pytest.raises(UsageError, match="its contract is not the bundle's"):
        diverge_bundle(built / "good", tmp_path / "recipe.toml")
    (tmp_path / "recipe.toml").write_text(RECIPE.replace('make"', 'make", arguments = {seed = 1}'))
    with pytest.raises(RecipeError, match="another scores than the bundle's golden vectors"):
        diverge_bundle(built / "good", tmp_path / "recipe.toml", target="onnx")


def test_what_is_not_there_is_a_usage_error(built: Path) -> None:
    """Targets are named; inputs of two artifacts are checked like those of a run."""
    with pytest.raises(UsageError, match=r"no artifact tflite/any function; expected one of .*onnx/main"):
        diverge_bundle(built / "good", built / "recipe.toml", target="tflite")
    one = built / "good/artifacts/onnx/main.onnx"
    with pytest.raises(InputError, match=r"main\.onnx: input 'history' is int64; expected int32"):
        diverge_artifacts(one, one, inputs={"history": HISTORY.astype(np.int64)})
