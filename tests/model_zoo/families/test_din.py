"""DIN computes the paper's equations, sees a history as it is padded or not, and a page as its films."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.model_zoo.families.equations import SIZES, Weights, doubles, drawn, scattered, sigmoid
from torch import Tensor, nn

from pocketrec.model_zoo.data import liked, movielens
from pocketrec.model_zoo.families import din
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.loop import to_tensors

Trained = Callable[[str], nn.Module]


def batch(rows: int = 32) -> dict[str, Tensor]:
    return to_tensors({name: each[:rows] for name, each in liked.rated_high_after().inputs.items()})


def test_an_interest_is_the_sum_of_what_was_liked_weighed_by_the_activation_unit() -> None:
    net = din.model(**SIZES, dim=3, attention=5, hidden=6)
    weights, past, item = Weights(scattered(net)), drawn(7, 4, 3), drawn(7, 3)
    real = torch.tensor([[False, False, True, True]] * 6 + [[False] * 4])
    expected = np.zeros((7, 3))
    for row in range(6):
        for place in (2, 3):
            before, asked = doubles(past)[row, place], doubles(item)[row]
            hidden = weights.linear(
                "activation.net.0", np.concatenate([before, asked, before - asked, before * asked])
            )
            hidden = np.where(hidden > 0, hidden, weights["activation.net.1.weight"] * hidden)
            expected[row] += weights.linear("activation.net.2", hidden) * before
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


def ranked(module: nn.Module, rows: int) -> tuple[float, float]:
    """HR@10 and NDCG@10 of pages."""
    data = liked.pages()
    assert isinstance(module, din.DIN)
    with torch.no_grad():
        scores = module.page(**to_tensors({name: each[:rows] for name, each in data.inputs.items()})).numpy()
    own = np.take_along_axis(scores, data.positives[:rows, None], axis=1)
    above = (scores > own).sum(axis=1) + (scores == own).sum(axis=1) - 1
    gains = np.where(above < 10, 1 / np.log2(above + 2), 0)
    return float((above < 10).mean()), float(gains.mean())


def test_a_page_says_of_each_film_what_is_said_of_it_alone(trained: Trained) -> None:
    module = trained("din")
    assert isinstance(module, din.DIN)
    data = liked.pages()
    inputs = to_tensors({name: each[:3] for name, each in data.inputs.items()})
    films = movielens.item_features()
    with torch.no_grad():
        page = module.page(**inputs)
        assert page.shape == (3, liked.PAGE_LENGTH)
        once = {name: each for name, each in inputs.items() if name != "candidates"}
        for place in (0, 7, liked.PAGE_LENGTH - 1):
            of_item = {
                name: torch.from_numpy(column[inputs["candidates"][:, place].numpy()])
                for name, column in films.items()
            }
            torch.testing.assert_close(page[:, place], module(**once, **of_item), atol=1e-6, rtol=1e-5)


def test_padding_stands_on_no_page(trained: Trained) -> None:
    module = trained("din")
    assert isinstance(module, din.DIN)
    inputs = to_tensors({name: each[:4] for name, each in liked.pages().inputs.items()})
    inputs["candidates"][:, 20:] = 0
    with torch.no_grad():
        found = module.page(**inputs)
    assert (found[:, :20] > 0).all()
    assert not found[:, 20:].any()


def test_pages_hold_the_floor_and_those_of_untrained_weights_do_not(
    trained: Trained, untrained: Trained
) -> None:
    """By chance a third of the films are among the first ten of thirty, with an NDCG of .151."""
    floor = FAMILIES["din"].floor("ndcg@10 of page")
    assert ranked(trained("din"), rows=2000)[1] >= floor == 0.335
    module = untrained("din")
    assert isinstance(module, din.DIN)
    module.load_state_dict(
        module.state_dict() | {n: e for n, e in trained("din").named_buffers() if "item_" in n}
    )
    assert ranked(module, rows=1000)[1] < 0.2
