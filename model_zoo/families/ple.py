"""PLE: experts of each task beside experts of all, extracted in several levels (Tang et al., 2020).

At level j, task k mixes its own experts and the shared ones, softmax(W_{k,j} x_{k,j-1}) · [E_k, E_s]
(equations 1 to 7); what is shared goes on from a mix of all experts. The task's tower reads its last mix.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.mmoe import TASKS
from pocketrec.model_zoo.families.parts.nets import mixed, perceptron, scorer
from pocketrec.model_zoo.families.parts.rating_features import (
    FEATURES,
    FeatureTables,
    TasksModel,
    table_sizes,
)
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.rated import DROPOUT, SCHEDULE, fit_rated
from pocketrec.model_zoo.training.run import Run


class Extraction(nn.Module):
    """One level: experts of every task and shared ones, and a gate for each task and for what is shared."""

    def __init__(self, width: int, hidden: int, *, experts: int, tasks: int, dropout: float) -> None:
        super().__init__()
        self.experts = nn.ModuleList(
            nn.ModuleList(perceptron(width, hidden, dropout=dropout) for _ in range(experts))
            for _ in range(tasks + 1)
        )
        self.gates = nn.ModuleList(nn.Linear(width, 2 * experts) for _ in range(tasks))
        self.shared_gate = nn.Linear(width, (tasks + 1) * experts)

    def forward(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The mix of every task and, last, of all, `[B, hidden]` each, from the level before."""
        outs = [_outputs(own, x) for own, x in zip(self.experts, inputs, strict=True)]
        mixes = [
            mixed(gate(x), torch.cat((own, outs[-1]), dim=1))
            for gate, x, own in zip(self.gates, inputs[:-1], outs[:-1], strict=True)
        ]
        return [*mixes, mixed(self.shared_gate(inputs[-1]), torch.cat(outs, dim=1))]


def _outputs(experts: nn.Module, x: Tensor) -> Tensor:
    return torch.stack([expert(x) for expert in experts.children()], dim=1)


class PLE(TasksModel):
    """The probabilities that a user likes an item, rating it 4 or 5, and loves it, rating it 5."""

    def __init__(
        self,
        features: FeatureTables,
        *,
        dim: int,
        levels: int,
        experts: int,
        hidden: int,
        tower: int,
        tasks: int,
        dropout: float,
    ) -> None:
        super().__init__(features)
        widths = [FEATURES * dim, *([hidden] * (levels - 1))]
        self.levels = nn.ModuleList(
            Extraction(width, hidden, experts=experts, tasks=tasks, dropout=dropout) for width in widths
        )
        self.towers = nn.ModuleList(scorer(hidden, tower, dropout=dropout) for _ in range(tasks))
        self.dropout = nn.Dropout(dropout)

    def logits(self, rows: Tensor) -> Tensor:
        """Logits `[B, tasks]` from the rows of all features, `[B, FEATURES, dim]`."""
        mixes = [self.dropout(rows).flatten(1)] * (len(self.towers) + 1)
        for level in self.levels:
            mixes = level(mixes)
        return torch.cat([tower(each) for tower, each in zip(self.towers, mixes[:-1], strict=True)], dim=-1)


def model(
    *,
    dim: int = 16,
    levels: int = 2,
    experts: int = 2,
    hidden: int = 48,
    tower: int = 32,
    tasks: int = len(TASKS),
    dropout: float = 0.0,
    **numbers: int,
) -> PLE:
    """A PLE in eval mode with random weights; `numbers` are `num_users` and so on, without the id 0."""
    sizes = {"levels": levels, "experts": experts, "hidden": hidden, "tower": tower, "tasks": tasks}
    features = FeatureTables(table_sizes(numbers), dim)
    return PLE(features, dim=dim, dropout=dropout, **sizes).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> PLE:
    """A PLE trained on MovieLens-100K, in eval mode; the best epoch by the mean of the tasks' AUC."""
    net = model(**movielens.feature_numbers(), dropout=DROPOUT)
    fit_rated(net, run=run, schedule=schedule, at_least=TASKS)
    return net
