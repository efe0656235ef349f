"""SASRec with 4-bit tables: rounded after training, distilled, or trained on with the rounding in place.

    python benchmarks/quantized_training.py [--epochs N] [--seeds N] [--json]

Five ways to the same 4-bit codes of the item and position tables, from the zoo's weights: rounding them;
distilling them on the validation inputs, without labels; training on in float32 and rounding; training on
with straight-through rounding; the same with learned steps. NDCG@10 on the validation and the test item of
all users, and the share of the ten best of the test inputs that stays, mean of seeds.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import torch

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.loop import hit_rate_and_ndcg, score_all, shuffled
from pocketrec.model_zoo.training.next_item import next_item_loss, training_windows
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.quantize import Plan, compress, finish, prepare_training
from pocketrec.quantize.distillation import Lesson, distil
from pocketrec.quantize.reference import with_values
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.source.weights import load_module

INT4 = Linear(bits=4, clipping="search")
PLAN = Plan(tensors={"item_embedding.weight": INT4, "position_embedding.weight": INT4})
LEARNING_RATE, DROPOUT, BATCH_SIZE = 3e-4, 0.3, 128
STEPS, HELD = 1200, 117  # of distillation, as in a build


def train(net: Any, epochs: int, seed: int) -> None:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    histories = [each[:-2] for each in movielens.sequences()]
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    net.train()
    for each in net.modules():
        if isinstance(each, torch.nn.Dropout):
            each.p = DROPOUT
    for epoch in range(epochs):
        windows = training_windows(histories, net.max_length + 1, rng)
        for rows in shuffled(len(windows), BATCH_SIZE, rng):
            loss = next_item_loss(net, torch.from_numpy(windows[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"  epoch {epoch + 1}", file=sys.stderr)
    net.eval()


def scores_of(net: Any, split: Any) -> Any:
    """The data of a split, and the scores of all items."""
    data = movielens.leave_one_out(split=split)
    with torch.no_grad():
        return data, score_all(lambda batch: net(batch["history"]), data.inputs)


def figures_of(net: Any, original: Any) -> list[float]:
    """NDCG@10 on both splits, and what share of the original's ten best stays."""
    valid, (data, found) = scores_of(net, "valid"), scores_of(net, "test")
    best, wanted = (np.argsort(-each, axis=1)[:, :10] for each in (found, scores_of(original, "test")[1]))
    overlap = np.mean([len(np.intersect1d(one, other)) / 10 for one, other in zip(best, wanted, strict=True)])
    return [hit_rate_and_ndcg(valid[1], valid[0])[1], hit_rate_and_ndcg(found, data)[1], float(overlap)]


class Listed(torch.nn.Module):
    """The scores as a lesson has them."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, history: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.net(history),)


def distilled(original: Any) -> Any:
    """The rounded module with its codes tuned on what users had before their validation items."""
    histories = movielens.leave_one_out(split="valid").inputs["history"]
    order = np.random.default_rng(0).permutation(len(histories))
    held, rest = (torch.from_numpy(histories[each]).split(64) for each in (order[:HELD], order[HELD:]))
    lesson = Lesson(
        function=Listed(original),
        batches=[(each,) for each in rest],
        held_out=[(each,) for each in held],
        lists=(True,),
    )
    _, codes = compress(original, PLAN)
    tuned = distil(original, codes, list(codes), [lesson], steps=STEPS).codes
    return with_values(original, {name: each.dequantize() for name, each in tuned.items()})


def ways(original: Any, epochs: int, seed: int) -> dict[str, Any]:
    """Name to a module with 4-bit tables."""
    found = {"rounded after training": compress(original, PLAN)[0], "distilled": distilled(original)}
    further = fresh(original)
    train(further, epochs, seed)
    found["trained on, then rounded"] = compress(further, PLAN)[0]
    for name, learn in (("trained on, rounded in the forward", False), ("the same, steps learned", True)):
        net = prepare_training(fresh(original), PLAN, learn_steps=learn)
        train(net, epochs, seed)
        found[name] = compress(finish(net), PLAN)[0]
    return found


def fresh(original: Any) -> Any:
    return copy.deepcopy(original).requires_grad_(True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    family = FAMILIES["sasrec"]
    original = load_module(load_recipe(family.recipe).model, base=family.recipe.parent)
    figures: dict[str, list[list[float]]] = {"float32, not trained on": [figures_of(original, original)]}
    for seed in range(asked.seeds):
        for name, net in ways(original, asked.epochs, seed).items():
            figures.setdefault(name, []).append(figures_of(net, original))
    means = {name: np.mean(values, axis=0).tolist() for name, values in figures.items()}
    if asked.json:
        print(
            json.dumps(
                {"epochs": asked.epochs, "seeds": asked.seeds, "ndcg@10, ndcg@10, overlap@10": means},
                indent=1,
            )
        )
        return
    print(f"{asked.epochs} epochs, {asked.seeds} seed(s)\n{'':38} valid    test   (NDCG@10)  overlap@10")
    for name, (valid, test, overlap) in means.items():
        print(f"{name:38} {valid:.4f}  {test:.4f}            {overlap:.3f}")


if __name__ == "__main__":
    main()
