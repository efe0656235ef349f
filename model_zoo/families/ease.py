"""EASE: an item-item matrix that reconstructs who chose what, in closed form (Steck, 2019).

    min_B ‖X - XB‖² + λ‖B‖²,  diag B = 0      (equation 2)
    B_ij = - P_ij / P_jj,  P = (XᵀX + λI)⁻¹    (equation 8)

X `[users, items]` says who chose what. The scores of a history are the sum of the rows of B that belong to
its items, so the matrix is a table like those of embeddings: few rows are read, and all can be compressed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.data.sequences import Ints, training_parts
from pocketrec.model_zoo.training.loop import measured
from pocketrec.model_zoo.training.run import Run

REGULARIZATION = 250.0  # RecBole's


class EASE(nn.Module):
    """Scores of all items from the items of a history, whose order says nothing."""

    def __init__(self, num_items: int) -> None:
        super().__init__()
        self.similar = nn.Embedding(num_items + 1, num_items + 1, padding_idx=0)

    def forward(self, history: Tensor) -> Tensor:
        """Scores `[B, num_items + 1]` of `history` `[B, T]`, in which 0 is nothing; entry 0 means nothing."""
        scores: Tensor = self.similar(history).sum(dim=1)
        return scores

    @torch.no_grad()
    def solve(self, sequences: Sequence[Ints], regularization: float) -> None:
        """Puts the solution for the sequences, a user each, into the table."""
        items = len(self.similar.weight)
        chosen = np.zeros((len(sequences), items))
        for user, each in enumerate(sequences):
            chosen[user, each] = 1
        inverse = np.linalg.inv(chosen.T @ chosen + regularization * np.eye(items))
        solution = -inverse / np.diag(inverse)
        np.fill_diagonal(solution, 0)
        self.similar.weight.copy_(torch.from_numpy(solution))


def model(*, num_items: int) -> EASE:
    """An EASE in eval mode with random similarities."""
    return EASE(num_items).eval()


def train(run: Run) -> EASE:
    """The solution on MovieLens-100K, in eval mode."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1)
    net.solve(training_parts(movielens.sequences()), REGULARIZATION)
    valid = movielens.leave_one_out(split="valid")
    run.progress(1, 1, measured(lambda batch: net(batch["history"]), valid)[1])
    return net
