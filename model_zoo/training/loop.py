"""What the families train with: one loop that stops early and can be gone on with, and the metric for it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pocketrec.errors import CheckFailed, UsageError
from pocketrec.evaluation import Arrays, RankingData, batches
from pocketrec.model_zoo.training.run import Run

Scorer = Callable[[dict[str, Tensor]], Tensor]
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


@dataclass(slots=True, kw_only=True)
class _Best:
    """The best epoch so far, and its weights."""

    metric: float
    epoch: int
    weights: dict[str, Tensor]


def fit(
    module: nn.Module,
    *,
    losses: Callable[[], Iterable[Tensor]],
    measure: Callable[[], float],
    schedule: Schedule,
    run: Run,
    stage: str = "fit",
) -> float:
    """The best validation metric; `module` is left in eval mode with the weights that reached it.

    Goes on after the last whole epoch that `run` has kept of the stage, to the same bits as without a stop.

    Args:
        module: trained in place.
        losses: one epoch's losses, one a step; each is taken before the next is asked for.
        measure: the validation metric, larger is better; runs in eval mode without gradients.
        schedule: when to stop.
        run: random numbers, progress, and where an unfinished training is kept.
        stage: the name of this loop where a family trains in several.

    Raises:
        UsageError: by the schedule nothing would be trained, or looked at before it ends.
        CheckFailed: a loss or a metric is no finite number: the training diverged.
    """
    _check_schedule(schedule)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, schedule.epochs, eta_min=schedule.learning_rate / 10
    )
    parts: dict[str, Any] = {"module": module, "optimizer": optimizer, "decay": decay}
    best = _Best(metric=-np.inf, epoch=0, weights=copy.deepcopy(module.state_dict()))
    done = _resume(run, stage, parts, best)
    for epoch in range(done + 1, schedule.epochs + 1):
        if done - best.epoch >= schedule.patience:
            break
        _train_epoch(module, optimizer, losses)
        decay.step()
        if epoch % schedule.every == 0 or epoch == schedule.epochs:
            metric = _measured(module, measure)
            if metric > best.metric:
                best = _Best(metric=metric, epoch=epoch, weights=copy.deepcopy(module.state_dict()))
        run.progress(epoch, schedule.epochs, best.metric)
        done = epoch
        states = {name: each.state_dict() for name, each in parts.items()}
        run.keep(stage, {**states, "best": asdict(best), "epoch": epoch})
    module.load_state_dict(best.weights)
    module.eval()
    return float(best.metric)


def _check_schedule(schedule: Schedule) -> None:
    """Checks that an epoch is trained and looked at; else the weights would be those that it began with."""
    epochs, every, patience = schedule.epochs, schedule.every, schedule.patience
    if epochs < 1 or not 1 <= every <= patience:
        raise UsageError(
            f"schedule: epochs is {epochs}, every {every} and patience {patience}; expected epochs from 1, "
            "every from 1, and a patience of at least every"
        )
    rate, decay = schedule.learning_rate, schedule.weight_decay
    if not 0 < rate < math.inf or not 0 <= decay < math.inf:
        raise UsageError(
            f"schedule: learning_rate is {rate:g} and weight_decay {decay:g}; expected finite numbers, the "
            "first above 0, the other from 0"
        )


def _resume(run: Run, stage: str, parts: Mapping[str, Any], best: _Best) -> int:
    """The last epoch that was kept, its state put back into the parts; 0 where none was."""
    kept = run.load(stage)
    if kept is None:
        return 0
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    best.metric, best.epoch, best.weights = (kept["best"][name] for name in ("metric", "epoch", "weights"))
    return int(kept["epoch"])


def _train_epoch(
    module: nn.Module, optimizer: torch.optim.Optimizer, losses: Callable[[], Iterable[Tensor]]
) -> None:
    module.train()
    for loss in losses():
        _check_finite("the loss", loss.item())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _measured(module: nn.Module, measure: Callable[[], float]) -> float:
    module.eval()
    with torch.no_grad():
        metric = measure()
    _check_finite("the validation metric", metric)
    return metric


def _check_finite(what: str, value: float) -> None:
    if not math.isfinite(value):
        raise CheckFailed(
            f"train: {what} is {value}, so the training diverged; lower the learning rate, or pass another "
            "seed"
        )


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
    Kekäläinen, 2002). An item with the same score as the positive counts as ranked above it,
    as does one whose score, or the positive's, is no number.
    """
    return _hit_rate_and_ndcg([_rank(row, user, data) for user, row in enumerate(scores)], k)


def measured(scorer: Scorer, data: RankingData, k: int = 10, size: int = 256) -> tuple[float, float]:
    """HR@k and NDCG@k of the scorer on the data, `size` users at a time and never all at once."""
    ranks: list[int] = []
    with torch.no_grad():
        for batch in batches(data.inputs, size):
            rows = scorer(to_tensors(batch)).float().numpy()
            ranks += [_rank(row, user, data) for user, row in enumerate(rows, start=len(ranks))]
    return _hit_rate_and_ndcg(ranks, k)


def _hit_rate_and_ndcg(ranks: Sequence[int], k: int) -> tuple[float, float]:
    rank = np.array(ranks)
    hit = rank <= k
    return float(hit.mean()), float((hit / np.log2(rank + 1)).mean())


def _rank(row: Floats, user: int, data: RankingData) -> int:
    positive = data.positives[user]
    at_least = ~(row < row[positive])  # beside what is no number nothing ranks higher
    at_least[data.seen(user)] = False
    at_least[list(data.ignored_ids)] = False
    at_least[positive] = True
    return int(at_least.sum())
