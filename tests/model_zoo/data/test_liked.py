"""Histories hold what was liked before the moment; a page holds one film that was liked, and others."""

from __future__ import annotations

import numpy as np

from pocketrec.model_zoo.data import liked, movielens


def test_what_was_liked_before_is_of_training_ratings_before_the_moment() -> None:
    table, data = movielens.ratings(), liked.rated_high_after(split="test")
    when = {
        (int(u), int(i)): (int(t), r)
        for u, i, t, r in zip(table.user, table.item, table.timestamp, table.rating, strict=True)
    }
    train = movielens.rated_high(split="train")
    known = set(zip(train.inputs["user"].tolist(), train.inputs["item"].tolist(), strict=True))
    assert data.inputs["history"].shape == (10_000, 20)
    assert (data.inputs["history"] != 0).any(axis=1).mean() > 0.9
    rows = zip(data.inputs["user"], data.inputs["item"], data.inputs["history"], strict=True)
    for user, item, history in list(rows)[:500]:
        moment, _ = when[int(user), int(item)]
        for before in history[history != 0]:
            assert (int(user), int(before)) in known
            assert when[int(user), int(before)][0] < moment
            assert when[int(user), int(before)][1] >= 4


def test_a_page_holds_the_liked_film_at_its_place_and_none_that_the_user_rated() -> None:
    data, rows = liked.pages(), liked.rated_high_after()
    films, users = rows.inputs["item"][rows.labels == 1][::5], data.inputs["user"]
    pages = data.inputs["candidates"]
    assert pages.shape == (len(films), liked.PAGE_LENGTH)
    assert np.array_equal(pages[np.arange(len(pages)), data.positives], films)
    table = movielens.ratings()
    rated = set(zip(table.user.tolist(), table.item.tolist(), strict=True))
    for user, page, place in list(zip(users, pages, data.positives, strict=True))[:500]:
        assert len(set(page.tolist())) == liked.PAGE_LENGTH
        assert page.all()
        others = np.delete(page, place)
        assert not any((int(user), int(each)) in rated for each in others)
    assert len(np.unique(data.positives)) == liked.PAGE_LENGTH


def test_pages_are_the_same_for_a_seed_and_others_for_another() -> None:
    one, same, other = (liked.pages(seed=each).inputs["candidates"] for each in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_validation_pages_are_of_other_ratings() -> None:
    pairs = []
    for data in (liked.pages(split="valid"), liked.pages(split="test")):
        films = data.inputs["candidates"][np.arange(len(data.positives)), data.positives]
        pairs.append(set(zip(data.inputs["user"].tolist(), films.tolist(), strict=True)))
    assert not pairs[0] & pairs[1]
