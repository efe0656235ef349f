"""A recommender of thirty items by the mean of a history, as a recipe and the files that it names."""

from __future__ import annotations

from pathlib import Path

MODEL = """
import numpy as np, torch
from torch import nn
from pocketrec.evaluation import RankingData

class Mean(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.item = nn.Embedding(30, 8, padding_idx=0)
        self.seen = None

    def forward(self, history):
        user = self.item(history).mean(1)
        # HERE
        return user @ self.item.weight.T

def half():
    return Mean().half()

def data():
    rng = np.random.default_rng(0)
    return RankingData(
        inputs={"history": rng.integers(1, 30, (24, 5)).astype(np.int32)}, positives=rng.integers(1, 30, 24)
    )
"""
RECIPE = """
schema = 1
name = "mean"
version = "1.0"
model = {factory = "model.py:Mean"}
[contract.dims.batch]
max = 8
[contract.vocabularies.item]
tokens = "items.txt"
padding_id = 0
[[contract.functions.main.inputs]]
name = "history"
kind = "id_sequence"
shape = ["batch", 5]
vocabulary = "item"
[[contract.functions.main.outputs]]
name = "scores"
meaning = "score"
shape = ["batch", 30]
vocabulary = "item"
[evaluate]
data = "model.py:data"
kind = "ranking"
output = "scores"
[latency]
warmup = 0
runs = 10
"""


def write_mean(
    folder: Path, targets: str = "[targets.onnx]", *, model: str = MODEL, recipe: str = RECIPE
) -> Path:
    """The path of the recipe in the folder, with the lines of its targets."""
    (folder / "model.py").write_text(model)
    (folder / "items.txt").write_text("".join(f"item {number}\n" for number in range(30)))
    (folder / "recipe.toml").write_text(f"{recipe}{targets}\n")
    return folder / "recipe.toml"
