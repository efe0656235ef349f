"""Markov: what was chosen right after the last items, counted (a chain of first order; Markov, 1906).

    score(j | h_1 … h_T) = Σ_t decay^(T - t) · n(h_t → j)  +  share(j)

n(i → j) is how often j came right after i, share(j) how often j comes at all, so small that it orders only
what no count does: an empty history gets what everybody chooses. Rows are compressed: of every item the
most frequent followers and their counts, two tables of `width` columns in place of one of all items.
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

DECAY = 0.6
WIDTH = 64
SHARE = 2**-6  # of the most frequent item: less than what is left of one transition eight items ago


class Markov(nn.Module):
    """Scores of all items from a left-padded history and the compressed rows of the transition counts."""

    following: Tensor
    share: Tensor
    decays: Tensor

    def __init__(self, num_items: int, max_length: int, width: int, decay: float) -> None:
        super().__init__()
        self.max_length = max_length
        self.counts = nn.Embedding(num_items + 1, width, padding_idx=0)
        following = torch.randint(1, num_items + 1, (num_items + 1, width), dtype=torch.int32)
        self.register_buffer("following", following)
        self.register_buffer("share", SHARE * torch.rand(num_items + 1))
        ages = torch.arange(max_length - 1, -1, -1)
        self.register_buffer("decays", decay**ages, persistent=False)

    def forward(self, history: Tensor) -> Tensor:
        """Scores `[B, num_items + 1]` of what comes after `history` `[B, T]`; entry 0 means nothing."""
        decays = self.decays[self.max_length - history.shape[1] :]
        counts = self.counts(history) * decays[:, None]
        followers = self.following[history].flatten(1).long()
        return self.share.repeat(history.shape[0], 1).scatter_add(1, followers, counts.flatten(1))

    @torch.no_grad()
    def count(self, sequences: Sequence[Ints]) -> None:
        """Counts the steps of the sequences; of more followers than `width` the first by count, then id."""
        items, width = self.counts.weight.shape
        steps = np.concatenate([each[:-1].astype(np.int64) * items + each[1:] for each in sequences])
        pairs, counts = np.unique(steps, return_counts=True)
        order = np.lexsort((pairs, -counts, pairs // items))
        before, after = np.divmod(pairs[order], items)
        place = np.arange(len(before)) - np.searchsorted(before, before)
        kept = place < width
        rows = torch.from_numpy(before[kept]), torch.from_numpy(place[kept])
        self.counts.weight.zero_()[rows] = torch.from_numpy(counts[order][kept]).float()
        self.following.zero_()[rows] = torch.from_numpy(after[kept]).int()
        often = torch.bincount(torch.from_numpy(np.concatenate(sequences)), minlength=items)
        self.share.copy_(SHARE * often / often.max())


def model(
    *,
    num_items: int,
    max_length: int = movielens.HISTORY_LENGTH,
    width: int = WIDTH,
    decay: float = DECAY,
) -> Markov:
    """A Markov chain in eval mode with random followers and counts."""
    return Markov(num_items, max_length, width, decay).eval()


def train(run: Run) -> Markov:
    """The chain counted on MovieLens-100K, in eval mode."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1)
    net.count(training_parts(movielens.sequences()))
    valid = movielens.leave_one_out(split="valid")
    run.progress(1, 1, measured(lambda batch: net(batch["history"]), valid)[1])
    return net
