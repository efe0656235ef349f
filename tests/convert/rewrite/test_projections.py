"""An LSTM with projections gives PyTorch's numbers on both targets, in all forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.rewrite.projections import ProjectedLSTMRewrite
from pocketrec.errors import Refused

FORMS = (
    {"batch_first": True},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 2, "bias": False, "batch_first": True},
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("started", [False, True])
def test_the_plain_layers_give_outputs_and_both_states(form: dict[str, bool], started: bool) -> None:
    torch.manual_seed(1)
    layer = nn.LSTM(5, 7, proj_size=3, **form).eval()
    plain = ProjectedLSTMRewrite().replace(layer)
    rows, states = torch.randn(4, 6, 5), layer.num_layers * (2 if layer.bidirectional else 1)
    batch = 4 if layer.batch_first else 6
    start = (torch.randn(states, batch, 3), torch.randn(states, batch, 7)) if started else None
    with torch.no_grad():
        expected, (hidden, cell) = layer(rows, start)
        given, (last_hidden, last_cell) = plain(rows, start)
    for one, two in ((given, expected), (last_hidden, hidden), (last_cell, cell)):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_one_sequence_without_a_batch_stays_one() -> None:
    layer = nn.LSTM(5, 7, proj_size=3).eval()
    with torch.no_grad():
        expected, _ = layer(torch.ones(4, 5))
        given, (hidden, cell) = ProjectedLSTMRewrite().replace(layer)(torch.ones(4, 5))
    torch.testing.assert_close(given, expected)
    assert (hidden.shape, cell.shape) == ((1, 3), (1, 7))


def test_a_plain_layer_is_left_alone() -> None:
    assert not ProjectedLSTMRewrite().matches(nn.LSTM(5, 7))


def test_a_packed_sequence_is_refused() -> None:
    packed = nn.utils.rnn.pack_padded_sequence(torch.ones(4, 2, 5), torch.tensor([4, 2]))
    with pytest.raises(Refused, match="packed sequence"):
        ProjectedLSTMRewrite().replace(nn.LSTM(5, 7, proj_size=3))(packed)


class Sessions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.items = nn.Embedding(30, 4)
        self.lstm = nn.LSTM(4, 6, batch_first=True, proj_size=2, bidirectional=True)

    def forward(self, history: Tensor) -> tuple[Tensor, Tensor]:
        steps, (last, _) = self.lstm(self.items(history))
        return steps[:, -1], last.transpose(0, 1).flatten(1)


def test_both_targets_compute_it_for_any_batch(tmp_path: Path) -> None:
    module = Sessions().eval()
    found = pocketrec.convert_module(module, torch.randint(0, 30, (3, 5)), tmp_path)
    assert not found.refused
    history = torch.randint(0, 30, (7, 5))
    for path in found.artifacts.values():
        with pocketrec.open(path) as artifact, torch.no_grad():
            given = artifact.run({found.inputs[0]: history.numpy().astype(np.int32)})
            for name, expected in zip(found.outputs, module(history), strict=True):
                np.testing.assert_allclose(np.asarray(given[name], np.float32), expected, atol=1e-5)
