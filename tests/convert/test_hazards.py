"""What spoils models in converters, shown to be right on the way here: ids, ranks, layers, bytes.

Masks have a file of their own. Every artifact is also read by the lint, which must stay silent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Feature, Output, Signature, VocabularySpec
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import Refused
from pocketrec.validate.coreml_program import CoreMLInterpreter
from pocketrec.validate.coreml_program.package import open_package
from pocketrec.validate.lint import lint_artifact

TARGETS = ("iOS15", "iOS16", "iOS17", "iOS18")
SMALL, LARGE = 70_000, 1_000_000
Arrays = Mapping[str, Any]


def captured(
    module: nn.Module, features: list[Feature], outputs: list[Output], items: int, *probes: Tensor
) -> Capture:
    contract = Contract(
        functions={"main": Signature(inputs=tuple(features), outputs=tuple(outputs))},
        vocabularies={"item": VocabularySpec(size=items, padding_id=0)} if items else {},
    )
    given = [{features[0].name: probe} for probe in probes]
    return capture(module.eval(), contract, "main", given)


def run_coreml(capture: Capture, path: Path, inputs: Arrays, **options: Any) -> Arrays:
    """The outputs of the package written at `path`, after the lint has seen it."""
    to_coreml(capture, path, **options)
    assert [each for each in lint_artifact(path) if each.severity != "note"] == []
    with CoreMLInterpreter(path) as runtime:
        return runtime.run(inputs)


def run_onnx(capture: Capture, path: Path, inputs: Arrays) -> Arrays:
    """The outputs of the file written at `path`, after the lint has seen it."""
    to_onnx(capture, path)
    # `table[ids]` takes ids from the end, as PyTorch does, and is guarded over compressed tables only.
    assert [each for each in lint_artifact(path) if each.rule != "unguarded-ids"] == []
    session = onnxruntime.InferenceSession(str(path))
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(inputs)), strict=True))


class Catalogue(nn.Module):
    """Item i's row holds the bits of i, so that a user made from a row ranks that very item first.

    Each bit weighs half of the one before: every score is another number, which float16 cannot hold.
    """

    def __init__(self, items: int) -> None:
        super().__init__()
        self.bits = max(items - 1, 1).bit_length()
        numbers = torch.arange(items)
        signs = ((numbers[:, None] >> torch.arange(self.bits)) & 1).float() * 2 - 1
        self.item = nn.Embedding(items, self.bits, _weight=signs)
        self.register_buffer("weights", 0.5 ** torch.arange(self.bits, dtype=torch.float32).flip(0))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        best, places = (self.item(ids) * self.weights @ self.item.weight.T).topk(20)
        return best, places


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A captured catalogue, ids on both sides of what 16 bits hold, and what PyTorch ranks for them."""

    capture: Capture
    ids: Tensor
    places: Any


def ranked(items: int) -> Ranked:
    ids = torch.tensor([items - 1, 65_535, 65_536, 32_768, 4_463], dtype=torch.int32)
    feature = Feature(name="ids", kind="id", shape=(5,), vocabulary="item")
    outputs = [
        Output(name="best", meaning="top_k_scores", shape=(5, 20)),
        Output(name="places", meaning="top_k_ids", dtype="int32", shape=(5, 20)),
    ]
    found = captured(Catalogue(items), [feature], outputs, items, ids, ids.flip(0))
    places = found.module(ids)[1].numpy()
    assert (places[:, 0] == ids.numpy()).all()
    return Ranked(capture=found, ids=ids, places=places)


@pytest.fixture(scope="module")
def small() -> Ranked:
    return ranked(SMALL)


@pytest.fixture(scope="module")
def large() -> Ranked:
    return ranked(LARGE)


def check_ranks(given: Ranked, path: Path, **options: Any) -> None:
    found = run_coreml(given.capture, path, {"ids": given.ids.numpy()}, **options)
    np.testing.assert_array_equal(found["places"], given.places)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_seventy_thousand_items_are_ranked_as_pytorch_ranks_them(
    small: Ranked, precision: str, target: str, tmp_path: Path
) -> None:
    check_ranks(small, tmp_path / "m.mlpackage", precision=precision, minimum_deployment_target=target)


