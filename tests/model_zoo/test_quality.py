"""The committed weights hold the floors on the real test split; untrained weights do not."""

from collections.abc import Callable

import numpy as np
import pytest
from torch import nn

from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import sasrec, two_tower
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.loop import Floats, hit_rate_and_ndcg, score_all

Trained = Callable[[str], nn.Module]


def sasrec_scores(module: nn.Module, data: RankingData) -> Floats:
    assert isinstance(module, sasrec.SASRec)
    return score_all(lambda batch: module(**batch), data.inputs)


def two_tower_scores(module: nn.Module, data: RankingData) -> Floats:
    assert isinstance(module, two_tower.TwoTower)
    return two_tower.scores(module, data.inputs, data.catalogue)


def popularity_scores(data: RankingData) -> Floats:
    """How often an item is in the training sequences, the same for every user."""
    counts = np.bincount(np.concatenate([each[:-2] for each in movielens.sequences()]), minlength=1683)
    return np.tile(counts.astype(np.float32), (len(data), 1))


def test_sasrec_holds_its_floors(trained: Trained) -> None:
    data = movielens.leave_one_out()
    hit_rate, ndcg = hit_rate_and_ndcg(sasrec_scores(trained("sasrec"), data), data)
    assert hit_rate >= FAMILIES["sasrec"].floor("hr@10") == 0.18
    assert ndcg >= FAMILIES["sasrec"].floor("ndcg@10") == 0.092


def test_two_tower_holds_its_floor_and_beats_popularity(trained: Trained) -> None:
    data = movielens.leave_one_out_with_features()
    _, ndcg = hit_rate_and_ndcg(two_tower_scores(trained("two-tower"), data), data)
    _, popular = hit_rate_and_ndcg(popularity_scores(data), data)
    assert ndcg >= FAMILIES["two-tower"].floor("ndcg@10") == 0.055
    assert ndcg > 1.5 * popular > 0


def test_untrained_weights_hold_no_floor(untrained: Trained) -> None:
    ranking = movielens.leave_one_out_with_features()
    history_only = movielens.leave_one_out()
    assert hit_rate_and_ndcg(sasrec_scores(untrained("sasrec"), history_only), history_only)[1] < 0.03
    assert hit_rate_and_ndcg(two_tower_scores(untrained("two-tower"), ranking), ranking)[1] < 0.03


def test_the_metric_agrees_with_ranks_counted_by_hand() -> None:
    data = RankingData(
        inputs={"history": np.zeros((3, 1), np.int32)},
        positives=np.array([3, 3, 1]),
        seen_ids=np.array([4]),
        seen_offsets=np.array([0, 1, 1, 1]),
        catalogue={},
    )
    rows = [[9, 1, 2, 3, 8], [9, 1, 2, 3, 8], [9, 5, 5, 5, 5]]  # ranks 1 (4 is seen), 2, and 4 of equals
    hit_rate, ndcg = hit_rate_and_ndcg(np.array(rows, np.float32), data, k=2)
    assert hit_rate == pytest.approx(2 / 3)
    assert ndcg == pytest.approx((1 + 1 / np.log2(3)) / 3)


def test_the_committed_weights_are_small() -> None:
    sizes = [each.weights.stat().st_size for each in FAMILIES.values() if each.committed]
    assert max(sizes) < 6_000_000
    assert sum(sizes) < 30_000_000
