"""The honest world: a small recommender, its data and its recipe, as files that saboteurs change."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.saboteurs.kit import Outcome, built

MODEL = """
import numpy as np, torch
from torch import nn
from pocketrec.evaluation import RankingData

ITEMS, LENGTH, USERS, SEED = 41, 6, 64, 0

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(SEED)
        self.item = nn.Embedding(ITEMS, 16, padding_idx=0)
        self.age = nn.Linear(1, 16)
        self.watch = nn.Linear(16, ITEMS)

    def forward(self, history, age):
        user = self.item(history).mean(1) + AGE * self.age(age)
        scores = user @ self.item.weight.T
        watch = torch.sigmoid(self.watch(user))
        return scores, watch

AGE = 1.0

def data():
    rng = np.random.default_rng(0)
    history = rng.integers(1, ITEMS, (USERS, LENGTH)).astype(np.int32)
    age = rng.uniform(-1, 1, (USERS, 1)).astype(np.float32)
    with torch.no_grad():
        scores = Model().eval()(torch.from_numpy(history), torch.from_numpy(age))[0]
    noisy = scores.numpy() + rng.gumbel(size=scores.shape) * 0.3
    noisy[:, 0] = -np.inf
    return RankingData(inputs={"history": history, "age": age}, positives=noisy.argmax(1))
"""
RECIPE = """
schema = 1
name = "small"
version = "1.0"
model = {factory = "model.py:Model"}
[contract.dims.batch]
max = 8
[contract.vocabularies.item]
tokens = "items.txt"
padding_id = 0
[[contract.functions.main.inputs]]
name = "history"
kind = "id_sequence"
shape = ["batch", 6]
vocabulary = "item"
padding_side = "left"
out_of_vocabulary = "padding"
[[contract.functions.main.inputs]]
name = "age"
kind = "dense"
dtype = "float32"
shape = ["batch", 1]
minimum = -1.0
[[contract.functions.main.outputs]]
name = "scores"
meaning = "score"
shape = ["batch", 41]
vocabulary = "item"
[[contract.functions.main.outputs]]
name = "watch"
meaning = "probability"
shape = ["batch", 41]
[evaluate]
data = "model.py:data"
kind = "ranking"
output = "scores"
k = 5
[latency]
warmup = 0
runs = 10
"""
ONNX = "[targets.onnx]\n"


def write(
    folder: Path, *, model: str = MODEL, recipe: str = RECIPE, lines: str = ONNX, tokens: int = 41
) -> Path:
    """The path of the recipe in the folder, beside the files that it names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(model)
    (folder / "items.txt").write_text("".join(f"item {number}\n" for number in range(tokens)))
    (folder / "recipe.toml").write_text(f"{recipe}{lines}")
    return folder / "recipe.toml"


def changed(text: str, *pairs: tuple[str, str]) -> str:
    """The text with words replaced, each of which it must hold."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


@cache
def _honest(model: str, lines: str) -> Outcome:
    return built(write(Path(mkdtemp(prefix="pocketrec-honest-")), model=model, lines=lines))


def honest(folder: Path, *, model: str = MODEL, lines: str = ONNX) -> Outcome:
    """The honest build, made once for all who share it, and copied into the folder."""
    found = _honest(model, lines)
    if found.path is None:
        return found
    place = folder / "bundle"
    shutil.copytree(found.path, place)
    return Outcome(said=found.said, path=place)
