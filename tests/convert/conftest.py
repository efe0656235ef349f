"""A small recommender with all that the three families need, and functions of one tensor, as artifacts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import pocketrec
from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.pipeline.convert import Conversion
from pocketrec.validate.open import open_artifact

ITEMS, GENRES, LENGTH = 300, 12, 8


class TinyRecommender(nn.Module):
    """Attention over a history, a bag of genres, tied scores and a top-k."""

    def __init__(self, items: int = ITEMS, width: int = 16) -> None:
        super().__init__()
        self.item = nn.Embedding(items, width, padding_idx=0)
        self.position = nn.Embedding(LENGTH, width)
        self.genre = nn.EmbeddingBag(GENRES, width, mode="mean", padding_idx=0)
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)

    def forward(self, history: Tensor, genres: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.item(history) + self.position.weight[-history.shape[1] :] + self.genre(genres)[:, None]
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        user = (x + (q @ k.transpose(1, 2) / 4).softmax(-1) @ v)[:, -1]
        scores = user @ self.item.weight.T
        best, ids = scores.topk(5)
        return scores, best, ids


def contract_for(items: int = ITEMS) -> Contract:
    history = Feature(
        name="history",
        kind="id_sequence",
        shape=("batch", "length"),
        vocabulary="item",
        padding_side="left",
        out_of_vocabulary="padding",
    )
    genres = Feature(
        name="genres", kind="id_bag", shape=("batch", 4), vocabulary="genre", out_of_vocabulary="padding"
    )
    outputs = (
        Output(name="scores", meaning="score", shape=("batch", items)),
        Output(name="best_scores", meaning="top_k_scores", shape=("batch", 5)),
        Output(name="best_ids", meaning="top_k_ids", dtype="int32", shape=("batch", 5)),
    )
    return Contract(
        functions={"main": Signature(inputs=(history, genres), outputs=outputs)},
        dims={"batch": Dim(max=8), "length": Dim(max=LENGTH)},
        vocabularies={
            "item": VocabularySpec(size=items, padding_id=0),
            "genre": VocabularySpec(size=GENRES, padding_id=0),
        },
    )


def probes_for(items: int = ITEMS) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)

    def ids(size: int, *shape: int) -> Tensor:
        return torch.randint(0, size, shape, generator=generator, dtype=torch.int32)

    return [
        {"history": ids(items, batch, length), "genres": ids(GENRES, batch, 4)}
        for batch, length in ((1, 1), (3, 5), (4, LENGTH))
    ]


@pytest.fixture
def tiny() -> nn.Module:
    torch.manual_seed(0)
    return TinyRecommender().eval()


@pytest.fixture
def contract() -> Contract:
    return contract_for()


@pytest.fixture
def probes() -> list[dict[str, Tensor]]:
    return probes_for()


@pytest.fixture(scope="session")
def captured() -> Capture:
    """What `tiny` gives on `probes`, captured once for all tests that lower it and change nothing of it."""
    torch.manual_seed(0)
    return capture(TinyRecommender().eval(), contract_for(), "main", probes_for())


@pytest.fixture
def make_contract() -> Callable[[int], Contract]:
    return contract_for


@pytest.fixture
def make_tiny() -> Callable[[int], nn.Module]:
    def make(items: int) -> nn.Module:
        torch.manual_seed(0)
        return TinyRecommender(items).eval()

    return make


@pytest.fixture
def make_probes() -> Callable[[int], list[dict[str, Tensor]]]:
    return probes_for


class Small(nn.Module):
    """A tied table and a layer between its two ends."""

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(60, 16, padding_idx=0)
        self.mix = nn.Linear(16, 16)

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = torch.tanh(self.mix(self.item(ids))) @ self.item.weight.T
        return scores


@pytest.fixture
def small() -> nn.Module:
    torch.manual_seed(0)
    return Small().eval().requires_grad_(False)


@pytest.fixture
def capture_small() -> Callable[[nn.Module], Capture]:
    ids = Feature(name="ids", kind="id", shape=(3,), vocabulary="item")
    scores = Output(name="scores", meaning="score", shape=(3, 60))
    contract = Contract(
        functions={"main": Signature(inputs=(ids,), outputs=(scores,))},
        vocabularies={"item": VocabularySpec(size=60, padding_id=0)},
    )
    probes = [{"ids": torch.tensor(each, dtype=torch.int32)} for each in ([1, 2, 3], [59, 0, 7])]
    return lambda module: capture(module, contract, "main", probes)


@pytest.fixture
def far(tmp_path: Path) -> Callable[..., Conversion]:
    """Converts a module, and compares its artifacts with it on inputs far from the example.

    Every batch must be free, but where `fixed` says otherwise.
    """

    def run(
        module: nn.Module,
        example: tuple[Tensor, ...],
        *probes: tuple[Tensor, ...],
        targets: Sequence[str] = ("coreml", "onnx"),
        fixed: bool = False,
    ) -> Conversion:
        module.eval()
        result = pocketrec.convert_module(module, example, tmp_path / "out", targets)
        assert set(result.artifacts) == set(targets), result.refused
        for path in result.artifacts.values():
            with pocketrec.open(path) as artifact:
                shapes = [each.shape for each in artifact.describe().inputs]
                assert fixed or all(shape[0] is None for shape in shapes), result.notes
                for probe in probes:
                    given = artifact.run(dict(zip(result.inputs, map(as_input, probe), strict=True)))
                    with torch.no_grad():
                        expected = [*tree_leaves(module(*(each.clone() for each in probe)))]
                    for name, value in zip(result.outputs, expected, strict=True):
                        actual = torch.from_numpy(given[name]).double()
                        torch.testing.assert_close(
                            actual, value.double(), rtol=1e-4, atol=1e-5, equal_nan=True, msg=f"{path} {name}"
                        )
        return result

    return run


def as_input(tensor: Tensor) -> Any:
    """The array that an artifact takes."""
    return tensor.numpy().astype(np.float32 if tensor.is_floating_point() else np.int32)


Functions = Mapping[str, Callable[[Tensor], Tensor]]
Computed = Mapping[str, npt.NDArray[Any]]


class Each(nn.Module):
    """The result of every function of `x`, in float32."""

    def __init__(self, functions: Functions) -> None:
        super().__init__()
        self.functions = functions

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(each(x).float() for each in self.functions.values())


@pytest.fixture(scope="session")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Computed]]:
    """What an artifact of the functions in float32 gives, converted on `example` and run on each of `inputs`.

    By way of "export" or "trace" for Core ML, or of "onnx".
    """

    def lower(functions: Functions, example: Tensor, inputs: list[Tensor], way: str) -> list[Computed]:
        module = Each(functions).eval()
        outputs = tuple(
            Output(name=f"y_{name}", meaning="embedding", shape=tuple(shown.shape))
            for name, shown in zip(functions, module(example), strict=True)
        )
        feature = Feature(name="x", kind="dense", dtype="float32", shape=tuple(example.shape))
        contract = Contract(functions={"main": Signature(inputs=(feature,), outputs=outputs)})
        captured = capture(module, contract, "main", [{"x": example}])
        folder = tmp_path_factory.mktemp("lowered")
        if way == "onnx":
            path = to_onnx(captured, folder / "each.onnx")
        else:
            path = to_coreml(captured, folder / "each.mlpackage", precision="float32", frontend=way)
        with open_artifact(path, None if way == "onnx" else "coreml-interpreter") as runtime:
            given = [runtime.run({"x": each.numpy()}) for each in inputs]
        return [{name: each[f"y_{name}"] for name in functions} for each in given]

    return lower
