"""MultVAE: a variational autoencoder of what somebody chose, a draw from a multinomial (Liang et al., 2018).

    h = tanh(W x / ‖x‖ + b)        z ~ N(μ(h), exp(l(h)))        π = softmax(V tanh(U z + c) + d)
    max  Σ_i x_i log π_i - β KL(q(z | x) ‖ N(0, 1))        (their eq. 2 and 6)

x `[items + 1]` says what is in a history, and is built in the graph from its ids. At inference z is its mean,
so the scores are log π but for a constant. x loses half of its items while training (their section 4.5).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.data.choices import training_choices
from pocketrec.model_zoo.training.loop import Schedule, fit, measured, shuffled
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=40, patience=12, every=4, learning_rate=2e-3, weight_decay=0.01)
BATCH_SIZE = 64
DROPOUT = 0.5
BETA = 0.2  # where the paper's annealing ends (section 2.2.1)


class MultVAE(nn.Module):
    """Scores of all items from the items of a history, whose order says nothing."""

    def __init__(self, *, num_items: int, hidden: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.dim = dim
        self.dropout = nn.Dropout(dropout)
        self.encoder = nn.Linear(num_items + 1, hidden)
        self.moments = nn.Linear(hidden, 2 * dim)
        self.decoder = nn.Linear(dim, hidden)
        self.out = nn.Linear(hidden, num_items + 1)

    def forward(self, history: Tensor) -> Tensor:
        """Scores `[B, num_items + 1]` of `history` `[B, T]`, in which 0 is nothing; entry 0 means nothing."""
        mean, _ = self.encode(self.chosen(history))
        return self.decode(mean)

    def chosen(self, history: Tensor) -> Tensor:
        """Whether each item is in a history, 0 or 1, `[B, num_items + 1]`."""
        nothing = self.out.bias.new_zeros(history.shape[0], self.out.out_features)
        real = (history != 0).to(nothing.dtype)
        return nothing.scatter(1, history.long(), real)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of z, `[B, dim]` each."""
        length = x.sum(dim=-1, keepdim=True).clamp(min=1.0).sqrt()
        h = torch.tanh(self.encoder(self.dropout(x / length)))
        mean, log_variance = self.moments(h).split(self.dim, dim=-1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """The logits of π, `[B, num_items + 1]`."""
        logits: Tensor = self.out(torch.tanh(self.decoder(z)))
        return logits


def model(*, num_items: int, hidden: int = 200, dim: int = 64, dropout: float = 0.0) -> MultVAE:
    """A MultVAE in eval mode with random weights."""
    return MultVAE(num_items=num_items, hidden=hidden, dim=dim, dropout=dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> MultVAE:
    """A MultVAE trained on MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1, dropout=DROPOUT)
    users, valid = torch.from_numpy(training_choices()[1:]).float(), movielens.leave_one_out(split="valid")

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(users), BATCH_SIZE, run.rng):
            yield negative_bound(net, users[rows], BETA)

    def measure() -> float:
        return measured(lambda batch: net(**batch), valid)[1]

    fit(net, losses=losses, measure=measure, schedule=schedule, run=run)
    return net


def negative_bound(net: MultVAE, x: Tensor, beta: float) -> Tensor:
    """The negative evidence lower bound of users' choices `[B, num_items + 1]`, its mean."""
    mean, log_variance = net.encode(x)
    z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
    logits = net.decode(z)[:, 1:]  # no share for what pads
    likelihood = (F.log_softmax(logits, dim=-1) * x[:, 1:]).sum(dim=-1)
    divergence = 0.5 * (log_variance.exp() + mean.square() - 1 - log_variance).sum(dim=-1)
    return (beta * divergence - likelihood).mean()
