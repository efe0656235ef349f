"""What the modules promise whatever their weights: padding, empty rows, ids, dynamic shapes."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import sasrec, two_tower
from pocketrec.model_zoo.families.parts import attention
from pocketrec.model_zoo.training.loop import to_tensors

Trained = Callable[[str], nn.Module]
LENGTHS = [1, 2, 7, 49, 50]


def people(rows: int) -> dict[str, Tensor]:
    data = movielens.leave_one_out_with_features()
    return to_tensors({name: data.inputs[name][:rows] for name in ("age", "gender", "occupation")})


def padded(history: Tensor) -> Tensor:
    return torch.nn.functional.pad(history, (50 - history.shape[1], 0))


def random_history(length: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(length).integers(1, 1683, (4, length)).astype(np.int32))


@pytest.mark.parametrize("length", LENGTHS)
def test_sasrec_scores_a_short_history_as_it_does_the_padded_one(trained: Trained, length: int) -> None:
    module, history = trained("sasrec"), random_history(length)
    with torch.no_grad():
        torch.testing.assert_close(module(history), module(padded(history)), atol=1e-4, rtol=1e-4)


def test_positions_counted_from_the_left_would_be_noticed(trained: Trained) -> None:
    module, history = trained("sasrec"), random_history(7)
    assert isinstance(module, sasrec.SASRec)
    with torch.no_grad():
        expected = module(padded(history))
        module.position_embedding.weight.copy_(module.position_embedding.weight.roll(43, dims=0))
        assert (module(history) - expected).abs().max() > 0.1


@pytest.mark.parametrize("length", LENGTHS)
def test_the_user_tower_sees_a_short_history_as_it_does_the_padded_one(trained: Trained, length: int) -> None:
    module, history, about = trained("two-tower"), random_history(length), people(4)
    assert isinstance(module, two_tower.TwoTower)
    with torch.no_grad():
        short, full = (module.user_tower(each, **about) for each in (history, padded(history)))
    torch.testing.assert_close(short, full, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_row_of_padding_alone_is_finite(trained: Trained, dtype: torch.dtype) -> None:
    empty = torch.zeros(2, 50, dtype=torch.int32)
    with torch.no_grad():
        assert trained("sasrec").to(dtype)(empty).isfinite().all()
        module = trained("two-tower").to(dtype)
        assert isinstance(module, two_tower.TwoTower)
        assert module.user_tower(empty, **people(2)).isfinite().all()
        item = module.item_tower(torch.zeros(1).int(), torch.zeros(1, 6).int(), torch.zeros(1).int())
        assert item.isfinite().all()


def test_a_mask_of_minus_infinity_would_be_noticed(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "MASKED", -torch.inf)
    with torch.no_grad():
        assert trained("sasrec")(torch.zeros(2, 50, dtype=torch.int32)).isnan().any()


def test_retrieve_gives_the_best_items_of_the_catalogue_and_never_padding(trained: Trained) -> None:
    module, data = trained("two-tower"), movielens.leave_one_out_with_features()
    assert isinstance(module, two_tower.TwoTower)
    expected = two_tower.scores(module, data.inputs, data.catalogue)[:, 1:]
    with torch.no_grad():
        scores, ids = module.retrieve(**to_tensors(data.inputs))
    assert (scores.dtype, ids.dtype, ids.shape) == (torch.float32, torch.int32, (943, 100))
    assert ids.min() >= 1
    assert ids.max() <= 1682
    np.testing.assert_allclose(scores.numpy(), -np.sort(-expected)[:, :100], atol=1e-5)
    np.testing.assert_allclose(
        np.take_along_axis(expected, ids.numpy().astype(np.int64) - 1, 1), scores.numpy(), atol=1e-5
    )


def test_a_stale_catalogue_would_be_noticed(trained: Trained) -> None:
    module, data = trained("two-tower"), movielens.leave_one_out_with_features()
    assert isinstance(module, two_tower.TwoTower)
    before = module.catalogue.clone()
    module.freeze_catalogue(**to_tensors(data.catalogue))
    torch.testing.assert_close(module.catalogue, before, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        module.item_embedding.weight.mul_(-1)
    module.freeze_catalogue(**to_tensors(data.catalogue))
    assert (module.catalogue - before).abs().max() > 0.1
