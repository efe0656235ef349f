"""Training with the plan's arithmetic: the forward is rounded, gradients arrive, codes come out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.errors import PlanError
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.training import finish, prepare_training


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(20, 8, padding_idx=0)
        self.out = nn.Linear(8, 3)
        self.register_buffer("frozen", torch.ones(4, 4))

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.out(self.item(ids))
        return scores


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


IDS = torch.arange(20)


@pytest.mark.parametrize("scheme", [Linear(bits=4), Palette(bits=2), Linear(bits=4, symmetric=False)])
def test_the_forward_is_that_of_the_compressed_reference(net: Net, scheme: Linear | Palette) -> None:
    plan = Plan(tensors={"item.weight": scheme})
    expected, _ = compress(net, plan)
    prepared = prepare_training(net, plan)
    assert torch.allclose(prepared(IDS), expected(IDS), atol=1e-6)


@pytest.mark.parametrize("learn_steps", [True, False])
def test_training_lowers_the_loss_of_the_rounded_model(net: Net, learn_steps: bool) -> None:
    plan = Plan(tensors={"*.weight": Linear(bits=4)})
    goal = torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
    prepare_training(net, plan, learn_steps=learn_steps)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = (net(IDS) - goal).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_learned_step_gets_a_gradient_and_the_padding_row_stays_zero(net: Net) -> None:
    prepare_training(net, Plan(tensors={"item.weight": Linear(bits=4)}))
    net(IDS).square().sum().backward()
    steps = dict(net.named_parameters())["item.parametrizations.weight.0.log_step"]
    assert steps.grad is not None
    assert steps.grad.abs().sum() > 0
    assert not net.item(torch.tensor([0])).any()


def test_compress_finds_the_levels_that_were_learned(net: Net) -> None:
    plan = Plan(tensors={"item.weight": Linear(bits=4, clipping="search")})
    prepare_training(net, plan)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(5):
        optimizer.zero_grad()
        net(IDS).square().sum().backward()
        optimizer.step()
    with torch.no_grad():
        trained = net(IDS)
    done, codes = compress(finish(net), plan)
    assert set(codes) == {"item.weight"}
    assert torch.allclose(done(IDS), trained, atol=1e-5)


def test_training_rounds_to_nearest_what_is_planned_with_feedback(net: Net) -> None:
    expected, _ = compress(net, Plan(tensors={"item.weight": Linear(bits=4)}))
    planned = Plan(tensors={"item.weight": Linear(bits=4, rounding="feedback")})
    prepared = prepare_training(net, planned, learn_steps=False)
    assert torch.allclose(prepared(IDS), expected(IDS), atol=1e-6)


def test_a_buffer_and_a_tied_parameter_are_refused_by_name(net: Net) -> None:
    with pytest.raises(PlanError, match=r"frozen: is a buffer"):
        prepare_training(net, Plan(tensors={"frozen": Linear()}))
    net.tied = nn.Linear(8, 20, bias=False)
    net.tied.weight = net.item.weight
    with pytest.raises(PlanError, match=r"item\.weight: is tied to tied\.weight"):
        prepare_training(net, Plan(tensors={"item.weight": Linear()}))


def test_finish_leaves_plain_parameters(net: Net) -> None:
    before = {name for name, _ in net.named_parameters()}
    prepare_training(net, Plan(tensors={"*.weight": Linear(bits=4)}))
    assert {name for name, _ in net.named_parameters()} != before
    finish(net)
    assert {name for name, _ in net.named_parameters()} == before
    assert np.isfinite(net.item.weight.detach().numpy()).all()