def test_seventy_thousand_items_are_ranked_the_same_in_onnx(small: Ranked, tmp_path: Path) -> None:
    found = run_onnx(small.capture, tmp_path / "m.onnx", {"ids": small.ids.numpy()})
    np.testing.assert_array_equal(found["places"], small.places)


@pytest.mark.large
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_a_million_items_are_ranked_as_pytorch_ranks_them(
    large: Ranked, precision: str, target: str, tmp_path: Path
) -> None:
    check_ranks(large, tmp_path / "m.mlpackage", precision=precision, minimum_deployment_target=target)


@pytest.mark.large
def test_a_million_items_are_ranked_the_same_in_onnx(large: Ranked, tmp_path: Path) -> None:
    found = run_onnx(large.capture, tmp_path / "m.onnx", {"ids": large.ids.numpy()})
    np.testing.assert_array_equal(found["places"], large.places)


@pytest.mark.parametrize("target", ["iOS15", "iOS17"])
def test_a_tied_table_is_stored_once_on_every_target(small: Ranked, target: str, tmp_path: Path) -> None:
    path = to_coreml(small.capture, tmp_path / "m.mlpackage", minimum_deployment_target=target)
    stored = (path / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size
    numbers = SMALL * 17 * (4 if target == "iOS15" else 2)
    assert numbers <= stored < numbers * 1.2  # and the bias that coremltools gives a linear


class Pairs(nn.Module):
    """A table of two dims, indexed in both at once, which becomes gather_nd."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.arange(SMALL * 2).reshape(SMALL, 2).float() / 64)

    def forward(self, ids: Tensor) -> Tensor:
        rows: Tensor = self.table[ids, ids % 2]
        return rows * 1.0


def test_gather_nd_keeps_wide_indices(tmp_path: Path) -> None:
    ids = torch.tensor([SMALL - 1, 65_536, 40_000, 3], dtype=torch.int32)
    feature = Feature(name="ids", kind="id", shape=(4,), vocabulary="item")
    found = captured(
        Pairs(), [feature], [Output(name="y", meaning="score", shape=(4,))], SMALL, ids, ids.flip(0)
    )
    expected = found.module(ids)[0].detach().numpy()
    inputs = {"ids": ids.numpy()}
    path = tmp_path / "m.mlpackage"
    np.testing.assert_allclose(run_coreml(found, path, inputs)["y"], expected, rtol=1e-3)
    np.testing.assert_array_equal(run_onnx(found, tmp_path / "m.onnx", inputs)["y"], expected)
    operations = open_package(path).reader.function("main").block.operations
    assert "gather_nd" in {each.type for each in operations}
    assert not {kind.dtype for each in operations for _, kind in each.outputs} & {"int16", "uint16"}


class Hashed(nn.Module):
    """Knuth's multiplicative hash by its high bits, which need 64."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rows = nn.Embedding(97, 4)

    def forward(self, ids: Tensor) -> Tensor:
        rows: Tensor = self.rows(((ids.long() * 2654435761) >> 32) % 97)
        return rows


def test_a_hash_of_64_bits_is_refused_for_core_ml_and_right_in_onnx(tmp_path: Path) -> None:
    ids = torch.tensor([1, 69_999, 2**31 - 1], dtype=torch.int32)
    feature = Feature(name="ids", kind="length", shape=(3,))
    found = captured(
        Hashed(), [feature], [Output(name="y", meaning="score", shape=(3, 4))], 0, ids, ids.flip(0)
    )
    given = run_onnx(found, tmp_path / "m.onnx", {"ids": ids.numpy()})
    np.testing.assert_array_equal(given["y"], found.module(ids)[0].detach().numpy())
    with pytest.raises(Refused, match="2654435761 does not fit in Core ML's int32"):
        to_coreml(found, tmp_path / "m.mlpackage")


class Layers(nn.Module):
    """Layers that have no lowering of their own, or only in one front end, over a short history."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.rows = nn.Embedding(50, 8, padding_idx=0)
        self.layer = layer
        self.bag, self.attention = (
            isinstance(layer, each) for each in (nn.EmbeddingBag, nn.MultiheadAttention)
        )

    def forward(self, ids: Tensor) -> Tensor:
        if self.bag:
            return self.layer(ids) * 1.0  # type: ignore[no-any-return]
        rows = self.rows(ids)
        given = self.layer(rows, rows, rows) if self.attention else self.layer(rows)
        return (given[0] if isinstance(given, tuple) else given)[:, -1]  # type: ignore[no-any-return]


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "EmbeddingBag": lambda: nn.EmbeddingBag(50, 8, mode="mean", padding_idx=0),
    "MultiheadAttention": lambda: nn.MultiheadAttention(8, 2, batch_first=True),
    "TransformerEncoder": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, enable_nested_tensor=False
    ),
    "GRU": lambda: nn.GRU(8, 8, batch_first=True),
    "LSTM": lambda: nn.LSTM(8, 8, batch_first=True),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_without_a_lowering_of_its_own_converts_and_equals_pytorch(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    ids = torch.randint(1, 50, (2, 6), dtype=torch.int32)
    ids[0, :2] = 0
    feature = Feature(name="ids", kind="length", shape=(2, 6))
    output = Output(name="y", meaning="score", shape=(2, 8))
    found = captured(Layers(LAYERS[name]()), [feature], [output], 0, ids, ids.flip(0))
    expected, inputs = found.module(ids)[0].detach().numpy(), {"ids": ids.numpy()}
    given = run_coreml(found, tmp_path / "m.mlpackage", inputs)
    np.testing.assert_allclose(given["y"], expected, atol=5e-3)
    np.testing.assert_allclose(run_onnx(found, tmp_path / "m.onnx", inputs)["y"], expected, atol=1e-5)
    kinds = {node.op_type for node in onnx.load(str(tmp_path / "m.onnx")).graph.node}
    assert not kinds & {"Loop", "SequenceEmpty"}


def test_the_program_is_no_longer_in_the_dialect_of_training() -> None:
    module = Layers(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.LayerNorm(8)))
    ids = torch.ones(2, 6, dtype=torch.int32)
    feature = Feature(name="ids", kind="length", shape=(2, 6))
    found = captured(module, [feature], [Output(name="y", meaning="score", shape=(2, 8))], 0, ids, ids * 2)
    assert found.program.dialect == "ATEN"


class Folded(nn.Module):
    """Constants that a converter computes itself: a scatter that adds, and a norm without axes of its own."""

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.tensor([[0, 1, 1, 3], [2, 2, 2, 0]])
        added = torch.zeros(2, 4).scatter_add(1, places, torch.arange(1.0, 9.0).reshape(2, 4))
        normed = nn.functional.layer_norm(torch.arange(8.0).reshape(2, 4), (4,))
        return ids.float() + added + normed


def test_constants_that_the_converter_folds_are_pytorchs(tmp_path: Path) -> None:
    ids = torch.arange(8, dtype=torch.int32).reshape(2, 4)
    feature = Feature(name="ids", kind="length", shape=(2, 4))
    found = captured(Folded(), [feature], [Output(name="y", meaning="score", shape=(2, 4))], 0, ids, ids + 1)
    expected, inputs = found.module(ids)[0].numpy(), {"ids": ids.numpy()}
    given = run_coreml(found, tmp_path / "m.mlpackage", inputs, precision="float32")
    np.testing.assert_allclose(given["y"], expected, atol=1e-5)
    np.testing.assert_allclose(run_onnx(found, tmp_path / "m.onnx", inputs)["y"], expected, atol=1e-5)


def test_the_package_has_no_date_and_no_random_identifier(small: Ranked, tmp_path: Path) -> None:
    first, second = (to_coreml(small.capture, tmp_path / f"{each}.mlpackage") for each in (1, 2))
    files = sorted(each.relative_to(first) for each in first.rglob("*") if each.is_file())
    assert files == sorted(each.relative_to(second) for each in second.rglob("*") if each.is_file())
    for each in files:
        assert (first / each).read_bytes() == (second / each).read_bytes(), each
    assert "com.github.apple.coremltools.conversion_date" not in open_package(first).metadata
