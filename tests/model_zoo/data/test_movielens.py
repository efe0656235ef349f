"""Vocabularies and splits are what the module says they are, on the real data."""

import subprocess
import sys

import numpy as np
import pytest

from pocketrec.model_zoo.data import movielens


def test_reading_the_data_needs_no_torch() -> None:
    code = """
import sys
from pocketrec.model_zoo import registry
from pocketrec.model_zoo.data import movielens
assert 'torch' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "size", "first"),
    [("item", 1683, "<pad>"), ("user", 944, "<unknown>"), ("genre", 20, "<pad>"), ("age", 8, "<unknown>")],
)
def test_id_0_is_set_aside(name: str, size: int, first: str) -> None:
    tokens = movielens.VOCABULARIES[name]().tokens
    assert (len(tokens), tokens[0]) == (size, first)
    assert len(set(tokens)) == size


def test_tokens_and_features_agree_on_a_known_film() -> None:
    item = movielens.item_vocabulary().tokens.index("1")  # Toy Story, 1995
    features = movielens.item_features()
    genres = [movielens.genre_vocabulary().tokens[each] for each in features["genres"][item]]
    assert genres == ["Animation", "Children's", "Comedy", "<pad>", "<pad>", "<pad>"]
    assert movielens.year_vocabulary().tokens[features["year"][item]] == "1995"
    assert features["year"][movielens.item_vocabulary().tokens.index("267")] == 0, "its year is unknown"


def test_titles_stand_beside_tokens() -> None:
    tokens, titles = movielens.item_vocabulary().tokens, movielens.item_titles().tokens
    assert len(titles) == len(tokens)
    assert titles[0] == ""
    assert titles[tokens.index("1")] == "Toy Story (1995)"
    assert titles.count("Chasing Amy (1997)") == 2, "the data set has some films twice"


def test_tokens_and_features_agree_on_a_known_user() -> None:
    features = movielens.user_features()
    row = movielens.user_vocabulary().tokens.index("2")
    values = {name: movielens.VOCABULARIES[name]().tokens[each[row]] for name, each in features.items()}
    assert values == {"age": "50-55", "gender": "F", "occupation": "other"}


def test_one_is_left_out_by_time_and_the_seen_are_all_that_came_before() -> None:
    table, data, user = movielens.ratings(), movielens.leave_one_out(), 195
    mine = np.flatnonzero(table.user == user + 1)
    ordered = mine[np.argsort(table.timestamp[mine], kind="stable")]
    assert data.positives[user] == table.item[ordered[-1]]
    assert list(data.seen(user)) == list(table.item[ordered[:-1]])
    padded = data.inputs["history"][user]
    real = padded[padded != 0]
    assert list(real) == list(table.item[ordered[:-1]][-50:])
    assert (padded[: 50 - len(real)] == 0).all()


def test_no_positive_is_among_the_seen() -> None:
    for split in ("valid", "test"):
        data = movielens.leave_one_out(split=split)
        assert len(data) == 943
        assert not any(data.positives[user] in data.seen(user) for user in range(len(data)))


def test_validation_comes_before_test() -> None:
    valid, test = movielens.leave_one_out(split="valid"), movielens.leave_one_out(split="test")
    assert all(valid.positives[user] == test.seen(user)[-1] for user in range(len(test)))


def test_classification_splits_share_no_rating_and_lose_none() -> None:
    keys = []
    for split in ("train", "valid", "test"):
        data = movielens.rated_high(split=split)
        keys.append({(int(u), int(i)) for u, i in zip(data.inputs["user"], data.inputs["item"], strict=True)})
    assert [len(each) for each in keys] == [80_000, 10_000, 10_000]
    assert len(set.union(*keys)) == 100_000


def test_labels_are_of_the_least_rating_that_is_asked_for() -> None:
    """55,375 of 100,000 ratings are 4 or 5, 21,201 are 5; inputs and order are the same."""
    splits: tuple[movielens.Split, ...] = ("train", "valid", "test")
    liked, loved = (
        [movielens.rated_high(split=each, at_least=at_least) for each in splits] for at_least in (4.0, 5.0)
    )
    assert [sum(each.labels.sum() for each in head) for head in (liked, loved)] == [55_375, 21_201]
    for four, five in zip(liked, loved, strict=True):
        assert (five.labels <= four.labels).all()
        assert np.array_equal(five.inputs["item"], four.inputs["item"])


def test_hours_and_weekdays_are_those_of_utc() -> None:
    table = movielens.ratings()
    row = int(np.flatnonzero((table.user == 196) & (table.item == 242))[0])
    assert table.timestamp[row] == 881250949  # 1997-12-04 15:55:49, a Thursday
    for split in ("train", "valid", "test"):
        data = movielens.rated_high(split=split)
        found = np.flatnonzero((data.inputs["user"] == 196) & (data.inputs["item"] == 242))
        if len(found):
            hour, weekday = data.inputs["hour"][found[0]], data.inputs["weekday"][found[0]]
            assert movielens.hour_vocabulary().tokens[hour] == "15"
            assert movielens.weekday_vocabulary().tokens[weekday] == "Thursday"
            return
    raise AssertionError("the rating is in no split")
