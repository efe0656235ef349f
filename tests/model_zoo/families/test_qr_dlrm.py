"""Tables of quotients and remainders tell all ids apart with few rows, by the papers' equations."""

import numpy as np
import pytest
import torch
from tests.model_zoo.families.equations import Weights, doubles
from torch import nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import dlrm, qr_dlrm


@pytest.mark.parametrize(("rows", "collisions"), [(944, 4), (1683, 4), (10, 3), (7, 7), (5, 1)])
def test_every_id_has_a_row_of_its_own_from_fewer_rows(rows: int, collisions: int) -> None:
    torch.manual_seed(0)
    table = qr_dlrm.QuotientRemainder(rows, 3, collisions)
    weights, ids = Weights(table), np.arange(rows)
    m = -(-rows // collisions)
    assert weights["remainder.weight"].shape == (m, 3)
    assert weights["quotient.weight"].shape == (-(-rows // m), 3)
    found = doubles(table(torch.arange(rows, dtype=torch.int32)))
    np.testing.assert_allclose(
        found, weights["quotient.weight"][ids // m] * weights["remainder.weight"][ids % m], rtol=1e-6
    )
    assert len(np.unique(found, axis=0)) == rows


def test_ids_are_computed_in_int32() -> None:
    table = qr_dlrm.QuotientRemainder(944, 2, 4)
    seen: list[torch.dtype] = []
    for each in (table.quotient, table.remainder):
        each.register_forward_pre_hook(lambda _, given: seen.append(given[0].dtype))
    table(torch.tensor([[0, 943]], dtype=torch.int32))
    assert seen == [torch.int32, torch.int32]


def test_a_table_is_narrower_the_more_rows_it_has_and_comes_out_as_wide() -> None:
    table = qr_dlrm.small_table(collisions=4, full=30, alpha=0.15)
    small, large = table(25, 17), table(1683, 17)
    assert isinstance(small, nn.Embedding)
    assert small.weight.shape == (25, 17)
    assert isinstance(large, nn.Sequential)
    narrow = large[0]
    assert isinstance(narrow, qr_dlrm.QuotientRemainder)
    assert narrow.remainder.weight.shape == (421, round(17 * (30 / 1683) ** 0.15)) == (421, 9)
    assert large(torch.tensor([3, 1682])).shape == (2, 17)


def test_it_has_less_than_half_of_the_parameters_of_a_dlrm_whose_net_it_has() -> None:
    numbers = movielens.feature_numbers()
    own, whole = (
        sum(each.numel() for each in factory(**numbers).parameters())
        for factory in (qr_dlrm.model, dlrm.model)
    )
    assert own < whole / 2
