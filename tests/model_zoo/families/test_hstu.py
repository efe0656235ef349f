"""HSTU: the equations of the paper, times as powers of two of minutes, and the floors."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import hstu
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.baselines import baselines
from pocketrec.model_zoo.training.loop import measured

Doubles = npt.NDArray[np.float64]
Trained = Callable[[str], nn.Module]


def silu(x: Doubles) -> Doubles:
    out: Doubles = x / (1 + np.exp(-x))
    return out


def normalised(x: Doubles) -> Doubles:
    out: Doubles = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return out


def test_a_layer_is_that_of_the_paper() -> None:
    torch.manual_seed(3)
    layer = hstu.Layer(4, heads=1, max_length=3, dropout=0.0).eval()
    x, bias, visible = torch.randn(1, 3, 4), torch.randn(1, 1, 3, 3), torch.ones(3, 3).tril()[None, None]
    weights = {name: each.detach().double().numpy() for name, each in layer.named_parameters()}
    rows = x[0].double().numpy()
    gate, value, query, key = np.split(
        silu(normalised(rows) @ weights["into.weight"].T + weights["into.bias"]), 4, axis=-1
    )
    attended = silu(query @ key.T + bias[0, 0].numpy()) * np.tril(np.ones((3, 3))) @ value / 3
    expected = rows + (normalised(attended) * gate) @ weights["out.weight"].T + weights["out.bias"]
    np.testing.assert_allclose(layer(x, bias, visible)[0].detach().numpy(), expected, atol=1e-4)


def test_the_bias_is_of_places_between_and_of_the_minutes_until_the_next_item() -> None:
    bias = hstu.RelativeBias(1, max_length=4, time_buckets=5)
    with torch.no_grad():
        bias.place.weight.copy_(torch.arange(4.0)[:, None] * 100)
        bias.time.weight.copy_(torch.arange(6.0)[:, None])
    found = bias(torch.tensor([[40, 10, 7]], dtype=torch.int32))[0, 0]
    # Asked for at 10, 7 and 0 minutes ago: after the first item 30 minutes had passed, which is bucket 5.
    assert found.tril().tolist() == [[5, 0, 0], [105, 2, 0], [205, 104, 3]]


def test_more_minutes_than_float16_holds_are_still_told_apart() -> None:
    bias = hstu.RelativeBias(1, max_length=1, time_buckets=20)
    ages = [(1 << 19) - 1, 1 << 19, 2_000_000_000]
    found = [bias(torch.tensor([[age]], dtype=torch.int32)).item() for age in ages]
    assert found[0] != found[1] == found[2]


def test_only_differences_of_ages_matter_but_after_the_last_item() -> None:
    torch.manual_seed(3)
    net = hstu.model(num_items=9, max_length=6, dim=8)
    history, ages = (
        torch.tensor([[4, 2, 7]], dtype=torch.int32),
        torch.tensor([[90, 30, 2]], dtype=torch.int32),
    )
    now, later = net.encode(history, ages), net.encode(history, ages + 1000)
    torch.testing.assert_close(now[:, :-1], later[:, :-1])
    assert (now[:, -1] - later[:, -1]).abs().max() > 1e-4


def test_padding_before_a_history_changes_nothing() -> None:
    torch.manual_seed(3)
    net = hstu.model(num_items=9, max_length=6, dim=8)
    history, ages = torch.tensor([[4, 2]], dtype=torch.int32), torch.tensor([[90, 3]], dtype=torch.int32)
    full = [nn.functional.pad(each, (4, 0)) for each in (history, ages)]
    torch.testing.assert_close(net(history, ages), net(*full), atol=1e-5, rtol=1e-5)
    assert net(*(torch.zeros(1, 6, dtype=torch.int32) for _ in range(2))).isfinite().all()


def test_training_sees_ages_at_the_last_item_and_skips_padding() -> None:
    torch.manual_seed(3)
    net = hstu.model(num_items=9, max_length=6, dim=8)
    items, minutes = (torch.tensor(each, dtype=torch.int32) for each in ([0, 4, 2, 7], [0, 10, 70, 75]))
    found = hstu.loss_at(net, items, minutes)(net, torch.tensor([[0, 1, 2, 3]]))
    history, ages = torch.tensor([[0, 4, 2]]), torch.tensor([[0, 65, 5]])
    log_p = torch.log_softmax(net.score(net.encode(history, ages)), dim=-1)
    torch.testing.assert_close(found, -(log_p[0, 1, 2] + log_p[0, 2, 7]) / 2)


def test_the_minutes_are_those_of_the_sequences() -> None:
    data, plain = movielens.leave_one_out_with_minutes(), movielens.leave_one_out()
    assert (data.inputs["history"] == plain.inputs["history"]).all()
    ages = data.inputs["minutes_ago"]
    assert (ages[data.inputs["history"] == 0] == 0).all()
    assert (np.diff(ages)[plain.inputs["history"][:, :-1] != 0] <= 0).all()
    assert ages.max() < 1_000_000


def test_hstu_holds_its_floors_and_random_weights_do_not(trained: Trained, untrained: Trained) -> None:
    family, data = FAMILIES["hstu"], movielens.leave_one_out_with_minutes()
    net, random = trained("hstu"), untrained("hstu")
    hit_rate, ndcg = measured(lambda batch: net(**batch), data)
    assert hit_rate >= family.floor("hr@10") == 0.195
    assert ndcg >= family.floor("ndcg@10") == 0.102 > baselines("ml-100k").markov[1]
    assert measured(lambda batch: random(**batch), data)[1] < 0.02
