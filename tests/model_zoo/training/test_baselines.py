"""What needs no training is measured by the protocol of the models beside it."""

import numpy as np
import pytest

from pocketrec.errors import UsageError
from pocketrec.model_zoo.data.sequences import leave_one_out_of
from pocketrec.model_zoo.training.baselines import baselines, popularity, transitions

SEQUENCES = [np.array([*each], dtype=np.int32) for each in ([1, 2, 3, 4], [1, 2, 5, 6], [2, 1, 7, 3])]


def test_popularity_ranks_by_training_parts_alone_and_leaves_out_what_was_had() -> None:
    """The parts are 1 2, 1 2 and 2 1, so every test item ties with all that is left to rank."""
    test = leave_one_out_of(SEQUENCES, split="test", length=3)
    hit_rate, ndcg = popularity(SEQUENCES, test)
    assert hit_rate == 1
    assert ndcg == pytest.approx(1 / np.log2(5))  # four items left for each: fourth of equals


def test_transitions_know_what_came_next_for_others() -> None:
    sequences = [np.array([*each], dtype=np.int32) for each in ([8, 9, 1, 2], [1, 2, 4, 5], [6, 7, 1, 2])]
    test = leave_one_out_of(sequences, split="test", length=3)
    known = transitions(sequences, test)[1]
    assert known == pytest.approx((1 + 1 / np.log2(7) + 1) / 3)  # 5 never trains: the last of six
    assert popularity(sequences, test)[1] < known


def test_a_set_without_sequences_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"'open-bandit' has no sequences; expected one of ml-100k"):
        baselines("open-bandit")
