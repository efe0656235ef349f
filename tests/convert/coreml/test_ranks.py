"""Tensors of six axes and more are computed within Core ML's five, for a free batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.coreml import ranks
from pocketrec.convert.coreml.ranks import within_five_axes
from pocketrec.convert.rewrite import OP_RULES
from pocketrec.convert.rewrite.ops import lower_ops
from pocketrec.errors import ConversionError


class Windowed(nn.Module):
    """Attention within shifted windows of an image, as in Swin."""

    def __init__(self, width: int = 8, window: int = 2, heads: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.window, self.heads = window, heads
        self.qkv, self.out, self.norm = (
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
            nn.LayerNorm(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        (b, h, w, c), n = x.shape, self.window
        y = torch.roll(self.norm(x), (-1, -1), (1, 2)).view(b, h // n, n, w // n, n, c)
        y = y.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, n * n, c)
        q, k, v = self.qkv(y).view(-1, n * n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = ((q @ k.mT / 2).softmax(-1) @ v).transpose(1, 2).reshape(-1, n * n, c)
        y = self.out(y).view(-1, h // n, w // n, n, n, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)
        return x + torch.roll(y, (1, 1), (1, 2))


class Scanned(nn.Module):
    """The products within chunks of a state space's scan, with seven axes, as in Mamba2."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        b, c = x.shape[0], x.view(x.shape[0], 2, 4, 3, 3)
        decay = c[:, :, :, None].cumsum(-1) - c[:, :, None]
        decay = decay.masked_fill(torch.ones(4, 4).triu(1).bool()[:, :, None, None], -torch.inf).exp()
        mixed = (decay[..., None] * c[:, :, None, :, :, :, None]).sum((3, 5))
        return mixed.reshape(b, -1), (decay.unsqueeze(1) * 2).amax((2, 4)).flatten(1)


class Moved(nn.Module):
    """Every kind of op on a tensor of six axes."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = x.view(x.shape[0], 2, 3, 2, 2, 3)
        z = y.permute(0, 5, 3, 1, 4, 2)
        turned = (y.permute(5, 4, 3, 2, 1, 0) + 1).softmax(2).permute(5, 0, 1, 2, 3, 4)
        apart = y[:, :, :1, :, :1, :] - y[:, :1, :, :1, :, :1]
        joined = torch.cat([z, z.flip((1, 3))], 2).mean(-1)
        padded = F.pad(y, (1, 0, 0, 0, 0, 2)).transpose(1, 4)
        chosen = z[:, 1:, :, 1].exp().cumsum(3)
        return tuple(each.flatten(1) for each in (turned, apart, joined, padded, chosen))


EXAMPLES = {Windowed: torch.randn(3, 4, 6, 8), Scanned: torch.randn(3, 72), Moved: torch.randn(3, 72)}


def _program(module: nn.Module, x: Tensor) -> Any:
    batch = torch.export.Dim("batch", max=9)
    exported = torch.export.export(module.eval(), (x,), dynamic_shapes=({0: batch},), strict=False)
    with torch.no_grad():
        return lower_ops(exported, OP_RULES)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_no_tensor_has_more_than_five_axes_and_all_numbers_stay(kind: type[nn.Module]) -> None:
    x = EXAMPLES[kind]
    program = _program(kind(), x)
    changed = within_five_axes(program, (x,))
    shapes = [
        node.meta["val"].shape for node in changed.graph.nodes if hasattr(node.meta.get("val"), "shape")
    ]
    assert max(map(len, shapes)) <= 5
    for rows in (x[:1], x, torch.randn(7, *x.shape[1:])):
        given, expected = changed.module()(rows), program.module()(rows)
        torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-6)


def test_a_graph_within_five_axes_stays_as_it_is() -> None:
    program = _program(nn.Linear(4, 2), torch.rand(3, 4))
    assert within_five_axes(program, (torch.rand(3, 4),)) is program


def test_a_wrong_step_is_found_by_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def unmoved(self: Any, low: Any, shape: Any, wanted: Any) -> Any:
        return low

    monkeypatch.setattr(ranks._Merged, "_ordered", unmoved)
    with pytest.raises(ConversionError, match="merging axes for Core ML is off by"):
        within_five_axes(_program(Windowed(), EXAMPLES[Windowed]), (EXAMPLES[Windowed],))


def test_windowed_attention_is_delivered_for_any_batch(tmp_path: Path) -> None:
    module = Windowed().eval()
    found = pocketrec.convert_module(module, EXAMPLES[Windowed], tmp_path, targets=("coreml",))
    assert found.notes == ()
    rows = torch.randn(5, 4, 6, 8)
    with pocketrec.open(found.artifacts["coreml"]) as artifact, torch.no_grad():
        given = artifact.run({found.inputs[0]: rows.numpy()})[found.outputs[0]]
        np.testing.assert_allclose(np.asarray(given, np.float32), module(rows).numpy(), atol=2e-2)
