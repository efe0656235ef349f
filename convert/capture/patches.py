"""Changes of PyTorch while a model is captured: recurrent layers as one op each, however many steps.

PyTorch finds the shapes of their results by taking the steps one after the other, which fixes a free length
at that of the example. Here they follow from the shapes of what goes in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._decomp import decomposition_table
from torch._subclasses.fake_tensor import is_fake

from pocketrec.foreign import LOCK, Releases

TORCH = Releases(library="torch", first="2.9", below="2.14")
_LAYERS = (torch.ops.aten.gru.input, torch.ops.aten.lstm.input)
_KEY = torch._C.DispatchKey.CompositeImplicitAutograd


@contextmanager
def recurrent_shapes() -> Iterator[None]:
    """Takes tensors without values through whole layers; those with values are computed as ever.

    Export asks the op's own kernel for them, and decomposition PyTorch's table. With another release
    nothing is changed, and a length is fixed.
    """
    if not TORCH.hold():
        yield
        return
    with LOCK:
        kept = {op: (op.py_kernels[_KEY], decomposition_table[op]) for op in _LAYERS}
        try:
            for op, each in kept.items():
                _put(op, *map(_shaped, each))
            yield
        finally:
            for op, each in kept.items():
                _put(op, *each)


def _put(op: Any, kernel: Any, decomposition: Any) -> None:
    op.py_kernels[_KEY] = kernel
    op._dispatch_cache.clear()
    decomposition_table[op] = decomposition


def _shaped(compute: Any) -> Callable[..., Any]:
    """What gives the layer's results without values for tensors that have none."""

    def kernel(rows: Tensor, hx: Any, params: Any, *options: Any) -> Any:
        return _results(rows, hx, *options) if is_fake(rows) else compute(rows, hx, params, *options)

    return kernel


def _results(rows: Tensor, hx: Any, *options: Any) -> tuple[Tensor, ...]:
    """The outputs of every step, and the states after the last one."""
    *_, bidirectional, _ = options
    states = [hx] if isinstance(hx, Tensor) else hx
    width = states[0].shape[-1] * (2 if bidirectional else 1)
    return rows.new_empty((*rows.shape[:2], width)), *(torch.empty_like(each) for each in states)
