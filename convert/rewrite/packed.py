"""Packed sequences as padded ones: recurrent layers over the full length, with a mask.

Packing cuts rows to their lengths, so shapes depend on values. Here a packed sequence keeps the
padded rows, time first, in its `data` (flattened to two axes, as the layers expect) and the lengths
in place of its batch sizes. Exact where the result does not depend on the longest row of a batch:
`pad_packed_sequence` gives the full length, not that of the longest row.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import SymInt, Tensor, nn
from torch.nn.utils.rnn import PackedSequence

_CPU = torch.device("cpu")


class Lengths:
    """What stands for the batch sizes of a packed sequence: as many steps as the rows are wide."""

    device = _CPU
    is_cuda = False

    def __init__(self, lengths: Tensor, steps: int, rows: int) -> None:
        self.lengths, self.steps, self.rows = lengths, steps, rows

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Lets PyTorch's functions take this in place of a tensor, for the rule to see."""
        return NotImplemented

    def __getitem__(self, index: int) -> Any:
        return _marked(self.rows, self, range(self.steps)[index])

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        return iter([self[step] for step in range(self.steps)])

    def going_on(self, step: int) -> Tensor:
        """`[rows]`: True where a row is not over before this step."""
        return step_mask(self)[step]

    def unflatten(self, data: Tensor) -> Tensor:
        """`[steps, rows, ...]` of packed data; not by a view, which would tie a free batch to one size."""
        return torch.stack([data.narrow(0, step * self.rows, self.rows) for step in range(self.steps)])

    def size(self, axis: int = 0) -> int:
        """The number of steps, as of a tensor of batch sizes."""
        return self.steps


class _Rows(int):
    """The number of rows at a step, which is that of all rows here, and of which step it is."""

    step: tuple[Lengths, int]


def _marked(rows: Any, sizes: Lengths, step: int) -> Any:
    symbol: Any = SymInt
    marked: Any = symbol(rows.node) if isinstance(rows, SymInt) else _Rows(rows)
    marked.step = (sizes, step)
    return marked


