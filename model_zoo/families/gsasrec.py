"""gSASRec: SASRec that learns from few negatives without overconfidence (Petrov and Macdonald, 2023).

    L = -1 / (k + 1) (ln σ(s⁺)^β + Σ_k ln(1 - σ(s⁻))),    β = α (t (1 - 1/α) + 1/α),    α = k / (|I| - 1)

The k negatives of a place are drawn evenly from all items but the one that follows; α is the share of them
that is drawn. As it is small, plain cross entropy (t = 0, so β = 1) takes for certain what is plausible,
and no longer tells the best items apart. At t = 1 σ(s) is the probability that an item follows.

Two things differ from the paper, and not in which order is best. s is a score less ln(|I| - 1), so that
training begins where all items are as likely; else it first learns that none is, and stays long with what is
popular. And L is taken k + 1 times, so that its slopes are not lost beside Adam's ε.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.sasrec import SASRec
from pocketrec.model_zoo.training.grid import to_grid
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.next_item import NextItem, fit_next_item
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=28, patience=12, every=2, learning_rate=2e-3, weight_decay=0.01)
BATCH_SIZE = 32
DROPOUT = 0.3
NEGATIVES = 128  # k of the paper
CALIBRATION = 0.75  # t of the paper


def gbce_loss(
    net: NextItem, windows: Tensor, negatives: int = NEGATIVES, calibration: float = CALIBRATION
) -> Tensor:
    """The mean generalised binary cross entropy, gBCE, of every item of `windows` `[B, T + 1]`."""
    history, following = windows[:, :-1], windows[:, 1:].long()
    real = (history != 0) & (following != 0)
    scores, chosen = net.score(net.encode(history)[real]), following[real]
    others = scores.shape[-1] - 2
    shifted = scores - math.log(others)
    positive = F.logsigmoid(shifted.gather(1, chosen[:, None])[:, 0])
    negative = F.logsigmoid(-shifted.gather(1, unlike(chosen, others, negatives))).sum(dim=1)
    return -(power_of(negatives / others, calibration) * positive + negative).mean()


def power_of(share: float, calibration: float) -> float:
    """β: 1 where `calibration` t is 0, and where t is 1 the `share` α of the negatives that is drawn."""
    return share * (calibration * (1 - 1 / share) + 1 / share)


def unlike(chosen: Tensor, others: int, count: int) -> Tensor:
    """For each id of `chosen` `[n]` ids of the `others` from 1, drawn evenly, `[n, count]`."""
    drawn = torch.randint(1, others + 1, (len(chosen), count))
    return drawn + (drawn >= chosen[:, None]).long()


def model(
    *,
    num_items: int,
    max_length: int = movielens.HISTORY_LENGTH,
    dim: int = 64,
    heads: int = 2,
    layers: int = 2,
    dropout: float = 0.0,
) -> SASRec:
    """A SASRec in eval mode with random weights: nothing but its training is another."""
    return SASRec(num_items, max_length, dim, heads, layers, dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> SASRec:
    """A gSASRec trained on MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1, dropout=DROPOUT)
    fit_next_item(
        net,
        movielens.sequences(),
        movielens.leave_one_out(split="valid"),
        schedule=schedule,
        batch_size=BATCH_SIZE,
        run=run,
        loss=gbce_loss,
    )
    to_grid(net)
    return net
