"""Users by id stand beside what they chose, and the random split is RecBole's, row for row."""

import numpy as np

from pocketrec.model_zoo.data import choices, movielens


def test_a_row_of_leave_one_out_is_the_user_whose_item_is_held_out() -> None:
    for split, place in (("valid", -2), ("test", -1)):
        data = choices.leave_one_out(split=split)  # type: ignore[arg-type]
        assert data.inputs["user"].tolist() == list(range(1, 944))
        assert data.positives.tolist() == [each[place] for each in movielens.sequences()]
        np.testing.assert_array_equal(data.seen(5), movielens.sequences()[5][:place])


def test_what_trains_holds_no_held_out_item_and_no_row_of_nobody() -> None:
    chosen = choices.training_choices()
    assert chosen.shape == (944, 1683)
    assert chosen.sum() == 100_000 - 2 * 943
    assert not chosen[0].any()
    assert not chosen[:, 0].any()
    for split in ("valid", "test"):
        held = choices.leave_one_out(split=split)
        assert not chosen[held.inputs["user"].astype(int), held.positives].any()


def test_the_random_split_gives_each_user_every_rating_once_and_a_tenth_to_each_end() -> None:
    train, valid, test = choices.random_parts()
    for user, each in enumerate(movielens.sequences()):
        parts = train[user], valid[user], test[user]
        assert sorted(np.concatenate(parts).tolist()) == sorted(each.tolist())
        assert len(parts[1]) == len(parts[2]) == len(each) // 10
    assert choices.random_parts(seed=1)[2][0].tolist() != test[0].tolist()
