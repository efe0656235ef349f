"""How models of one rating train on MovieLens-100K: all alike, so that they can be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sklearn.metrics import roc_auc_score
from torch import nn

from pocketrec.evaluation import ClassificationData
from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.training.labels import fit_labels, item_means
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=30, patience=4, learning_rate=2e-3, weight_decay=0.0)
BATCH_SIZE = 1024
DROPOUT = 0.3
LIKED, LOVED = movielens.POSITIVE_RATING, 5.0
_COMPARED: tuple[movielens.Split, ...] = ("train", "test")


def fit_rated(
    net: nn.Module,
    *,
    run: Run,
    schedule: Schedule,
    at_least: Sequence[float] = (LIKED,),
    data: Callable[..., ClassificationData] = movielens.rated_high,
) -> float:
    """The best AUC on the validation split; `net` is left in eval mode with the weights that reached it.

    Args:
        net: trained in place; as `fit_labels` takes it.
        run: random numbers, progress, and what is kept.
        schedule: when to stop.
        at_least: the rating from which on an example is a positive, for each head.
        data: called with `split` and `at_least`.
    """
    train, valid = ([data(split=split, at_least=each) for each in at_least] for split in ("train", "valid"))
    return fit_labels(net, train, valid, schedule=schedule, batch_size=BATCH_SIZE, run=run)


def item_mean_auc(at_least: float = LIKED) -> float:
    """AUC on the test split of the share of positives among each item's training ratings: the baseline."""
    train, test = (movielens.rated_high(split=split, at_least=at_least) for split in _COMPARED)
    return float(roc_auc_score(test.labels, item_means(train, test.inputs)))
