"""Neural-linear Thompson sampling: chances are those of draws, and the graph draws nothing by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.model_zoo.data import open_bandit
from pocketrec.model_zoo.families import thompson
from pocketrec.model_zoo.families.parts import store_counts
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.loop import measured, to_tensors

Trained = Callable[[str], nn.Module]
IDS = {f"person_{place}": torch.tensor([1, 2, 0]) for place in range(4)}


def small() -> thompson.NeuralLinear:
    torch.manual_seed(0)
    net = thompson.model(
        num_arms=5, num_person_0s=3, num_person_1s=4, num_person_2s=5, num_person_3s=6, hidden=8, dim=3
    )
    rng = np.random.default_rng(0)
    x = np.concatenate([np.ones((60, 1)), rng.normal(size=(60, 3))], axis=1) * net.scale * 4
    with torch.no_grad():
        net.posterior.learn(x, np.arange(60) % 5, rng.random(60) * 0.01)
    return net


def shares(mean: Tensor, width: Tensor, draws: int) -> Tensor:
    """How often each arm's draw is the largest, `[arms]`."""
    drawn = mean + width * torch.randn(draws, len(mean), generator=torch.Generator().manual_seed(1))
    return torch.bincount(drawn.argmax(dim=1), minlength=len(mean)) / draws


def test_draws_are_the_posteriors_mean_and_its_width_times_the_noise() -> None:
    net, noise = small(), torch.tensor([[0.0] * 5, [1.0] * 5, [-2.0] * 5])
    with torch.no_grad():
        drawn, _ = net(**IDS, noise=noise)
        z = torch.cat((torch.ones(3, 1), net.person(tuple(IDS.values()))), dim=1).numpy() / 64
    root, theta = net.posterior.root.numpy(), net.posterior.theta.numpy()
    for arm in range(5):
        covariance = store_counts.NOISE**2 * root[arm].T @ root[arm]
        deviation = np.sqrt(np.einsum("bi,ij,bj->b", z, covariance, z))
        expected = z @ theta[arm] + deviation * noise[:, arm].numpy()
        np.testing.assert_allclose(drawn[:, arm], expected, atol=1e-6)


def test_the_same_noise_gives_the_same_draws_and_chances_do_not_follow_it() -> None:
    net, noise = small(), torch.randn(3, 5, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        (first, chance), (again, _), (_, other) = (net(**IDS, noise=each) for each in (noise, noise, -noise))
    assert torch.equal(first, again)
    assert torch.equal(chance, other)


@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_chances_are_the_shares_of_draws_that_are_largest(spread: float) -> None:
    """Of arms that differ by much and by little, of widths that differ twofold; a sample errs by .001."""
    net, rng = small(), torch.Generator().manual_seed(3)
    mean = spread * torch.randn(1, 12, generator=rng)
    width = 0.5 + 0.5 * torch.rand(1, 12, generator=rng)
    found = net.chances(mean, width)
    assert found.sum().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(found[0], shares(mean[0], width[0], 400_000), atol=4e-3, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_chances_are_finite_where_one_arm_is_far_ahead(dtype: torch.dtype) -> None:
    mean = torch.tensor([[0.0, 0.0, 1.0]], dtype=dtype)
    found = small().to(dtype).chances(mean, torch.full_like(mean, 0.02))
    assert found.isfinite().all()
    assert found[0, 2] > 0.999


def test_the_weights_hold_their_floors_and_draw_as_their_chances_say(
    shop: Callable[[str], str], trained: Trained, untrained: Trained
) -> None:
    """Of 38 clicks."""
    shop("open-bandit")
    data, family = open_bandit.clicked_with_noise(), FAMILIES["thompson"]
    found = measured(lambda batch: trained("thompson")(**batch)[1], data)
    assert found[0] >= family.floor("hr@10") == 0.18
    assert found[1] >= family.floor("ndcg@10") == 0.085
    assert measured(lambda batch: untrained("thompson")(**batch)[1], data)[1] < 0.05
    net = trained("thompson")
    assert isinstance(net, thompson.NeuralLinear)
    inputs = to_tensors({name: each[:1] for name, each in data.inputs.items()})
    with torch.no_grad():
        mean, width = net.posterior(net.context(tuple(inputs[f"person_{place}"] for place in range(4))))
        chance = net(**inputs)[1][0]
    torch.testing.assert_close(chance, shares(mean[0], net.noise * width[0], 100_000), atol=5e-3, rtol=0)
