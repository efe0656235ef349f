"""What runs here leaves the user's process as it was, and two threads may convert at once."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
from onnxscript.rewriter import _matcher
from torch import Tensor, nn
from tqdm import tqdm

import pocketrec
from pocketrec.errors import PocketrecError
from pocketrec.pipeline.verify import verify

IDS = torch.tensor([[1, 2, 0], [3, 4, 5]])
_LOGS = (None, "torch", "torch.onnx", "torch.export", "onnxscript", "onnx_ir", "coremltools", "pocketrec")


class Scores(nn.Module):
    """Attention, which has a fused path to keep off, and a bias, which coremltools would write anew."""

    def __init__(self, items: int) -> None:
        super().__init__()
        self.item = nn.Embedding(items, 8)
        self.mix = nn.TransformerEncoderLayer(8, 2, 8, dropout=0.0, batch_first=True)

    def forward(self, history: Tensor) -> Tensor:
        scores: Tensor = self.mix(self.item(history)).mean(1) @ self.item.weight.T
        return scores


class Draws(nn.Module):
    """Asks every generator that Python code can ask."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rand(1) + random.random() + float(np.random.rand())  # noqa: NPY002


SCORES = Scores(20).eval()


def state() -> dict[str, Any]:
    """What belongs to the user's process, or to libraries that it shares with us."""
    return {
        "torch generator": torch.random.get_rng_state().tolist(),
        "numpy generator": [str(each) for each in np.random.get_state()],  # noqa: NPY002
        "python generator": random.getstate(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "warnings": list(warnings.filters),
        "logs": [(name, logging.getLogger(name).level) for name in _LOGS],
        "grad": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "fused attention": torch.backends.mha.get_fastpath_enabled(),
        "path": list(sys.path),
        "lowerings": dict(_TORCH_OPS_REGISTRY.name_to_func_mapping),
        "passes": dict(PASS_REGISTRY.passes),
        "pipeline": list(ct.PassPipeline().passes),
        "bars": vars(tqdm)["__init__"],
        "matcher": _matcher.math,
        "folder": Path.cwd(),
    }


@pytest.fixture
def unchanged() -> Callable[[], None]:
    before = state()

    def check() -> None:
        after = state()
        assert {name for name in before if before[name] != after[name]} == set()

    return check


def test_a_conversion_leaves_the_process_as_it_was(tmp_path: Path, unchanged: Callable[[], None]) -> None:
    pocketrec.convert_module(SCORES, (IDS,), tmp_path / "out")
    unchanged()


def test_a_refused_conversion_leaves_the_process_as_it_was(
    tmp_path: Path, unchanged: Callable[[], None]
) -> None:
    with pytest.raises(PocketrecError, match="random"):
        pocketrec.convert_module(Draws().eval(), (torch.ones(2, 3),), tmp_path / "out")
    unchanged()


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.long
def test_two_threads_convert_what_one_does(tmp_path: Path) -> None:
    modules = {"a": SCORES, "b": Scores(31).eval()}

    def convert(run: str, name: str) -> dict[str, str]:
        folder = tmp_path / run / name
        pocketrec.convert_module(modules[name], (IDS,), folder)
        return digests(folder)

    alone = {name: convert("alone", name) for name in modules}
    with ThreadPoolExecutor(2) as pool:
        running = {name: pool.submit(convert, "together", name) for name in modules}
        together = {name: each.result() for name, each in running.items()}
    assert any(name.endswith(".onnx") for name in alone["a"])
    assert any("mlpackage" in name for name in alone["a"])
    assert together == alone


MODEL = """
import numpy as np
import torch
from torch import nn
from pocketrec.evaluation import RankingData

class Mean(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.item = nn.Embedding(40, 8, padding_idx=0)

    def forward(self, history):
        return self.item(history).mean(1) @ self.item.weight.T

def data():
    np.random.seed(0)
    return RankingData(
        inputs={"history": np.random.randint(1, 40, (24, 5)).astype(np.int32)},
        positives=np.random.randint(1, 40, 24),
        seen_ids=np.zeros(0, np.int64), seen_offsets=np.zeros(25, np.int64), catalogue={},
    )
"""
RECIPE = """
schema = 1
name = "mean"
version = "1.0"
model = {factory = "model.py:Mean"}
targets = {onnx = {}}
evaluate = {data = "model.py:data", kind = "ranking", output = "scores"}
latency = {warmup = 1, runs = 10, threads = 1}
[contract]
dims = {batch = {max = 8}}
vocabularies = {item = {tokens = "items.txt", padding_id = 0}}
[[contract.functions.main.inputs]]
name = "history"
kind = "id_sequence"
shape = ["batch", 5]
vocabulary = "item"
padding_side = "left"
out_of_vocabulary = "padding"
[[contract.functions.main.outputs]]
name = "scores"
meaning = "score"
shape = ["batch", 40]
vocabulary = "item"
"""


def test_a_build_and_a_verification_leave_the_process_as_it_was(
    tmp_path: Path, unchanged: Callable[[], None]
) -> None:
    """Even where the recipe's own functions seed the generators."""
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "items.txt").write_text("".join(f"item {number}\n" for number in range(40)))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    pocketrec.build(tmp_path / "recipe.toml", out=tmp_path / "bundle")
    unchanged()
    assert verify(tmp_path / "bundle").passed
    unchanged()
