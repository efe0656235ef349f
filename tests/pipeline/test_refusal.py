"""What a module itself makes uncertain is refused with that reason, and no smaller trial hides it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.errors import Refused


class Chaotic(nn.Module):
    """From the third row on, angles so large that the last bits of the weights decide where they point."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(64, 8)

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.where(torch.arange(len(x)) < 2, 1.0, 3e5)
        return torch.sin(self.layer(x) * scale.unsqueeze(1))


def test_an_ill_conditioned_module_is_told_so_and_not_delivered_for_a_fixed_batch(tmp_path: Path) -> None:
    with pytest.raises(
        Refused, match=r"the module is ill-conditioned: .* rounded once more; .*larger epsilon"
    ):
        pocketrec.convert_module(Chaotic().eval(), (torch.randn(2, 64),), tmp_path / "out", ("onnx",))
    assert not (tmp_path / "out").exists()
