"""Propensity to click, as a probability that a price may be multiplied with: factors, and Platt's scaling.

    z = w_0 + sum_f w_f[x_f] + w_a log(1 + affinity) + sum_{f<g} <v_f[x_f], v_g[x_g]>
    P(click) = 1 / (1 + exp(-(A z + B)))

The first line is logistic regression on ids (Richardson, Dominowska and Ragno, 2007) with the products of a
factorization machine (Rendle, 2010, eq. 1); the second is Platt (1999, eq. 1), A and B fitted to logits of
models that have not seen the rows. An item starts from the click rate that the store had counted before.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.evaluation import Arrays, ClassificationData
from pocketrec.model_zoo.data import bernoulli_ts, open_bandit
from pocketrec.model_zoo.training.calibration import platt
from pocketrec.model_zoo.training.loop import Floats, Schedule, fit, score_all, shuffled, to_tensors
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=8, patience=8, learning_rate=1e-2)
BATCH_SIZE = 4096
FOLDS = 3
DECAY = 1e-4  # towards where a weight begins: by a prior in which it moves by .3, of 48,000 rows
COLUMNS = ("person_0", "person_1", "person_2", "person_3", "item", "position")


class Propensity(nn.Module):
    """The probability that a person clicks an item at a position.

    Attributes:
        slope: A of Platt's scaling.
        shift: B of Platt's scaling.
    """

    slope: Tensor
    shift: Tensor

    def __init__(self, *, sizes: dict[str, int], dim: int) -> None:
        super().__init__()
        self.tables = nn.ModuleDict({name: nn.Embedding(sizes[name], dim + 1) for name in COLUMNS})
        self.base = nn.Parameter(torch.zeros(1))
        self.of_affinity = nn.Parameter(torch.zeros(1))
        self.register_buffer("slope", torch.ones(1))
        self.register_buffer("shift", torch.zeros(1))
        for rows in self.tables.parameters():
            nn.init.normal_(rows, std=0.01)

    def forward(
        self,
        person_0: Tensor,
        person_1: Tensor,
        person_2: Tensor,
        person_3: Tensor,
        item: Tensor,
        position: Tensor,
        affinity: Tensor,
    ) -> Tensor:
        """Probabilities `[B]` from ids `[B]` and past clicks on the item, `[B]`."""
        ids = (person_0, person_1, person_2, person_3, item, position)
        return torch.sigmoid(self.slope * self.uncalibrated(self.embed(ids), affinity) + self.shift)

    def embed(self, ids: tuple[Tensor, ...]) -> Tensor:
        """The rows of all features, `[B, features, dim + 1]`; `ids` in the order of COLUMNS."""
        rows = [self.tables[name](column) for name, column in zip(COLUMNS, ids, strict=True)]
        return torch.stack(rows, dim=1)

    def uncalibrated(self, rows: Tensor, affinity: Tensor) -> Tensor:
        """The logit z `[B]`; the last column of a row is its w, the others its v."""
        vectors = rows[..., :-1]
        # The sum over all pairs in linear time (Rendle, 2010, lemma 3.1).
        products = 0.5 * (vectors.sum(dim=1).square() - vectors.square().sum(dim=1)).sum(dim=-1)
        return self.base + rows[..., -1].sum(dim=1) + self.of_affinity * torch.log1p(affinity) + products


def model(
    *,
    num_items: int,
    num_positions: int,
    num_person_0s: int,
    num_person_1s: int,
    num_person_2s: int,
    num_person_3s: int,
    dim: int = 16,
) -> Propensity:
    """A Propensity in eval mode with random weights and no scaling; numbers count without the id 0."""
    numbers = (num_person_0s, num_person_1s, num_person_2s, num_person_3s, num_items, num_positions)
    sizes = {name: number + 1 for name, number in zip(COLUMNS, numbers, strict=True)}
    return Propensity(sizes=sizes, dim=dim).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> Propensity:
    """A Propensity trained and scaled on the first 80 % of Open Bandit's logs, in eval mode."""
    data = open_bandit.impressions(split="train")
    fold = run.rng.permutation(len(data)) % FOLDS
    unseen = np.zeros(len(data))
    for each in range(FOLDS):
        net = _fitted(data, fold != each, schedule, run, f"fold{each}")
        unseen[fold == each] = logits(net, _rows(data, fold == each))
    net = _fitted(data, fold < FOLDS, schedule, run, "all")
    slope, shift = platt(unseen, data.labels.astype(np.float64))
    net.slope.fill_(slope)
    net.shift.fill_(shift)
    return net


def logits(net: Propensity, inputs: Arrays) -> Floats:
    """The uncalibrated logits, float32 `[rows]`."""
    return score_all(lambda batch: _logits(net, batch), inputs, size=4096)


def start_from_counts(net: Propensity) -> None:
    """Sets each item's weight, and the base, to the log-odds of the clicks that the store had counted."""
    both = [bernoulli_ts.clicks_and_passes(campaign) for campaign in open_bandit.CAMPAIGNS]
    clicks, passes = (np.concatenate(each) for each in zip(*both, strict=True))
    base = float(np.log(clicks.sum() / passes.sum()))
    items = net.tables.get_parameter("item.weight")
    with torch.no_grad():
        net.base.fill_(base)
        items[1:, -1] = torch.from_numpy(np.log(clicks / passes) - base)


def _fitted(
    data: ClassificationData, rows: npt.NDArray[np.bool_], schedule: Schedule, run: Run, stage: str
) -> Propensity:
    """A net that has learned from the rows, not yet scaled; the best epoch by its loss on them."""
    net = model(
        num_items=len(open_bandit.item_vocabulary().tokens) - 1,
        num_positions=open_bandit.POSITIONS,
        **open_bandit.person_sizes(),
    )
    start_from_counts(net)
    start = [each.detach().clone() for each in net.tables.parameters()]
    inputs, labels = to_tensors(_rows(data, rows)), torch.from_numpy(data.labels[rows])

    def losses() -> Iterator[Tensor]:
        for some in shuffled(len(labels), BATCH_SIZE, run.rng):
            found = _logits(net, {name: each[some] for name, each in inputs.items()})
            moved = torch.stack(
                [(a - b).square().sum() for a, b in zip(net.tables.parameters(), start, strict=True)]
            )
            yield F.binary_cross_entropy_with_logits(found, labels[some]) + DECAY * moved.sum()

    def measure() -> float:
        return -float(F.binary_cross_entropy_with_logits(_logits(net, inputs), labels))

    fit(net, losses=losses, measure=measure, schedule=schedule, run=run, stage=stage)
    return net


def _logits(net: Propensity, batch: dict[str, Tensor]) -> Tensor:
    return net.uncalibrated(net.embed(tuple(batch[name] for name in COLUMNS)), batch["affinity"])


def _rows(data: ClassificationData, rows: npt.NDArray[np.bool_]) -> Arrays:
    return {name: column[rows] for name, column in data.inputs.items()}
