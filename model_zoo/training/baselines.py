"""What needs no training: popularity and transition counts, by the protocol of the models beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pocketrec.errors import UsageError
from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data import amazon, movielens
from pocketrec.model_zoo.data.sequences import Ints, leave_one_out_of, training_parts
from pocketrec.model_zoo.families import markov
from pocketrec.model_zoo.training.loop import measured

_LENGTH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Baselines:
    """HR@10 and NDCG@10 of the baselines on the test items; all items are ranked, those had before left out.

    Attributes:
        pop: how often an item is chosen, the same for everybody.
        markov: the counts of `families.markov`.
    """

    pop: tuple[float, float]
    markov: tuple[float, float]


def baselines(data: str) -> Baselines:
    """The baselines on a data set of sequences, by the name that `pocketrec zoo data` has for it.

    Raises:
        UsageError: the set has no sequences.
        DataError: it cannot be had.
    """
    if data not in SEQUENCES:
        raise UsageError(f"baselines: {data!r} has no sequences; expected one of {', '.join(SEQUENCES)}")
    sequences = SEQUENCES[data]()
    test = leave_one_out_of(sequences, split="test", length=_LENGTH)
    return Baselines(pop=popularity(sequences, test), markov=transitions(sequences, test))


def popularity(sequences: Sequence[Ints], test: RankingData) -> tuple[float, float]:
    """HR@10 and NDCG@10 of how often an item is in the training parts of the sequences."""
    train = np.concatenate(training_parts(sequences))
    counts = torch.from_numpy(np.bincount(train, minlength=_items(sequences) + 1))
    return measured(lambda batch: counts.expand(len(batch["history"]), -1), test)


def transitions(sequences: Sequence[Ints], test: RankingData) -> tuple[float, float]:
    """HR@10 and NDCG@10 of the transition counts of the training parts of the sequences."""
    net = markov.model(num_items=_items(sequences), max_length=test.inputs["history"].shape[1])
    net.count(training_parts(sequences))
    return measured(lambda batch: net(batch["history"]), test)


def _items(sequences: Sequence[Ints]) -> int:
    return max(int(each.max()) for each in sequences)


SEQUENCES: Mapping[str, Callable[[], list[Ints]]] = {
    "ml-100k": movielens.sequences,
    "amazon-beauty": lambda: amazon.sequences(data="amazon-beauty"),
    "amazon-sports": lambda: amazon.sequences(data="amazon-sports"),
}
