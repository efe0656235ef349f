"""LSTMs with projections as plain ones: what a step hands on is projected after the layer, not within it.

With the projection P, a step computes its gates from W P m, where m is the state before it is projected. An
LSTM whose recurrent weights are W P hands on m, and P m is a product after it. H. Sak et al., Long short-term
memory recurrent neural network architectures (2014), equations 1 to 6.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from pocketrec.errors import Refused

_KEPT = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional", "proj_size")


class ProjectedLSTMRewrite:
    """Matches nn.LSTM with `proj_size`."""

    name = "projected_lstm_to_lstm_and_product"
    reason = "no target has an LSTM with projections"

    def matches(self, module: nn.Module) -> bool:
        """True for the layer of torch itself."""
        return type(module) is nn.LSTM and module.proj_size > 0

    def replace(self, module: nn.Module) -> nn.Module:
        """Layers without projections, each with its product."""
        return _Projected(module)


class _Projected(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        for name in _KEPT:
            setattr(self, name, getattr(layer, name))
        self.directions = 2 if layer.bidirectional else 1
        weights = layer.all_weights
        depths = [weights[at : at + self.directions] for at in range(0, len(weights), self.directions)]
        self.layers = nn.ModuleList(_Layer(layer, each) for each in depths)

    def flatten_parameters(self) -> None:
        """Does nothing: there is no memory to lay out."""

    def forward(self, input: Any, hx: Any = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # noqa: A002
        if isinstance(input, PackedSequence):
            raise Refused(
                op="nn.LSTM",
                where="",
                reason="a packed sequence goes through an LSTM with projections",
                remedy="pass padded rows and read each row's last step by its length",
            )
        single = input.ndim == 2
        rows = input.unsqueeze(1) if single else input.transpose(0, 1) if self.batch_first else input
        starts = [None] * len(self.layers) if hx is None else self._starts(hx, single)
        hidden, cells = [], []
        for each, start in zip(self.layers, starts, strict=True):
            rows, last, cell = each(rows, start)
            hidden.append(last)
            cells.append(cell)
        states = torch.cat(hidden), torch.cat(cells)
        if single:
            return rows.squeeze(1), (states[0].squeeze(1), states[1].squeeze(1))
        return rows.transpose(0, 1) if self.batch_first else rows, states

    def _starts(self, hx: tuple[Tensor, Tensor], single: bool) -> list[tuple[Tensor, Tensor]]:
        hidden, cell = (each.unsqueeze(1) for each in hx) if single else hx
        pairs = zip(torch.split(hidden, self.directions), torch.split(cell, self.directions), strict=True)
        return list(pairs)


class _Layer(nn.Module):
    """One layer in its directions; its products in `weights[direction]`, the last of them."""

    def __init__(self, layer: Any, weights: list[list[Tensor]]) -> None:
        super().__init__()
        size = weights[0][0].shape[1]
        self.lstm = nn.LSTM(size, layer.hidden_size, bias=layer.bias, bidirectional=layer.bidirectional)
        for own, given in zip(self.lstm.all_weights, weights, strict=True):
            values = [given[0], given[1].double() @ given[-1].double(), *given[2:-1]]
            for parameter, value in zip(own, values, strict=True):
                parameter.data = value.detach().to(given[0].dtype)
        self.products = nn.ParameterList(each[-1].detach() for each in weights)
        # The state before the projection of which a given start is the projection.
        lifts = [torch.linalg.pinv(each[-1].detach().double()).to(each[-1].dtype) for each in weights]
        self.lifts = nn.ParameterList(lifts)
        self.requires_grad_(False)

    def forward(self, rows: Tensor, start: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor, Tensor]:
        lifted = None if start is None else (self._each(start[0], self.lifts), start[1])
        outputs, (last, cell) = self.lstm(rows, lifted)
        halves = outputs.chunk(len(self.products), -1)
        projected = [half @ each.T for half, each in zip(halves, self.products, strict=True)]
        return torch.cat(projected, -1), self._each(last, self.products), cell

    def _each(self, states: Tensor, matrices: nn.ParameterList) -> Tensor:
        return torch.stack([state @ each.T for state, each in zip(states.unbind(), matrices, strict=True)])
