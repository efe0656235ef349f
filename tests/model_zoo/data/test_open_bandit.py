"""The Open Bandit logs as they are: rounds, people, items and clicks, and the policy that BTS was."""

from collections.abc import Callable

import numpy as np
import pytest

from pocketrec.model_zoo.data import bernoulli_ts, open_bandit


@pytest.fixture(autouse=True)
def there(shop: Callable[[str], str]) -> None:
    shop("open-bandit")


def test_people_have_the_same_ids_in_every_log() -> None:
    sizes = [len(open_bandit.person_vocabulary(place).tokens) for place in range(4)]
    assert sizes == [4, 6, 10, 11]
    assert list(open_bandit.person_sizes().values()) == [3, 5, 9, 10]
    for policy in open_bandit.POLICIES:
        person = open_bandit.log(policy, "women").person
        assert (person.min(axis=0) >= 1).all()
        assert (person.max(axis=0) < sizes).all()


def test_impressions_are_cut_by_time_and_items_of_campaigns_stay_apart() -> None:
    early, late = (open_bandit.impressions(split=split) for split in ("train", "test"))
    assert (len(early), len(late)) == (48_000, 12_000)
    assert early.labels.sum() + late.labels.sum() == 38 + 42 + 46 + 69 + 46 + 46
    tokens = open_bandit.item_vocabulary().tokens
    assert len(tokens) == 161
    log = open_bandit.log("random", "men")
    shown = [tokens[each] for each in early.inputs["item"][8000:16_000]]
    assert shown[:50] == [f"men {each}" for each in log.item[:50]]
    np.testing.assert_array_equal(
        early.inputs["affinity"][8000:16_000], log.affinity[np.arange(8000), log.item[:8000]]
    )
    assert log.affinity.sum() > log.affinity[:, 0].sum() > 0


def test_a_row_of_ranking_data_is_a_click() -> None:
    data, log = open_bandit.clicked(), open_bandit.log("random")
    assert len(data) == 38
    assert data.positives.tolist() == log.item[log.click == 1].tolist()
    assert data.ignored_ids == ()
    np.testing.assert_array_equal(data.inputs["person_3"], log.person[log.click == 1, 3])


def test_the_pages_of_the_stores_own_policy_are_those_that_obp_draws() -> None:
    """obp 0.4.1 and 0.5.4 print these chances of items 0 and 79 for 100,000 pages of seed 12345."""
    chances = bernoulli_ts.page_chances()
    np.testing.assert_allclose(chances[0], [0.01078, 0.00931, 0.00917], atol=1e-9)
    np.testing.assert_allclose(chances[79], [0.0582, 0.07603, 0.07998], atol=1e-9)
    np.testing.assert_allclose(chances.sum(axis=0), 1)
