"""A recommender by the mean of a history, as a recipe and the files that it names."""

from __future__ import annotations

from pathlib import Path

ITEMS = 30
_MODEL = """
import numpy as np, torch
from torch import nn
from pocketrec.evaluation import RankingData

class Mean(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.item = nn.Embedding(ITEMS, 8, padding_idx=0)
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
        inputs={"history": rng.integers(1, ITEMS, (USERS, 5)).astype(np.int32)},
        positives=rng.integers(1, ITEMS, USERS),
    )
"""
_RECIPE = """
schema = 1
name = "mean"
version = "1.0"
model = {factory = "model.py:Mean"}
[contract.dims.batch]
max = BATCH
[contract.vocabularies.item]
tokens = "items.txt"
padding_id = 0
[[contract.functions.main.inputs]]
name = "history"
kind = "id_sequence"
shape = ["batch", 5]
vocabulary = "item"
HISTORY[[contract.functions.main.outputs]]
name = "scores"
meaning = "score"
shape = ["batch", ITEMS]
vocabulary = "item"
[evaluate]
data = "model.py:data"
kind = "ranking"
output = "scores"
[latency]
warmup = 0
runs = 10
"""


def model_of(*, items: int = ITEMS, users: int = 24) -> str:
    """The module's file, with evaluation data of so many users."""
    return _MODEL.replace("ITEMS", str(items)).replace("USERS", str(users))


def recipe_of(*, items: int = ITEMS, batch: int = 8, history: str = "") -> str:
    """The recipe without targets, with more lines of its input."""
    return _RECIPE.replace("ITEMS", str(items)).replace("BATCH", str(batch)).replace("HISTORY", history)


MODEL, RECIPE = model_of(), recipe_of()


def write_mean(
    folder: Path,
    targets: str = "[targets.onnx]",
    *,
    model: str = MODEL,
    recipe: str = RECIPE,
    items: int = ITEMS,
) -> Path:
    """The path of the recipe in the folder, with the lines of its targets."""
    (folder / "model.py").write_text(model)
    (folder / "items.txt").write_text("".join(f"item {number}\n" for number in range(items)))
    (folder / "recipe.toml").write_text(f"{recipe}{targets}\n")
    return folder / "recipe.toml"
