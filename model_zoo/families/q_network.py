"""Conservative Q-learning from logged clicks: values that are cautious where the log is thin (Kumar, 2020).

    min_Q  1/2 E_log[(Q(s, a) - r)^2] / noise^2 + alpha E_s[log sum_a exp Q(s, a) - E_log[Q(s, a)]]

which is their eq. 4, CQL(H). An impression of Open Bandit is an episode of one step, as nothing in the log
says who comes back: the target of Q is the reward, without a next state's value. Q is in rewards
of about 1, so that the exponential tells items apart; what is given out is in clicks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from pocketrec.model_zoo.data import bernoulli_ts, open_bandit
from pocketrec.model_zoo.families.parts.person import PersonNet
from pocketrec.model_zoo.training.loop import Schedule, fit, shuffled
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=12, patience=12, learning_rate=1e-2)
BATCH_SIZE = 1000
ALPHA = 0.005  # of the conservative term
CLICK = 240.0  # the reward of a click, of which one in 240 impressions has one
DECAY = 4e-3  # towards where an item's row begins: 20,000 impressions an item, as the store's counts are of


class QNetwork(nn.Module):
    """The value of showing an item to a person: their vectors' product, and the item's own."""

    def __init__(self, *, sizes: tuple[int, ...], arms: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.person = PersonNet(sizes=sizes, hidden=hidden, dim=dim)
        self.items = nn.Embedding(arms, dim + 1)
        self.scale = dim**-0.5
        nn.init.normal_(self.items.weight, std=0.01)

    def forward(
        self, person_0: Tensor, person_1: Tensor, person_2: Tensor, person_3: Tensor, item: Tensor
    ) -> Tensor:
        """The clicks that an item is worth, `[B]`, from ids `[B]`."""
        rows = self.items(item)
        vector = self.person((person_0, person_1, person_2, person_3)) * self.scale
        value: Tensor = ((rows[:, :-1] * vector).sum(dim=-1) + rows[:, -1]) / CLICK
        return value

    def values(self, person_0: Tensor, person_1: Tensor, person_2: Tensor, person_3: Tensor) -> Tensor:
        """The clicks that every item is worth, `[B, arms]`."""
        return self.q((person_0, person_1, person_2, person_3)) / CLICK

    def q(self, ids: tuple[Tensor, ...]) -> Tensor:
        """Q of every item, in rewards, `[B, arms]`."""
        rows = self.items.weight
        found: Tensor = self.person(ids) * self.scale @ rows[:, :-1].T + rows[:, -1]
        return found


def model(
    *,
    num_arms: int,
    num_person_0s: int,
    num_person_1s: int,
    num_person_2s: int,
    num_person_3s: int,
    hidden: int = 32,
    dim: int = 32,
) -> QNetwork:
    """A QNetwork in eval mode with random weights; numbers of values count without the id 0."""
    sizes = (num_person_0s, num_person_1s, num_person_2s, num_person_3s)
    return QNetwork(sizes=sizes, arms=num_arms, hidden=hidden, dim=dim).eval()


def conservative_loss(q: Tensor, item: Tensor, reward: Tensor, alpha: float = ALPHA) -> Tensor:
    """CQL(H) of Q `[B, items]`, the items shown `[B]` and what they earned, `[B]`."""
    taken = q.gather(1, item.unsqueeze(1)).squeeze(1)
    bellman = 0.5 * (taken - reward).square().mean() / CLICK  # CLICK is the variance of the reward, too
    return bellman + alpha * (torch.logsumexp(q, dim=1) - taken).mean()


def train(run: Run, schedule: Schedule = SCHEDULE) -> QNetwork:
    """A QNetwork trained on the log `bts` of the campaign `all`, in eval mode."""
    net = model(num_arms=len(open_bandit.arms().tokens), **open_bandit.person_sizes())
    start_from_counts(net)
    start = net.items.weight.detach().clone()
    found = open_bandit.log("bts")
    ids = tuple(torch.from_numpy(each) for each in found.person.T)
    item, reward = torch.from_numpy(found.item).long(), torch.from_numpy(found.click) * CLICK

    def loss(rows: Tensor) -> Tensor:
        q = net.q(tuple(each[rows] for each in ids))
        moved = (net.items.weight - start).square().sum()
        return conservative_loss(q, item[rows], reward[rows]) + DECAY * moved

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(item), BATCH_SIZE, run.rng):
            yield loss(torch.from_numpy(rows))

    fit(net, losses=losses, measure=lambda: -float(loss(torch.arange(len(item)))), schedule=schedule, run=run)
    return net


def start_from_counts(net: QNetwork) -> None:
    """Sets each item's own value to the click rate that the store had counted before the logs."""
    clicks, passes = bernoulli_ts.clicks_and_passes()
    with torch.no_grad():
        net.items.weight[:, -1] = torch.from_numpy(np.asarray(CLICK * clicks / (clicks + passes)))
