"""What the models of one rating promise whatever their weights, and that the weights hold the floors."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from pocketrec.evaluation import ClassificationData
from pocketrec.model_zoo.data import liked, movielens
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.labels import probabilities
from pocketrec.model_zoo.training.loop import to_tensors
from pocketrec.model_zoo.training.rated import LOVED, item_mean_auc

Trained = Callable[[str], nn.Module]
DATA = {"din": liked.rated_high_after}  # of a family that reads more than the features
ONE_HEAD = ("dlrm", "qr-dlrm", "deepfm", "dcnv2", "din", "autoint", "finalmlp")
TWO_HEADS = ("mmoe", "ple")
ALL = (*ONE_HEAD, *TWO_HEADS)


@cache
def rated(name: str, at_least: float = 4.0) -> ClassificationData:
    return DATA.get(name, movielens.rated_high)(at_least=at_least)


def batch(name: str, rows: int = 64) -> dict[str, Tensor]:
    return to_tensors({key: each[:rows] for key, each in rated(name).inputs.items()})


def answers(module: nn.Module, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        found: Any = module(**inputs)
    return found if isinstance(found, tuple) else (found,)


def auc(module: Any, name: str) -> float:
    """Of what is rated 4 or 5, by the first head."""
    data = rated(name)
    found = probabilities(module, data.inputs)
    return float(roc_auc_score(data.labels, found if found.ndim == 1 else found[:, 0]))


@pytest.mark.parametrize("name", ALL)
def test_the_weights_hold_the_floor_and_say_more_than_the_items_mean(trained: Trained, name: str) -> None:
    baseline = item_mean_auc()
    assert 0.70 < baseline < 0.71
    assert auc(trained(name), name) >= FAMILIES[name].floor("auc") > baseline + 0.05


@pytest.mark.parametrize("name", TWO_HEADS)
def test_the_second_head_is_about_its_own_task(trained: Trained, name: str) -> None:
    """A fifth of the ratings are 5, more than a half are 4 or 5."""
    loved, module = rated(name, at_least=5.0), trained(name)
    likes, found = probabilities(module, loved.inputs).T  # type: ignore[arg-type]  # it is Labelled
    assert (
        roc_auc_score(loved.labels, found)
        >= FAMILIES[name].floor("auc of loved")
        > item_mean_auc(LOVED) + 0.05
    )
    assert abs(found.mean() - loved.labels.mean()) < 0.03
    assert abs(likes.mean() - loved.labels.mean()) > 0.25


@pytest.mark.parametrize("name", ALL)
def test_untrained_weights_hold_no_floor(untrained: Trained, name: str) -> None:
    assert auc(untrained(name), name) < 0.7


@pytest.mark.parametrize("name", ALL)
def test_answers_are_probabilities_of_each_row(trained: Trained, name: str) -> None:
    found = answers(trained(name), batch(name))
    assert len(found) == (2 if name in TWO_HEADS else 1)
    for each in found:
        assert (each.shape, each.dtype) == ((64,), torch.float32)
        assert ((each > 0) & (each < 1)).all()


@pytest.mark.parametrize("name", ALL)
def test_padding_of_genres_says_nothing_and_their_order_neither(trained: Trained, name: str) -> None:
    module, inputs = trained(name), batch(name)
    wider = {**inputs, "genres": nn.functional.pad(inputs["genres"], (3, 2))}
    turned = {**inputs, "genres": inputs["genres"].flip(1)}
    for expected, *others in zip(*(answers(module, each) for each in (inputs, wider, turned)), strict=True):
        for other in others:
            torch.testing.assert_close(other, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", ALL)
def test_nothing_known_is_finite(trained: Trained, name: str, dtype: torch.dtype) -> None:
    nothing = {key: torch.zeros_like(each[:2]) for key, each in batch(name).items()}
    for each in answers(trained(name).to(dtype), nothing):
        assert each.isfinite().all()


@pytest.mark.parametrize("name", ALL)
def test_rows_do_not_see_each_other(trained: Trained, name: str) -> None:
    module, inputs = trained(name), batch(name, rows=5)
    alone = [answers(module, {key: each[row : row + 1] for key, each in inputs.items()}) for row in range(5)]
    for head, found in enumerate(answers(module, inputs)):
        np.testing.assert_allclose(found.numpy(), [float(each[head]) for each in alone], atol=1e-6)
