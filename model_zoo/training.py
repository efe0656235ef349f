"""What the three families train with: one loop with early stopping, and the metric that stops it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pocketrec.evaluation import Arrays, RankingData, batches

Scorer = Callable[[dict[str, Tensor]], Tensor]
Progress = Callable[[int, int, float], None]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long to train, and how fast.

    Attributes:
        epochs: at most so many.
        patience: epochs without a better validation metric after which training ends.
        every: epochs between two looks at the validation metric.
        learning_rate: Adam's, at its peak; it falls to a tenth along a half cosine.
        weight_decay: AdamW's, for matrices and tables.
    """

    epochs: int
    patience: int
    every: int = 1
    learning_rate: float = 1e-3
    weight_decay: float = 0.0


def fit(
    module: nn.Module,
    *,
    losses: Callable[[], Iterable[Tensor]],
    measure: Callable[[], float],
    schedule: Schedule,
    progress: Progress,
) -> float:
    """The best validation metric; `module` is left in eval mode with the weights that reached it.

    Args:
        module: trained in place.
        losses: one epoch's losses, one a step; each is taken before the next is asked for.
        measure: the validation metric, larger is better; runs in eval mode without gradients.
        schedule: when to stop.
        progress: told the epoch, the number of epochs and the best metric so far.
    """
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, schedule.epochs, eta_min=schedule.learning_rate / 10
    )
    best, best_epoch, best_state = -np.inf, 0, copy.deepcopy(module.state_dict())
    for epoch in range(1, schedule.epochs + 1):
        _train_epoch(module, optimizer, losses)
        decay.step()
        if epoch % schedule.every == 0:
            metric = _measured(module, measure)
            if metric > best:
                best, best_epoch, best_state = metric, epoch, copy.deepcopy(module.state_dict())
        progress(epoch, schedule.epochs, best)
        if epoch - best_epoch >= schedule.patience:
            break
    module.load_state_dict(best_state)
    module.eval()
    return float(best)


def _train_epoch(
    module: nn.Module, optimizer: torch.optim.Optimizer, losses: Callable[[], Iterable[Tensor]]
) -> None:
    module.train()
    for loss in losses():
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _measured(module: nn.Module, measure: Callable[[], float]) -> float:
    module.eval()
    with torch.no_grad():
        return measure()


def score_all(scorer: Scorer, inputs: Arrays, size: int = 256) -> Floats:
    """The scorer's outputs for all rows, `size` rows at a time, float32 `[rows, ...]`."""
    with torch.no_grad():
        parts = [scorer(to_tensors(batch)).float().numpy() for batch in batches(inputs, size)]
    return np.concatenate(parts)


def to_tensors(arrays: Arrays) -> dict[str, Tensor]:
    """The arrays as tensors under the same names."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def shuffled(rows: int, size: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
    """Row numbers in random order, `size` at a time, each once."""
    order = rng.permutation(rows)
    for start in range(0, rows, size):
        yield order[start : start + size]


def hit_rate_and_ndcg(scores: Floats, data: RankingData, k: int = 10) -> tuple[float, float]:
    """HR@k and NDCG@k of `scores` `[users, items]`, with seen and ignored ids left out.

    One positive a user, so NDCG@k is the mean of 1 / log2(rank + 1) over the hits (Järvelin and
    Kekäläinen, 2002). An item with the same score as the positive counts as ranked above it.
    """
    rank = np.array([_rank(row, user, data) for user, row in enumerate(scores)])
    hit = rank <= k
    return float(hit.mean()), float((hit / np.log2(rank + 1)).mean())


def _rank(row: Floats, user: int, data: RankingData) -> int:
    positive = data.positives[user]
    at_least = row >= row[positive]
    at_least[data.seen(user)] = False
    at_least[list(data.ignored_ids)] = False
    at_least[positive] = True
    return int(at_least.sum())
