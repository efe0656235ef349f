"""A page that does not repeat itself: the greedy MAP of a determinantal point process (Chen et al., 2018).

    P(Y) ∝ det L_Y,  L_ij = q_i S_ij q_j        S_ij = α cos(v_i, v_j) + (1 - α) δ_ij  (Wilhelm et al., 2018)
    j = argmax_i log q_i² + θ log d_i²        e_i = S_ji / d_j,  S_ik -= e_i e_k,  d_i² -= e_i²

which adds, step by step, the item that the page's determinant grows by the most with (their algorithm 1, its
<c_j, c_i> subtracted at once; d_i² is what is left of item i beside those on the page). The score of an item
is its gain when it is taken, or at the end: gains only fall, so the order of scores is that of the page, and
what follows it is the rest.

log q² is a weight times the relevance from a retriever, and a number for each place of its list, learned by
the softmax over the list; v are BPR-MF's items; θ is the largest that keeps 95 % of NDCG on validation.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.parts.attention import MASKED
from pocketrec.model_zoo.family import weights_of
from pocketrec.model_zoo.training.lists import LENGTH, relevant_lists
from pocketrec.model_zoo.training.loop import Schedule, fit, measured, shuffled, to_tensors
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=10, patience=4, learning_rate=1e-2)
BATCH_SIZE = 256
SLOTS = 10
ALPHA = 0.9  # what is left of an item beside its like: 1 - α² at the first, never below 1 - α
KEPT = 0.95  # of NDCG@10 on validation, for pages that repeat themselves less
STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)


class Slate(nn.Module):
    """Scores of a list's places: the gains of a page that is put together greedily, one item a step.

    Attributes:
        strength: θ, how much a repetition costs.
    """

    strength: Tensor

    def __init__(self, *, num_items: int, length: int, slots: int, dim: int) -> None:
        super().__init__()
        self.slots = min(slots, length)
        self.item_vectors = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.weight = nn.Parameter(torch.ones(1))
        self.place = nn.Parameter(-0.01 * torch.arange(length, dtype=torch.float32))
        self.register_buffer("strength", torch.ones(1))

    def forward(self, candidates: Tensor, relevance: Tensor) -> Tensor:
        """Scores `[B, length]` of right-padded `candidates` and their relevance, `[B, length]` each."""
        quality = self.quality(candidates, relevance)
        similar = self.similarity(candidates)
        places = torch.arange(quality.shape[1], dtype=torch.int32, device=quality.device)
        left, scores = torch.ones_like(quality), torch.zeros_like(quality)
        taken = torch.zeros_like(quality, dtype=torch.bool)
        for _ in range(self.slots):
            gains = quality + self.strength * left.log()
            first = gains.masked_fill(taken, 2 * MASKED).argmax(dim=-1, keepdim=True)
            one = places == first
            scores, taken = torch.where(one, gains, scores), taken | one
            e = _row(similar, left, one.to(quality.dtype))
            similar = similar - e.unsqueeze(1) * e.unsqueeze(2)
            left = (left - e.square()).clamp(min=(1 - ALPHA) / 2)  # of one that is taken, nothing
        return torch.where(taken, scores, quality + self.strength * left.log())

    def quality(self, candidates: Tensor, relevance: Tensor) -> Tensor:
        """The log q² of every place, `[B, length]`."""
        return (self.weight * relevance + self.place).masked_fill(candidates == 0, MASKED)

    def similarity(self, candidates: Tensor) -> Tensor:
        """S, `[B, length, length]`; what pads is like nothing."""
        vectors = self.item_vectors(candidates)
        products = vectors @ vectors.transpose(1, 2)
        same = torch.eye(products.shape[1], dtype=products.dtype, device=products.device)
        scale = (products * same).sum(dim=-1).clamp(min=1e-6).rsqrt()  # of products: these stay in float32
        similar: Tensor = ALPHA * products * scale.unsqueeze(1) * scale.unsqueeze(2) * (1 - same) + same
        return similar


def _row(similar: Tensor, left: Tensor, one: Tensor) -> Tensor:
    """What every item shares with the one that is taken, e `[B, length]`."""
    shared = (similar * one.unsqueeze(-1)).sum(dim=1)
    return shared * (left * one).sum(dim=-1, keepdim=True).rsqrt()


def model(*, num_items: int, list_length: int = LENGTH, slots: int = SLOTS, dim: int = 64) -> Slate:
    """A Slate in eval mode with random vectors."""
    return Slate(num_items=num_items, length=list_length, slots=slots, dim=dim).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> Slate:
    """A Slate whose quality is learned on lists of MovieLens-100K, in eval mode."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1)
    before = load_file(weights_of("bpr-mf"))["item_factors.weight"]
    net.item_vectors.weight.data[1:] = before[1:].float() - before[1:].float().mean(dim=0)
    lists, valid = relevant_lists(split="train"), relevant_lists(split="valid")
    inputs, places = to_tensors(lists.inputs), torch.from_numpy(lists.positives)

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(places), BATCH_SIZE, run.rng):
            yield F.cross_entropy(
                net.quality(**{name: each[rows] for name, each in inputs.items()}), places[rows]
            )

    def measure() -> float:
        return measured(lambda batch: net.quality(**batch), valid)[1]

    net.item_vectors.requires_grad_(False)
    fit(net, losses=losses, measure=measure, schedule=schedule, run=run)
    net.strength.fill_(strongest(net))
    return net


@torch.no_grad()
def strongest(net: Slate) -> float:
    """The largest of STRENGTHS whose pages keep KEPT of the NDCG@10 that quality alone has on validation."""
    valid, found = relevant_lists(split="valid"), list[float]()
    for each in STRENGTHS:
        net.strength.fill_(each)
        found.append(measured(lambda batch: net(**batch), valid)[1])
    return max(each for each, ndcg in zip(STRENGTHS, found, strict=True) if ndcg >= KEPT * found[0])
