"""Features that are multiples of others become part of the weights: which, which not, and the same scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.convert.capture.capture import capture
from pocketrec.convert.onnx import products as onnx_products
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.schemes.linear import Linear

WIDTH, HIDDEN = 12, 16
Features = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, ...]]
# How many times WIDTH columns the features have; of items x, of users (repeated) u and v, of others o.
CASES: dict[str, tuple[int, Features]] = {
    "factorized": (3, lambda x, u, v, o: (x, u, x * u)),
    "target attention": (4, lambda x, u, v, o: (u, x, u - x, u * x)),
    "others": (4, lambda x, u, v, o: (x, u, o, x * u)),
    "two factors": (4, lambda x, u, v, o: (x * u, x, u, x * v)),
    "of a multiple": (4, lambda x, u, v, o: (x, u, x * u, (x * u) * v)),
    "twice": (4, lambda x, u, v, o: (x, u, x, x * u)),
}


class Ranking(nn.Module):
    """An MLP over what a case makes of `count` items and a user."""

    def __init__(self, case: str, count: int) -> None:
        super().__init__()
        blocks, self.features = CASES[case]
        self.count = count
        self.layers = nn.Sequential(nn.Linear(blocks * WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))

    def forward(self, user: Tensor, item: Tensor, other: Tensor) -> Tensor:
        u, v = (each.unsqueeze(1).expand(-1, self.count, -1) for each in (user, user.abs() + 1))
        scores: Tensor = self.layers(torch.cat(self.features(item, u, v, other), -1)).squeeze(-1)
        return scores


def lowered(
    case: str, path: Path, *, count: int = 40, compressed: bool = False
) -> tuple[Counter[str], float]:
    """The ops of the file, and how far its scores are from the module's."""
    torch.manual_seed(0)
    module: nn.Module = Ranking(case, count).eval().requires_grad_(False)
    codes: dict[str, Any] = {}
    if compressed:
        module, found = compress(module, Plan(tensors={"layers.0.weight": Linear()}))
        codes = dict(found)
    shapes: dict[str, tuple[str | int, ...]] = {
        "user": ("batch", WIDTH),
        "item": ("batch", count, WIDTH),
        "other": ("batch", count, WIDTH),
    }
    inputs = tuple(
        Feature(name=name, kind="dense", dtype="float32", shape=shape) for name, shape in shapes.items()
    )
    output = Output(name="scores", meaning="score", shape=("batch", count))
    contract = Contract(
        functions={"main": Signature(inputs=inputs, outputs=(output,))}, dims={"batch": Dim(max=4)}
    )
    probes = [
        {name: torch.randn(batch, *shape[1:]) for name, shape in shapes.items()}  # type: ignore[arg-type]
        for batch in (2, 3, 1)
    ]
    to_onnx(capture(module, contract, "main", probes), path, tensors=codes)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    taken = {each.name for each in session.get_inputs()}
    gaps = [
        np.abs(
            session.run(None, {name: each.numpy() for name, each in probe.items() if name in taken})[0]
            - module(**probe).numpy()
        ).max()
        for probe in probes
    ]
    return Counter(node.op_type for node in onnx.load(path).graph.node), float(max(gaps))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_scores_stay_and_no_multiple_is_joined(case: str, compressed: bool, tmp_path: Path) -> None:
    """Multiples are sums of weights, a column of ones stands for what all rows share, and scores stay."""
    ops, gap = lowered(case, tmp_path / "x.onnx", compressed=compressed)
    assert ops["Pad"] == 1
    assert gap < 2e-6


def test_a_factor_that_is_taken_wrongly_shows_in_the_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were one factor taken for another, the comparison would say so."""
    real, seen = onnx_products._multiple_of, list[str]()

    def broken(*args: Any) -> tuple[str | None, str | None]:
        base, factor = real(*args)
        if factor is not None:
            seen.append(factor)
        return base, seen[0] if factor is not None else None

    monkeypatch.setattr(onnx_products, "_multiple_of", broken)
    assert lowered("two factors", tmp_path / "x.onnx")[1] > 1e-2


@pytest.mark.parametrize(("case", "count"), [("factorized", 8), ("others", 31)], ids=["8 items", "31 items"])
def test_few_rows_keep_their_product(case: str, count: int, tmp_path: Path) -> None:
    """Weights of a batch's own cost more than they save where few rows meet them."""
    ops, gap = lowered(case, tmp_path / "x.onnx", count=count)
    assert ops["Pad"] == 0
    assert gap < 2e-6


def test_differences_stay_before_the_product(tmp_path: Path) -> None:
    """A difference of large numbers is exact only where it is taken first."""
    ops, _ = lowered("target attention", tmp_path / "x.onnx")
    assert ops["Sub"] == 1
