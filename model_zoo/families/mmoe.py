"""MMoE: several answers about one rating from experts that every task mixes for itself (Ma et al., 2018).

Task k: y_k = h_k(Σ_i g_k(x)_i f_i(x)) with gates g_k(x) = softmax(W_k x) (their equations 5 to 7); the f_i
are the experts that all tasks share, h_k is the task's own tower, x the vectors of all features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.parts.nets import mixed, perceptron, scorer
from pocketrec.model_zoo.families.parts.rating_features import (
    FEATURES,
    FeatureTables,
    TasksModel,
    table_sizes,
)
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.rated import DROPOUT, LIKED, LOVED, SCHEDULE, fit_rated
from pocketrec.model_zoo.training.run import Run

TASKS = (LIKED, LOVED)  # the least ratings that the answers are about


class MMoE(TasksModel):
    """The probabilities that a user likes an item, rating it 4 or 5, and loves it, rating it 5."""

    def __init__(
        self,
        features: FeatureTables,
        *,
        dim: int,
        experts: int,
        hidden: int,
        tower: int,
        tasks: int,
        dropout: float,
    ) -> None:
        super().__init__(features)
        width = FEATURES * dim
        self.experts = nn.ModuleList(perceptron(width, hidden, dropout=dropout) for _ in range(experts))
        self.gates = nn.ModuleList(nn.Linear(width, experts) for _ in range(tasks))
        self.towers = nn.ModuleList(scorer(hidden, tower, dropout=dropout) for _ in range(tasks))
        self.dropout = nn.Dropout(dropout)

    def logits(self, rows: Tensor) -> Tensor:
        """Logits `[B, tasks]` from the rows of all features, `[B, FEATURES, dim]`."""
        x = self.dropout(rows).flatten(1)
        experts = torch.stack([expert(x) for expert in self.experts], dim=1)
        mixes = [mixed(gate(x), experts) for gate in self.gates]
        return torch.cat([tower(each) for tower, each in zip(self.towers, mixes, strict=True)], dim=-1)


def model(
    *,
    dim: int = 16,
    experts: int = 4,
    hidden: int = 64,
    tower: int = 32,
    tasks: int = len(TASKS),
    dropout: float = 0.0,
    **numbers: int,
) -> MMoE:
    """An MMoE in eval mode with random weights; `numbers` are `num_users` and so on, without the id 0."""
    sizes = {"experts": experts, "hidden": hidden, "tower": tower, "tasks": tasks}
    features = FeatureTables(table_sizes(numbers), dim)
    return MMoE(features, dim=dim, dropout=dropout, **sizes).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> MMoE:
    """An MMoE trained on MovieLens-100K, in eval mode; the best epoch by the mean of the tasks' AUC."""
    net = model(**movielens.feature_numbers(), dropout=DROPOUT)
    fit_rated(net, run=run, schedule=schedule, at_least=TASKS)
    return net
