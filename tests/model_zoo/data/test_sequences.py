"""Histories hold what came before a moment, and nothing of that moment or of others."""

import numpy as np

from pocketrec.model_zoo.data.sequences import items_before


def test_a_history_holds_the_last_items_before_the_moment_in_order_of_time() -> None:
    user = np.array([2, 1, 1, 2, 1, 1], np.int32)
    moment = np.array([50, 30, 10, 40, 20, 30], np.int64)
    item = np.array([9, 3, 1, 8, 2, 4], np.int32)
    asked = np.array([1, 1, 1, 2, 2, 3, 1], np.int32), np.array([30, 31, 10, 50, 99, 99, 0], np.int64)
    found = items_before((user, moment, item), asked, length=3)
    assert found.dtype == np.int32
    assert found.tolist() == [
        [0, 1, 2],
        [2, 3, 4],  # of the same moment, as the rows come
        [0, 0, 0],
        [0, 0, 8],
        [0, 8, 9],
        [0, 0, 0],
        [0, 0, 0],
    ]


def test_histories_agree_with_a_plain_search() -> None:
    rng = np.random.default_rng(3)
    user, moment, item = (rng.integers(1, size, 200) for size in (9, 60, 500))
    asked = rng.integers(1, 12, 50), rng.integers(0, 70, 50)
    found = items_before(
        (user.astype(np.int32), moment, item.astype(np.int32)),
        (asked[0].astype(np.int32), asked[1]),
        length=5,
    )
    for row, who, when in zip(found, *asked, strict=True):
        past = [
            i for t, _, i in sorted(zip(moment, range(200), item, strict=True)) if t < when and user[_] == who
        ]
        assert row[row != 0].tolist() == past[-5:]
        assert not row[: 5 - len(past[-5:])].any()
