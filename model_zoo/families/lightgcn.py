"""LightGCN: vectors of users and items, smoothed along who chose what (He et al., 2020).

    e_u^(k+1) = Σ_{i ∈ N_u} e_i^(k) / √(|N_u| |N_i|), items likewise        (their eq. 3)
    e = (e^(0) + … + e^(K)) / (K + 1)        y_ui = <e_u, e_i>              (their eq. 4 and 5)

Only e^(0) is learned, by BPR. What the propagation makes of it is computed once, when training ends: what
ships are two tables of e, and a score is a product of their rows. So a user is served who was in the graph;
anybody else is id 0, the mean of all users, until the next training.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pocketrec.model_zoo.data import choices, movielens
from pocketrec.model_zoo.data.choices import Chosen
from pocketrec.model_zoo.families.parts.factors import Factors
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.pairwise import fit_pairs
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=16, patience=16, every=2, learning_rate=4e-2)
BATCH_SIZE = 8192  # a step propagates the whole graph, whatever its pairs
DECAY = 1e-4


class LightGCN(Factors):
    """Factors that are smoothed along a graph while they learn."""

    def __init__(self, *, users: int, items: int, dim: int, layers: int) -> None:
        super().__init__(users=users, items=items, dim=dim)
        self.layers = layers
        self.graph: Tensor | None = None

    def vectors(self) -> tuple[Tensor, Tensor]:
        """The mean of all layers; without a graph, the tables as they are."""
        users, items = super().vectors()
        if self.graph is None:
            return users, items
        layer = total = torch.cat((users, items))
        for _ in range(self.layers):
            layer = torch.sparse.mm(self.graph, layer)
            total = total + layer
        mean = total / (self.layers + 1)
        return mean[: len(users)], mean[len(users) :]

    def settle(self) -> None:
        """Makes what the propagation gives the tables' rows, which need no graph from then on."""
        super().settle()
        self.graph = None


def graph_of(chosen: Chosen) -> Tensor:
    """D^-1/2 A D^-1/2, sparse `[n, n]`, whose n are users and then items; A says who chose what (eq. 8)."""
    users, items = np.nonzero(chosen)
    degrees = np.concatenate([chosen.sum(axis=1), chosen.sum(axis=0)]).clip(min=1)
    ends = users, items + len(chosen)
    values = (degrees[ends[0]] * degrees[ends[1]]) ** -0.5
    rows, columns = np.concatenate(ends), np.concatenate(ends[::-1])
    both = torch.from_numpy(np.concatenate([values, values])).float()
    size = (len(degrees), len(degrees))
    return torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([rows, columns])), both, size, check_invariants=True
    ).coalesce()


def model(*, num_users: int, num_items: int, dim: int = 64, layers: int = 3) -> LightGCN:
    """The tables in eval mode with random rows and no graph; numbers count without the id 0."""
    return LightGCN(users=num_users, items=num_items, dim=dim, layers=layers).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> LightGCN:
    """The propagated tables on MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    net = model(
        num_users=len(movielens.user_vocabulary().tokens) - 1,
        num_items=len(movielens.item_vocabulary().tokens) - 1,
    )
    chosen, valid = choices.training_choices(), choices.leave_one_out(split="valid")
    net.graph = graph_of(chosen)
    fit_pairs(net, chosen, valid, schedule=schedule, batch_size=BATCH_SIZE, decay=DECAY, run=run)
    return net
