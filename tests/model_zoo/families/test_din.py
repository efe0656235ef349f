"""DIN computes the paper's equations, and sees a history as it is, however it is padded."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.model_zoo.families.equations import SIZES, Weights, doubles, drawn, scattered, sigmoid
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import din
from pocketrec.model_zoo.training.loop import to_tensors

Trained = Callable[[str], nn.Module]


def batch(rows: int = 32) -> dict[str, Tensor]:
    return to_tensors({name: each[:rows] for name, each in movielens.rated_high_after().inputs.items()})


def test_an_interest_is_the_sum_of_what_was_liked_weighed_by_the_activation_unit() -> None:
    net = din.model(**SIZES, dim=3, attention=5, hidden=6)
    weights, past, item = Weights(scattered(net)), drawn(7, 4, 3), drawn(7, 3)
    real = torch.tensor([[False, False, True, True]] * 6 + [[False] * 4])
    expected = np.zeros((7, 3))
    for row in range(6):
        for place in (2, 3):
            liked, asked = doubles(past)[row, place], doubles(item)[row]
            hidden = weights.linear(
                "activation.net.0", np.concatenate([liked, asked, liked - asked, liked * asked])
            )
            hidden = np.where(hidden > 0, hidden, weights["activation.net.1.weight"] * hidden)
            expected[row] += weights.linear("activation.net.2", hidden) * liked
    np.testing.assert_allclose(doubles(net.interest(past, item, real)), expected, atol=1e-4)


def test_dice_bends_at_the_mean_of_the_training_data() -> None:
    dice = din.Dice(3)
    dice.norm.running_mean = torch.tensor([0.0, 2.0, -1.0])
    dice.norm.running_var = torch.tensor([1.0, 4.0, 0.25])
    dice.alpha.data = torch.tensor([0.0, 0.5, -0.3])
    s = drawn(6, 3)
    p = sigmoid((doubles(s) - [0, 2, -1]) / np.sqrt(np.array([1, 4, 0.25]) + 1e-5))
    expected = p * doubles(s) + (1 - p) * np.array([0, 0.5, -0.3]) * doubles(s)
    np.testing.assert_allclose(doubles(dice.eval()(s)), expected, atol=1e-6)


@pytest.mark.parametrize("length", [1, 3, 20])
def test_a_short_history_says_what_the_padded_one_says(trained: Trained, length: int) -> None:
    module, inputs = trained("din"), batch()
    short = {**inputs, "history": inputs["history"][:, -length:]}
    padded = {**inputs, "history": nn.functional.pad(short["history"], (20 - length, 0))}
    with torch.no_grad():
        torch.testing.assert_close(module(**short), module(**padded), atol=1e-6, rtol=1e-5)


def test_an_empty_history_is_no_interest_and_another_history_another_answer(trained: Trained) -> None:
    module, inputs = trained("din"), batch()
    assert isinstance(module, din.DIN)
    empty = {**inputs, "history": torch.zeros_like(inputs["history"])}
    other = {**inputs, "history": inputs["history"].roll(1, 0)}
    with torch.no_grad():
        assert not module.interest(drawn(2, 4, 16), drawn(2, 16), torch.zeros(2, 4, dtype=torch.bool)).any()
        assert module(**empty).isfinite().all()
        assert (module(**inputs) - module(**other)).abs().max() > 0.01
