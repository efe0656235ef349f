"""A recommender whose table is large for these tests, as a checkpoint and as a recipe's model source."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.capture.streamed import capture_streamed
from pocketrec.recipe import ModelSource
from pocketrec.source import tables
from pocketrec.source.factory import call_factory
from pocketrec.source.streamed import Stubbed, load_streamed

# Graphs and syntax trees are many small objects, and what is imported stays: a tenth of the suite's time was
# spent on looking for cycles among them.
gc.set_threshold(20_000)

ROWS, WIDTH = 2500, 16  # more rows than a stand-in has, and no whole number of chunks
STREAM_BYTES = 4 * ROWS * WIDTH

FACTORY = """
import torch
from torch import nn

class Retrieval(nn.Module):
    def __init__(self, rows, width):
        super().__init__()
        self.item = nn.Embedding(rows, width, padding_idx=0)
        self.user = nn.Linear(width, width)
        self.register_buffer("shift", torch.arange(width).float() / width, persistent=False)

    def forward(self, history):
        user = torch.tanh(self.user(self.item(history).mean(1) + self.shift))
        return torch.topk(user @ self.item.weight.T, 5)

def make(rows, width):
    return Retrieval(rows, width)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One model, in memory and on disk."""

    folder: Path
    source: ModelSource
    module: nn.Module
    contract: Contract
    probes: list[dict[str, Tensor]]

    def load(self) -> Stubbed:
        """The module with a stub for its table."""
        return load_streamed(self.source, base=self.folder)


def contract_for(rows: int) -> Contract:
    history = Feature(
        name="history",
        kind="id_sequence",
        shape=("batch", 4),
        vocabulary="item",
        padding_side="left",
        out_of_vocabulary="padding",
    )
    outputs = (
        Output(name="scores", meaning="top_k_scores", shape=("batch", 5)),
        Output(name="ids", meaning="top_k_ids", dtype="int32", shape=("batch", 5), vocabulary="item"),
    )
    return Contract(
        functions={"main": Signature(inputs=(history,), outputs=outputs)},
        dims={"batch": Dim(max=4)},
        vocabularies={"item": VocabularySpec(size=rows, padding_id=0)},
    )


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("streamed")
    (folder / "factory.py").write_text(FACTORY)
    source = ModelSource(
        factory="factory.py:make",
        weights="weights.safetensors",
        arguments={"rows": ROWS, "width": WIDTH},
        stream_mb=STREAM_BYTES / 1e6,
    )
    torch.manual_seed(0)
    made = call_factory(source.factory, base=folder, key="model.factory", arguments=source.arguments)
    module = made.eval().requires_grad_(False)
    save_file(module.state_dict(), folder / "weights.safetensors")
    rng = np.random.default_rng(0)
    probes = [
        {"history": torch.from_numpy(rng.integers(0, ROWS, (batch, 4)).astype(np.int32))} for batch in (1, 3)
    ]
    return Case(folder=folder, source=source, module=module, contract=contract_for(ROWS), probes=probes)


@pytest.fixture(scope="session")
def streamed_capture(case: Case) -> Capture:
    return capture_streamed(case.load(), case.contract, "main", case.probes)


@pytest.fixture(scope="session")
def whole_capture(case: Case) -> Capture:
    return capture(case.module, case.contract, "main", case.probes)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CHUNK_BYTES", 4 * WIDTH * 64)
