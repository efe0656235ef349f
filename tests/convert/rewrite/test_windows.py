"""Windows, strided views, cuts and masked writes become gathers and slices with the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.convert.rewrite import windows
from pocketrec.errors import Refused

X = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
SOURCE = torch.arange(40.0)

CASES: dict[str, Callable[[Tensor], Any]] = {
    "unfold_to_index_select": lambda x: (x.unfold(1, 3, 2), x.unfold(0, 2, 1)),
    "as_strided_to_index_select": lambda x: x.clone().as_strided((3, 4), (2, 7), 1),
    "negative_pad_to_slice": lambda x: (F.pad(x, (-1, 2)), F.pad(x, (0, 0, -2, -1))),
    "pad_of_truths_to_integers": lambda x: (F.pad(x > 0, (1, 2)), F.pad(x > 0, (0, 0, 2, -1), value=True)),
    "circular_pad_to_slices": lambda x: (
        F.pad(x[None], (2, 0), mode="circular")
        + F.pad(x[None, None], (1, 1, 2, 4), mode="circular")[0, :, 2:-4]
    ),
    "roll_to_slices": lambda x: (x.roll(-1, 0), x.roll((9, -2), (0, 1)), x.roll(3), x.roll(7, 1)),
    "masked_scatter_to_gather": lambda x: x.masked_scatter(x > 0, SOURCE),
}


@pytest.mark.parametrize("name", CASES)
def test_every_rule_gives_the_numbers_of_its_op(applied: Callable[..., Any], name: str) -> None:
    assert name in applied(CASES[name], X)


def test_padding_that_only_adds_is_left_as_it_is(applied: Callable[..., Any]) -> None:
    assert applied(lambda x: F.pad(x, (1, 2), value=3.0), X) == set()


def test_a_view_of_a_transposed_tensor_is_left_to_the_refusal() -> None:
    assert windows.as_strided(X.T, (2, 2), (1, 1)) is NotImplemented


def test_the_proof_catches_windows_at_the_wrong_step(applied: Callable[..., Any]) -> None:
    rule = windows.RULES[0]
    wrong = replace(rule, replace=lambda x, dim, size, step: windows.unfold(x, dim, size, step)[:, :3] * 2)
    with pytest.raises(Refused, match="the rewrite unfold_to_index_select is off by"):
        applied(lambda x: x.unfold(1, 3, 2), X, rules=[wrong])


def test_both_targets_read_windows_and_write_by_mask(converted: Callable[..., Any]) -> None:
    class Windows(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
            return x.unfold(1, 3, 1).mean(-1), F.pad(x, (-2, 2)), x.masked_scatter(x > 0, y)

    converted(Windows(), X, X + 1)


def test_both_targets_roll_and_go_around_for_any_batch(far: Callable[..., Any]) -> None:
    class Around(nn.Module):
        """Negatives from other rows, windows that go around, and places outside of a shifted mask."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.around = nn.Conv1d(1, 2, 3, padding=2, padding_mode="circular")

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            outside = ~F.pad(x > 0.5, (1, 0))
            rolled = torch.roll(x, -1, 0), torch.roll(x, (5, 1), (0, 1))
            return *rolled, self.around(x.unsqueeze(1)), torch.where(outside, 1.0, 2.0)

    far(Around(), (torch.rand(4, 6),), (torch.randn(7, 6) * 9,), (torch.rand(1, 6),), (torch.rand(2, 6),))
