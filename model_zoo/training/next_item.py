"""How models of the next item train: the softmax over the whole catalogue at every place of a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data.sequences import Ints, left_pad, training_parts
from pocketrec.model_zoo.training.loop import Schedule, fit, measured, shuffled
from pocketrec.model_zoo.training.run import Run


class NextItem(Protocol):
    """A module whose state after every place of a history scores all items."""

    max_length: int

    def encode(self, history: Tensor) -> Tensor:
        """The state after every place, `[B, T, d]`, of a left-padded history `[B, T]`."""
        ...

    def score(self, states: Tensor) -> Tensor:
        """Scores of all items, `[..., num_items + 1]`."""
        ...


def fit_next_item(
    net: nn.Module,
    sequences: Sequence[Ints],
    valid: RankingData,
    *,
    schedule: Schedule,
    batch_size: int,
    run: Run,
    loss: Callable[[NextItem, Tensor], Tensor] | None = None,
) -> float:
    """The best NDCG@10 on `valid`; `net`, a NextItem, is left in eval mode with its weights.

    Args:
        net: trained in place; called with the inputs of `valid` it gives the scores after the last place.
        sequences: each user's items, of which the last two are held out, or what `loss` takes for them.
        valid: the validation items.
        schedule: when to stop.
        batch_size: windows a step.
        run: random numbers, progress, and what is kept.
        loss: of windows `[B, T + 1]`; `next_item_loss` by default.
    """
    module: NextItem = net  # type: ignore[assignment]
    train = training_parts(sequences)

    def losses() -> Iterator[Tensor]:
        windows = training_windows(train, module.max_length + 1, run.rng)
        for rows in shuffled(len(windows), batch_size, run.rng):
            yield (loss or next_item_loss)(module, torch.from_numpy(windows[rows]))

    def measure() -> float:
        return measured(lambda batch: net(**batch), valid)[1]

    return fit(net, losses=losses, measure=measure, schedule=schedule, run=run)


def next_item_loss(net: NextItem, windows: Tensor) -> Tensor:
    """The mean cross entropy of every item of `windows` `[B, T + 1]` after what came before it."""
    history, following = windows[:, :-1], windows[:, 1:].long()
    real = (history != 0) & (following != 0)
    return F.cross_entropy(net.score(net.encode(history)[real]), following[real])


def training_windows(sequences: Sequence[Ints], length: int, rng: np.random.Generator) -> Ints:
    """Every sequence cut into left-padded windows that overlap by one id, the cuts at random places."""
    pieces = []
    for each in sequences:
        end = len(each)
        if end > length:
            pieces.append(each[-length:])
            end -= int(rng.integers(1, length))
        while end > 1:
            pieces.append(each[max(0, end - length) : end])
            end -= length - 1
    return left_pad(pieces, length)
