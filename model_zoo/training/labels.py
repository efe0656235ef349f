"""How models of a label train: cross entropy on every head, and a decay of the rows that a batch reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from pocketrec.evaluation import Arrays, ClassificationData
from pocketrec.model_zoo.training.loop import Floats, Schedule, fit, score_all, shuffled, to_tensors
from pocketrec.model_zoo.training.run import Run

TABLE_DECAY = 2e-4  # what keeps ids with few examples near zero
_SMOOTHING = 10.0  # examples


class Labelled(Protocol):
    """A module that says what its logits come from."""

    def scored(self, **inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[B]` or `[B, heads]`, and the table rows that were read, `[B, rows, dim]`."""
        ...


def fit_labels(
    net: nn.Module,
    train: Sequence[ClassificationData],
    valid: Sequence[ClassificationData],
    *,
    schedule: Schedule,
    batch_size: int,
    run: Run,
    table_decay: float = TABLE_DECAY,
) -> float:
    """The best AUC on `valid`, the mean of the heads'; `net`, a Labelled, is left in eval mode with the best.

    Args:
        net: trained in place.
        train: the same examples with the labels of each head.
        valid: the same for validation.
        schedule: when to stop.
        batch_size: examples a step.
        run: random numbers, progress, and what is kept.
        table_decay: times the sum of squares of the rows that an example reads.
    """
    module: Labelled = net  # type: ignore[assignment]
    inputs, labels = to_tensors(train[0].inputs), torch.from_numpy(heads(train))
    expected = heads(valid)

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(labels), batch_size, run.rng):
            batch = {name: each[rows] for name, each in inputs.items()}
            yield label_loss(module, batch, labels[rows], table_decay)

    def measure() -> float:
        return float(roc_auc_score(expected, probabilities(module, valid[0].inputs)))

    return fit(net, losses=losses, measure=measure, schedule=schedule, run=run)


def label_loss(net: Labelled, batch: Mapping[str, Tensor], labels: Tensor, table_decay: float) -> Tensor:
    """The mean over examples of the cross entropy, summed over heads, and of the decay of their rows."""
    logits, rows = net.scored(**batch)
    error = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return error.reshape(len(labels), -1).sum(1).mean() + table_decay * rows.square().sum((1, 2)).mean()


def probabilities(net: Labelled, inputs: Arrays) -> Floats:
    """The probabilities of every row, float32 `[rows]`, or `[rows, heads]` where there are several."""
    return score_all(lambda batch: torch.sigmoid(net.scored(**batch)[0]), inputs, size=4096)


def heads(data: Sequence[ClassificationData]) -> Floats:
    """The labels of all heads, `[examples, heads]`, or `[examples]` of one."""
    return np.stack([each.labels for each in data], axis=-1) if len(data) > 1 else data[0].labels


def item_means(train: ClassificationData, inputs: Arrays, *, item: str = "item") -> Floats:
    """The share of positives of each row's item in `train`, drawn towards the mean of all: the baseline."""
    ids, mean = train.inputs[item].astype(np.int64), train.labels.mean()
    size = int(max(ids.max(), inputs[item].max())) + 1
    positives = np.bincount(ids, weights=train.labels, minlength=size) + _SMOOTHING * mean
    shares = positives / (np.bincount(ids, minlength=size) + _SMOOTHING)
    found: Floats = shares[inputs[item]].astype(np.float32)
    return found
