"""How well items are found that a model spells: a beam search of many users at once."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.training.loop import hit_rate_and_ndcg

BEAMS = 20
_USERS = 64  # at once


class Spelling(Protocol):
    """A module that spells items in codes.

    Attributes:
        spelled: the codes of every item, `[items, levels]`, zeros for padding.
        most: items of a history.
    """

    spelled: Tensor
    most: int

    def encode(self, history: Tensor) -> Tensor:
        """A vector for every code of a left-padded history."""
        ...

    def decode(self, history: Tensor, memory: Tensor, prefix: Tensor) -> Tensor:
        """Logits of the code that follows a left-padded prefix."""
        ...


def hit_rate_and_ndcg_of(net: Spelling, data: RankingData, beams: int = BEAMS) -> tuple[float, float]:
    """HR@10 and NDCG@10 of the items that a search lists; what a user has had is no branch of it."""
    scores = []
    for part in data.parts(_USERS):
        allowed = torch.ones(len(part), len(net.spelled), dtype=torch.bool)
        allowed[:, list(part.ignored_ids)] = False
        for user in range(len(part)):
            allowed[user, part.seen(user)] = False
        scores.append(search(net, torch.from_numpy(part.inputs["history"]), allowed, beams))
    return hit_rate_and_ndcg(np.concatenate([each.numpy() for each in scores]), data)


@torch.no_grad()
def search(net: Spelling, items: Tensor, allowed: Tensor, beams: int) -> Tensor:
    """Log-probabilities `[B, items]` of the items that the best beams end at, minus infinity for all others.

    Args:
        net: spells.
        items: left-padded histories of items, `[B, T]`; the last ones are read.
        allowed: the items that may be listed, bool `[B, items]`.
        beams: how many prefixes live on after each code.
    """
    users, levels = len(items), net.spelled.shape[1]
    codes = net.spelled.long()
    history = net.spelled[items[:, -net.most :].long()].flatten(1)
    memory = net.encode(history)
    prefix = torch.zeros(users, 1, 1, dtype=torch.long)
    total = torch.zeros(users, 1)
    for level in range(levels):
        count = prefix.shape[1]
        read, given = (each.repeat_interleave(count, dim=0) for each in (history, memory))
        logs = net.decode(read, given, prefix.flatten(0, 1)).log_softmax(dim=-1).reshape(users, count, -1)
        begins = (codes[:, :level] == prefix[:, :, None, 1:]).all(dim=-1) & allowed[:, None, :]
        follows = torch.zeros_like(logs).index_add_(2, codes[:, level], begins.to(logs.dtype)) > 0
        flat = (total[..., None] + logs.masked_fill(~follows, -torch.inf)).flatten(1)
        total, best = flat.topk(min(beams, flat.shape[1]), dim=1)
        kept = prefix.gather(1, (best // logs.shape[-1])[..., None].expand(-1, -1, level + 1))
        prefix = torch.cat([kept, (best % logs.shape[-1])[..., None]], dim=-1)
    found = (codes == prefix[:, :, None, 1:]).all(dim=-1) & total.isfinite()[..., None]
    return torch.where(found, total[..., None], -torch.inf).amax(dim=1)
