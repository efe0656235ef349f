"""Estimates of the store's policy are those that obp prints, and the page shows what is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.zoo.off_policy import MARKS, Judged, judge, judged, table, written

from pocketrec.errors import DataError
from pocketrec.model_zoo.data import bernoulli_ts, open_bandit
from pocketrec.model_zoo.registry import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "bandits.md"


@pytest.fixture(scope="module")
def rows() -> tuple[Judged, ...]:
    """Every policy on the uniform log; what needs it is not run where that cannot be had."""
    try:
        return judged()
    except DataError as error:
        pytest.skip(f"not run: {error}")


@pytest.mark.long
def test_estimates_of_the_stores_policy_are_those_of_the_pipelines_quick_start(
    rows: tuple[Judged, ...],
) -> None:
    """obp's examples/quickstart/obd.ipynb: IPW .004553, DM .003545, DR .004727, of 100,000 drawn pages."""
    uniform, store = rows[:2]
    assert uniform.ipw.value == pytest.approx(0.0038, abs=1e-12)
    assert store.ipw.value == pytest.approx(0.004553, abs=1e-6)
    assert store.dm.value == pytest.approx(0.003545, rel=0.005)
    assert store.dr.value == pytest.approx(0.004727, rel=0.005)


@pytest.mark.long
def test_places_of_a_page_that_are_mixed_up_are_noticed(rows: tuple[Judged, ...]) -> None:
    found = open_bandit.log("random")
    chances = bernoulli_ts.page_chances()[:, (found.position + 1) % 3].T
    turned = judge("places in another order", found, chances, np.zeros(chances.shape))
    assert abs(turned.ipw.value - rows[1].ipw.value) > 1e-5


@pytest.mark.long
def test_the_page_shows_what_is_computed(rows: tuple[Judged, ...]) -> None:
    page = PAGE.read_text()
    assert written(page, rows) == page
    assert table(rows[:-1]) + "\n\n" not in page


def test_the_page_has_a_row_for_every_family_that_decides() -> None:
    inside = PAGE.read_text().split(MARKS[0])[1].split(MARKS[1])[0]
    deciding = [name for name, each in FAMILIES.items() if "decide" in each.roles]
    assert len(deciding) >= 3
    assert [name for name in deciding if f"| `{name}` |" not in inside] == []
