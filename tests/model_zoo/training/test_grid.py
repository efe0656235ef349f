"""Weights on a grid of 8 bits a row are what int8 compression keeps."""

import torch
from torch import nn

from pocketrec.model_zoo.training.grid import to_grid
from pocketrec.quantize.presets import preset_plan
from pocketrec.quantize.reference import compress, compressible


@torch.no_grad()
def lost(net: nn.Module) -> float:
    """The largest difference that the preset int8 makes, relative to the largest weight of the tensor."""
    shapes = {name: tuple(each.shape) for name, each in compressible(net).items()}
    after = compressible(compress(net, preset_plan("int8", shapes, {}))[0])
    return max(
        float((each - after[name]).abs().max() / each.abs().max()) for name, each in compressible(net).items()
    )


def test_what_lies_on_the_grid_is_not_rounded_again_even_from_float16() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(40, 64, padding_idx=0), nn.Linear(64, 48))
    assert lost(net) > 3e-3
    to_grid(net)
    assert lost(net) < 1.5e-3  # a scale has the eleven bits of float16
    assert lost(net.half().float()) < 1.5e-3


def test_rows_move_by_half_a_step_at_most_and_biases_and_small_tensors_stay() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 48), nn.Linear(4, 5))
    before = [each.clone() for each in net.parameters()]
    to_grid(net)
    weight, *others = net.parameters()
    step = before[0].abs().amax(dim=1, keepdim=True) / 127
    assert ((weight - before[0]).abs() <= step * 0.5001).all()
    assert not torch.equal(weight, before[0])
    assert all(torch.equal(one, other) for one, other in zip(others, before[1:], strict=True))
