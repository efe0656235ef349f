"""What PyTorch refuses an ONNX artifact refuses: ids outside of what they read, however that is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.convert.capture.capture import capture
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import ExecutionError
from pocketrec.pipeline.convert import Conversion

ITEMS, PLACES = 700, 9
WIDE = np.iinfo(np.int32)


class Lookups(nn.Module):
    """A table that is looked up and indexed, a choice of columns, of places, and a mark per place."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(8)
        self.item = nn.Embedding(ITEMS, 32)
        self.bias = nn.Parameter(torch.randn(ITEMS))
        self.out = nn.Linear(32, PLACES)

    def forward(self, seen: Tensor, other: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        x = self.out(self.item(seen).mean(1))
        x = x + self.out(self.item.weight[other]).sum(1) + self.bias[other].sum(1, keepdim=True)
        chosen = x.gather(1, place) + torch.index_select(x, 1, place[0])
        return chosen, torch.zeros(len(x), PLACES).scatter(1, place, 1.0)


EXAMPLE = {
    "seen": torch.randint(0, ITEMS, (4, 6), generator=torch.Generator().manual_seed(1)),
    "other": torch.randint(0, ITEMS, (4, 3), generator=torch.Generator().manual_seed(2)),
    "place": torch.arange(12).reshape(4, 3) % PLACES,
}
OUTSIDE = {
    "seen": (-1, -ITEMS, ITEMS, ITEMS + 32, WIDE.min, WIDE.max),
    "other": (-ITEMS - 1, ITEMS, WIDE.min, WIDE.max),
    "place": (-1, -PLACES, PLACES, WIDE.min, WIDE.max),
}
INSIDE = {"seen": (0, ITEMS - 1), "other": (-1, -ITEMS, 0, ITEMS - 1), "place": (0, PLACES - 1)}


@pytest.fixture(scope="module", params=[None, "int8", "int4"])
def converted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    return pocketrec.convert_module(
        Lookups().eval(),
        EXAMPLE,
        tmp_path_factory.mktemp("guards"),
        targets=("onnx",),
        compress=request.param,
    )


def _with(name: str, value: int) -> dict[str, Any]:
    arrays = {key: each.numpy().astype(np.int32) for key, each in EXAMPLE.items()}
    arrays[name][0, 1] = value
    return arrays


@pytest.mark.parametrize(("name", "value"), [(name, each) for name in OUTSIDE for each in OUTSIDE[name]])
def test_an_id_that_pytorch_refuses_is_refused(converted: Conversion, name: str, value: int) -> None:
    arrays = _with(name, value)
    with pytest.raises((IndexError, RuntimeError)):
        Lookups()(**{key: torch.from_numpy(each).long() for key, each in arrays.items()})
    with (
        pocketrec.open(converted.artifacts["onnx"]) as artifact,
        pytest.raises(ExecutionError, match=r"ind(ex|ices)"),
    ):
        artifact.run(arrays)


@pytest.mark.parametrize(("name", "value"), [(name, each) for name in INSIDE for each in INSIDE[name]])
def test_an_id_that_pytorch_takes_gives_the_same_rows(converted: Conversion, name: str, value: int) -> None:
    arrays = _with(name, value)
    expected = Lookups().eval()(**{key: torch.from_numpy(each).long() for key, each in arrays.items()})
    with pocketrec.open(converted.artifacts["onnx"]) as artifact:
        given = list(artifact.run(arrays).values())
    near = 0.2 if converted.compression else 1e-4
    assert all(
        np.allclose(one.detach().numpy(), two, atol=near) for one, two in zip(expected, given, strict=True)
    )


def test_the_check_survives_onnx_runtimes_optimizer(converted: Conversion, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(str(converted.artifacts["onnx"]), options)
    session = onnxruntime.InferenceSession(str(tmp_path / "optimized.onnx"), options)
    for name, values in OUTSIDE.items():
        for value in values:
            with pytest.raises(Exception, match=r"ind(ex|ices)"):
                session.run(None, _with(name, value))


class Best(nn.Module):
    """Reads rows by the ids of an input, by ranks, and by fixed positions."""

    def __init__(self) -> None:
        super().__init__()
        self.item, self.position = nn.Embedding(40, 8), nn.Embedding(5, 8)

    def forward(self, history: Tensor) -> Tensor:
        x = self.item(history) + self.position(torch.arange(5))
        ranked = (x.mean(1) @ self.item.weight.T).topk(3).indices
        given: Tensor = self.item(ranked).sum(1)
        return given


@pytest.mark.parametrize(("policy", "checks"), [("forbid", 1), ("padding", 0)])
def test_only_ids_that_can_be_outside_are_checked(policy: Any, checks: int, tmp_path: Path) -> None:
    history = Feature(
        name="history",
        kind="id_sequence",
        shape=("batch", 5),
        vocabulary="item",
        padding_side="left",
        out_of_vocabulary=policy,
    )
    contract = Contract(
        functions={
            "main": Signature(
                inputs=(history,), outputs=(Output(name="y", meaning="embedding", shape=("batch", 8)),)
            )
        },
        dims={"batch": Dim(max=8)},
        vocabularies={"item": VocabularySpec(size=40, padding_id=0)},
    )
    probes = [{"history": torch.randint(0, 40, (3, 5), dtype=torch.int32)} for _ in range(2)]
    path = to_onnx(capture(Best().eval(), contract, "main", probes), tmp_path / "best.onnx")
    assert sum(node.op_type == "Clip" for node in onnx.load(path).graph.node) == checks
    with pocketrec.open(path) as artifact:
        for value in (-1, 40, WIDE.min):
            ids = np.full((2, 5), value, np.int32)
            if policy == "forbid":
                with pytest.raises(ExecutionError):
                    artifact.run({"history": ids})
            else:
                expected = artifact.run({"history": np.zeros((2, 5), np.int32)})["y"]
                assert np.array_equal(artifact.run({"history": ids})["y"], expected)