class PartialWriteRule:
    """`state[:count] = new` in a loop over the steps of a packed sequence: rows that are over keep theirs."""

    name = "packed_state_to_where"
    reason = "how many rows go on at a step depends on values"
    functions = frozenset({"__setitem__"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """None, with the rows that go on written."""
        target, index, value = args
        first, *rest = index if isinstance(index, tuple) else (index,)
        if not isinstance(first, slice) or first.start not in (None, 0) or first.step is not None:
            return NotImplemented
        sizes, step = getattr(first.stop, "step", (None, 0))
        if not isinstance(sizes, Lengths) or any(each != slice(None) for each in rest):
            return NotImplemented
        going_on = sizes.going_on(step).reshape([-1] + [1] * (target.ndim - 1))
        target.copy_(torch.where(going_on, torch.as_tensor(value, dtype=target.dtype), target))
        return None


class PackRule:
    """Packing and padding of sequences, as reshapes."""

    name = "packed_sequence_to_padded"
    reason = "the shape of a packed sequence depends on values"
    functions = frozenset({"_pack_padded_sequence", "_pad_packed_sequence"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """`(data, batch_sizes)` of a packed sequence, or `(padded, lengths)` of one that was packed here."""
        if function.__name__ == "_pack_padded_sequence":
            padded, lengths, batch_first = args
            steps_first = padded.transpose(0, 1) if batch_first else padded
            steps, rows = steps_first.shape[:2]
            return steps_first.flatten(0, 1), Lengths(lengths, steps, rows)
        data, sizes, batch_first, value, total = args
        if not isinstance(sizes, Lengths):
            return NotImplemented
        padded = sizes.unflatten(data)
        kept = step_mask(sizes).unsqueeze(-1)
        padded = torch.where(kept, padded, value)
        if total > sizes.steps:
            padded = torch.cat([padded, padded.new_full((total - sizes.steps, *padded.shape[1:]), value)])
        return (padded.transpose(0, 1) if batch_first else padded), sizes.lengths


def step_mask(sizes: Lengths) -> Tensor:
    """`[steps, rows]`: True where a step is within its row's length."""
    steps = torch.arange(sizes.steps, device=sizes.lengths.device).unsqueeze(1)
    return steps < sizes.lengths.unsqueeze(0)


class PaddedRecurrentRewrite:
    """Matches nn.GRU, nn.LSTM and nn.RNN; only packed sequences go another way than before."""

    name = "recurrent_layer_over_padded_rows"
    reason = "a packed sequence is padded rows with a mask"

    def matches(self, module: nn.Module) -> bool:
        """True for the three layers of torch itself, without projections."""
        return type(module) in _PADDED and not getattr(module, "proj_size", 0)

    def replace(self, module: nn.Module) -> nn.Module:
        """The same layer, parameters and their names included."""
        replacement = copy.copy(module)
        replacement.__class__ = _PADDED[type(module)]
        return replacement


class _Padded:
    """The forward of a recurrent layer for packed sequences that `PackRule` made."""

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 - the layers' own name
        if not (isinstance(input, PackedSequence) and isinstance(input.batch_sizes, Lengths)):
            return super().forward(input, hx)  # type: ignore[misc]
        layer: Any = self
        sizes: Any = input.batch_sizes
        rows = sizes.unflatten(input.data)
        if hx is not None and input.sorted_indices is not None:
            hx = layer.permute_hidden(hx, input.sorted_indices)
        output, hidden = _recur(layer, rows, hx, sizes)
        packed = PackedSequence(
            output.flatten(0, 1), input.batch_sizes, input.sorted_indices, input.unsorted_indices
        )
        return packed, layer.permute_hidden(hidden, input.unsorted_indices)


class _PaddedGRU(_Padded, nn.GRU):
    pass


class _PaddedLSTM(_Padded, nn.LSTM):
    pass


class _PaddedRNN(_Padded, nn.RNN):
    pass


_PADDED: dict[type[nn.Module], type[nn.Module]] = {
    nn.GRU: _PaddedGRU,
    nn.LSTM: _PaddedLSTM,
    nn.RNN: _PaddedRNN,
}


def _recur(layer: Any, rows: Tensor, hx: Any, sizes: Lengths) -> tuple[Tensor, Any]:
    """Outputs `[steps, rows, hidden]` and the hidden state after each row's last step."""
    directions = 2 if layer.bidirectional else 1
    starts = _starts(layer, rows, hx, directions)
    lasts: list[tuple[Tensor, ...]] = []
    backwards = _backwards(sizes)
    for depth in range(layer.num_layers):
        outputs = []
        for direction in range(directions):
            number = depth * directions + direction
            weights = layer.all_weights[number]
            ordered = _reorder(rows, backwards) if direction else rows
            output, last = _one(layer, ordered, starts[number], weights, sizes)
            outputs.append(_reorder(output, backwards) if direction else output)
            lasts.append(last)
        rows = torch.cat(outputs, dim=-1) if directions == 2 else outputs[0]
    states = tuple(torch.stack(each) for each in zip(*lasts, strict=True))
    return rows, states if layer.mode == "LSTM" else states[0]


def _starts(layer: Any, rows: Tensor, hx: Any, directions: int) -> list[tuple[Tensor, ...]]:
    count = layer.num_layers * directions
    if hx is None:
        zeros = rows.new_zeros(count, rows.shape[1], layer.hidden_size)
        hx = (zeros, zeros) if layer.mode == "LSTM" else zeros
    states = hx if isinstance(hx, tuple) else (hx,)
    return [tuple(each[number] for each in states) for number in range(count)]


def _backwards(sizes: Lengths) -> Tensor:
    """`[steps, rows]`: the step that a row read from its end has here; padding stays where it is."""
    steps = torch.arange(sizes.steps, device=sizes.lengths.device).unsqueeze(1)
    return torch.where(step_mask(sizes), sizes.lengths.unsqueeze(0) - 1 - steps, steps)


def _reorder(rows: Tensor, steps: Tensor) -> Tensor:
    return rows.gather(0, steps.unsqueeze(-1).expand(-1, -1, rows.shape[-1]))


def _one(
    layer: Any, rows: Tensor, start: tuple[Tensor, ...], weights: Any, sizes: Lengths
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One layer in one direction: every step's output and the state after each row's last step.

    A state stays as it is where its row has ended, so that the last one is the one to return.
    """
    kept = step_mask(sizes).unsqueeze(-1)
    state, outputs = start, []
    for step in range(sizes.steps):
        after = _CELLS[layer.mode](rows[step], state, weights)
        state = tuple(torch.where(kept[step], new, old) for new, old in zip(after, state, strict=True))
        outputs.append(after[0])
    return torch.stack(outputs), state


def _gru(row: Tensor, state: tuple[Tensor, ...], weights: Any) -> tuple[Tensor, ...]:
    return (torch.gru_cell(row, state[0], *weights),)


def _lstm(row: Tensor, state: tuple[Tensor, ...], weights: Any) -> tuple[Tensor, ...]:
    hidden, cell = torch.lstm_cell(row, [state[0], state[1]], *weights)
    return hidden, cell


def _tanh(row: Tensor, state: tuple[Tensor, ...], weights: Any) -> tuple[Tensor, ...]:
    return (torch.rnn_tanh_cell(row, state[0], *weights),)


def _relu(row: Tensor, state: tuple[Tensor, ...], weights: Any) -> tuple[Tensor, ...]:
    return (torch.rnn_relu_cell(row, state[0], *weights),)


_CELLS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "GRU": _gru,
    "LSTM": _lstm,
    "RNN_TANH": _tanh,
    "RNN_RELU": _relu,
}
