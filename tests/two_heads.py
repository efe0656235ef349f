"""A model of two heads, each with an evaluation of its own, as a recipe in a folder."""

from __future__ import annotations

from pathlib import Path

MODEL = """
import numpy as np, torch
from torch import nn
from pocketrec.evaluation import ClassificationData

OFFERS, USERS, ROWS = 40, 60, 400

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.offer = nn.Embedding(OFFERS, 8)
        self.click = nn.Embedding(USERS, 8)
        self.buy = nn.Embedding(USERS, 8)

    def forward(self, user, offer):
        of = self.offer(offer)
        return torch.sigmoid((self.click(user) * of).sum(1)), torch.sigmoid((self.buy(user) * of).sum(1))

def data(head, seed=0):
    rng = np.random.default_rng(seed)
    inputs = {
        "user": rng.integers(0, USERS, ROWS).astype(np.int32),
        "offer": rng.integers(0, OFFERS, ROWS).astype(np.int32),
    }
    with torch.no_grad():
        found = Model()(*(torch.from_numpy(each) for each in inputs.values()))
    likely = found[("click", "buy").index(head)].numpy()
    return ClassificationData(inputs=inputs, labels=(rng.random(ROWS) < likely).astype(np.float32))
"""
RECIPE = """
schema = 1
name = "heads"
version = "1.0.0"
[model]
factory = "model.py:Model"
[contract.dims.batch]
max = 8
[contract.vocabularies.user]
tokens = "users.txt"
[contract.vocabularies.offer]
tokens = "offers.txt"
[[contract.functions.main.inputs]]
name = "user"
kind = "id"
shape = ["batch"]
vocabulary = "user"
[[contract.functions.main.inputs]]
name = "offer"
kind = "id"
shape = ["batch"]
vocabulary = "offer"
[[contract.functions.main.outputs]]
name = "click"
meaning = "probability"
shape = ["batch"]
[[contract.functions.main.outputs]]
name = "purchase"
meaning = "probability"
shape = ["batch"]
[[evaluate]]
data = "model.py:data"
arguments = { head = "click" }
kind = "classification"
output = "click"
metrics = ["ece"]
[[evaluate]]
name = "buy"
data = "model.py:data"
arguments = { head = "buy" }
kind = "classification"
output = "purchase"
metrics = ["ece"]
[evaluate.slices.user]
by = "user"
edges = [30]
[latency]
warmup = 0
runs = 10
"""


def write(folder: Path, more: str = "", *, target: str = "onnx") -> Path:
    """The path of the recipe in the folder, beside the files that it names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(MODEL)
    (folder / "users.txt").write_text("".join(f"user {number}\n" for number in range(60)))
    (folder / "offers.txt").write_text("".join(f"offer {number}\n" for number in range(40)))
    (folder / "recipe.toml").write_text(f"{RECIPE}[targets.{target}]\n{more}")
    return folder / "recipe.toml"
