"""gSASRec: SASRec trained with many negatives and a loss that stays calibrated (Petrov and Macdonald, 2023).

The full softmax needs a score of every item at every position, which a large catalogue cannot pay. Negatives
alone make a model overconfident; generalised binary cross entropy (equation 10) undoes that:

    L = -1/(k + 1) · (log σ(s⁺)^β + Σ_k log(1 - σ(s⁻_k))),  β = α(t(1 - 1/α) + 1/α)      (equation 12)

with k negatives of N items, α = k/(N - 1), and t between 0 (plain) and 1 (calibrated in full).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.sasrec import SASRec
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.next_item import fit_next_item
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=24, patience=8, every=4, learning_rate=3e-3, weight_decay=0.01)
BATCH_SIZE = 128
DROPOUT = 0.3
NEGATIVES = 256
CALIBRATION = 0.75


class GSASRec(SASRec):
    """SASRec as an app calls it; what differs is how it is trained."""


def gbce_loss(net: SASRec, windows: Tensor, num_items: int, negatives: int, calibration: float) -> Tensor:
    """The mean loss over every item of `windows` `[B, T + 1]` after what came before it.

    Args:
        net: gives states and scores.
        windows: left-padded with 0.
        num_items: of the catalogue, from 1.
        negatives: items drawn for each window, the same for all of its positions.
        calibration: t of the paper.
    """
    history, following = windows[:, :-1], windows[:, 1:].long()
    states = net.encode(history)
    drawn = torch.randint(1, num_items + 1, (len(windows), negatives))
    positive = (states * net.item_embedding(following)).sum(dim=-1)
    negative = states @ net.item_embedding(drawn).transpose(1, 2)
    share = negatives / (num_items - 1)
    beta = share * (calibration * (1 - 1 / share) + 1 / share)
    others = F.softplus(negative).masked_fill(drawn[:, None] == following[:, :, None], 0).sum(dim=-1)
    losses = (beta * F.softplus(-positive) + others) / (negatives + 1)
    return losses[(history != 0) & (following != 0)].mean()


def model(
    *,
    num_items: int,
    max_length: int = movielens.HISTORY_LENGTH,
    dim: int = 64,
    heads: int = 2,
    layers: int = 2,
    dropout: float = 0.0,
) -> GSASRec:
    """A gSASRec in eval mode with random weights."""
    return GSASRec(num_items, max_length, dim, heads, layers, dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> GSASRec:
    """A gSASRec trained on MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    num_items = len(movielens.item_vocabulary().tokens) - 1
    net = model(num_items=num_items, dropout=DROPOUT)
    fit_next_item(
        net,
        movielens.sequences(),
        movielens.leave_one_out(split="valid"),
        schedule=schedule,
        batch_size=BATCH_SIZE,
        run=run,
        loss=lambda _, windows: gbce_loss(net, windows, num_items, NEGATIVES, CALIBRATION),
    )
    return net
