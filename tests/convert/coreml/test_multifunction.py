"""Several functions in one package: each as it was alone, weights stored once, same bytes."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import coremltools as ct
import numpy as np
import pytest
import torch
from coremltools.models.utils import load_spec, save_spec
from torch import Tensor, nn

import pocketrec
from pocketrec.contract import Contract, Feature, Output, Signature, VocabularySpec
from pocketrec.convert.capture.capture import capture
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.convert.coreml.multifunction import to_multifunction
from pocketrec.errors import ConversionError, UsageError
from pocketrec.validate.artifact.coreml import read_core_ml
from pocketrec.validate.artifact.sizes import describe_artifact

ITEMS, WIDTH = 60, 16
INPUTS = {"ids": np.array([3, 59, 7], np.int32)}
Packages = dict[str, Path]


class TwoSides(nn.Module):
    """A user side and an item side over one table."""

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(ITEMS, WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)

    def user_side(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.mix(self.item(ids)) @ self.item.weight.T
        return scores

    def item_side(self, ids: Tensor) -> Tensor:
        vectors: Tensor = torch.tanh(self.item(ids))
        return vectors


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    ids = Feature(name="ids", kind="id", shape=(3,), vocabulary="item")
    outputs = {
        "user_side": Output(name="scores", meaning="score", shape=(3, ITEMS)),
        "item_side": Output(name="vectors", meaning="embedding", shape=(3, WIDTH)),
    }
    contract = Contract(
        functions={
            name: Signature(method=name, inputs=(ids,), outputs=(each,)) for name, each in outputs.items()
        },
        vocabularies={"item": VocabularySpec(size=ITEMS)},
    )
    torch.manual_seed(0)
    module, folder = TwoSides().eval(), tmp_path_factory.mktemp("packages")
    probes = [{"ids": torch.tensor(each, dtype=torch.int32)} for each in ([1, 2, 3], [59, 0, 7])]
    return {
        name: to_coreml(
            capture(module, contract, name, probes),
            folder / f"{name}.mlpackage",
            precision="float32",
            minimum_deployment_target="iOS18",
        )
        for name in outputs
    }


@pytest.fixture(scope="module")
def merged(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_multifunction(packages, tmp_path_factory.mktemp("merged") / "both.mlpackage")


def weights(package: Path) -> Path:
    return package / "Data/com.apple.CoreML/weights/weight.bin"


def tree(package: Path) -> str:
    files = sorted(each for each in package.rglob("*") if each.is_file())
    return hashlib.sha256(
        b"".join(str(each.relative_to(package)).encode() + each.read_bytes() for each in files)
    ).hexdigest()


def test_every_function_gives_the_very_numbers_of_its_own_package(packages: Packages, merged: Path) -> None:
    for name, path in packages.items():
        with (
            pocketrec.open(path, "coreml-interpreter", function=name) as alone,
            pocketrec.open(merged, "coreml-interpreter", function=name) as together,
        ):
            expected, actual = alone.run(INPUTS), together.run(INPUTS)
            assert together.describe().functions == ("user_side", "item_side")
            assert alone.describe().inputs == together.describe().inputs
        assert {key: each.tobytes() for key, each in expected.items()} == {
            key: each.tobytes() for key, each in actual.items()
        }


def test_a_shared_table_is_stored_once(packages: Packages, merged: Path) -> None:
    table = ITEMS * WIDTH * 4
    apart = sum(weights(path).stat().st_size for path in packages.values())
    assert weights(merged).stat().st_size <= apart - table
    described = describe_artifact(merged)
    assert [each.shape for each in described.tensors].count((ITEMS, WIDTH)) == 1
    assert [each.name for each in described.inputs] == ["user_side/ids", "item_side/ids"]


def test_a_table_that_differs_in_one_bit_is_not_shared(packages: Packages, tmp_path: Path) -> None:
    other = tmp_path / "item_side.mlpackage"
    shutil.copytree(packages["item_side"], other)
    data = bytearray(weights(other).read_bytes())
    data[128] ^= 1  # the lowest bit of the first number, behind the header and one record
    weights(other).write_bytes(data)
    both = to_multifunction({**packages, "item_side": other}, tmp_path / "both.mlpackage")
    shapes = [each.shape for each in describe_artifact(both).tensors]
    assert shapes.count((ITEMS, WIDTH)) == 2
    with (
        pocketrec.open(other, "coreml-interpreter") as alone,
        pocketrec.open(both, "coreml-interpreter", function="item_side") as together,
    ):
        first = {"ids": np.array([0, 1, 2], np.int32)}
        assert alone.run(first)["vectors"].tobytes() == together.run(first)["vectors"].tobytes()


def test_the_same_packages_give_the_same_bytes(packages: Packages, merged: Path, tmp_path: Path) -> None:
    assert tree(to_multifunction(packages, tmp_path / "again.mlpackage")) == tree(merged)


def test_what_packages_of_earlier_releases_say_of_one_function_is_left_out(
    packages: Packages, tmp_path: Path
) -> None:
    told: Packages = {}
    for name in ("user_side", "item_side"):
        told[name] = tmp_path / f"{name}.mlpackage"
        spec = load_spec(str(packages[name]))
        said = spec.description.metadata.userDefined
        said["pocketrec.origins"], said["pocketrec.compression"], said["of all"] = "x", "{}", "kept"
        save_spec(spec, str(told[name]), weights_dir=str(weights(packages[name]).parent))
    metadata = describe_artifact(to_multifunction(told, tmp_path / "both.mlpackage")).metadata
    assert {"pocketrec.origins", "pocketrec.compression", "pocketrec.function"}.isdisjoint(metadata)
    assert metadata["of all"] == "kept"


def test_reading_a_package_leaves_its_bytes(merged: Path) -> None:
    before = tree(merged)
    load_spec(str(merged))
    assert tree(merged) == before


def test_coremltools_describes_its_own_merge_of_the_packages_alike(
    packages: Packages, merged: Path, tmp_path: Path
) -> None:
    descriptor = ct.utils.MultiFunctionDescriptor()
    for name, path in packages.items():
        descriptor.add_function(str(path), "main", name)
    descriptor.default_function_name = "user_side"
    ct.utils.save_multifunction(descriptor, str(tmp_path / "theirs.mlpackage"))
    ours, theirs = load_spec(str(merged)), load_spec(str(tmp_path / "theirs.mlpackage"))
    assert ours.specificationVersion == theirs.specificationVersion
    assert ours.description.defaultFunctionName == theirs.description.defaultFunctionName
    assert list(ours.description.functions) == list(theirs.description.functions)
    assert weights(merged).stat().st_size == weights(tmp_path / "theirs.mlpackage").stat().st_size


def test_every_function_keeps_the_names_of_its_tensors(packages: Packages, merged: Path) -> None:
    """So what lowerings told of the packages is true of the functions."""
    for name, path in packages.items():
        made = [op.outputs for op in read_core_ml(path).only(name).ops]
        assert [op.outputs for op in read_core_ml(merged).only(name).ops] == made != []


def test_a_function_that_is_not_there_is_named(packages: Packages, merged: Path) -> None:
    with pytest.raises(UsageError, match=r"both.mlpackage: no function 'rank'; expected one of user_side"):
        pocketrec.open(merged, "coreml-interpreter", function="rank")
    with pytest.raises(UsageError, match="no function 'item_side'; expected one of main"):
        pocketrec.open(packages["user_side"], "coreml-interpreter", function="item_side")


def test_a_package_for_an_older_system_is_refused(packages: Packages, tmp_path: Path) -> None:
    spec = load_spec(str(packages["user_side"]))
    spec.specificationVersion = 8
    old = tmp_path / "old.mlpackage"
    save_spec(spec, str(old), weights_dir=str(weights(packages["user_side"]).parent))
    with pytest.raises(ConversionError, match=r"user_side: its package is of specification 8; .*iOS18"):
        to_multifunction({"user_side": old}, tmp_path / "out.mlpackage")


def test_a_package_of_several_functions_is_not_packed_again(merged: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="several functions already"):
        to_multifunction({"user_side": merged}, tmp_path / "out.mlpackage")


def test_a_damaged_weight_file_is_found(packages: Packages, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mlpackage"
    shutil.copytree(packages["user_side"], broken)
    weights(broken).write_bytes(weights(broken).read_bytes()[:100])
    with pytest.raises(ConversionError, match=r"broken.mlpackage: its weight file"):
        to_multifunction({"user_side": broken}, tmp_path / "out.mlpackage")
