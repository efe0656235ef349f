"""One function of a module behind its contract: guarded inputs in order, outputs as a tuple."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Output, Signature
from pocketrec.convert.watch.bind import bind_inputs, bind_outputs
from pocketrec.convert.watch.intercept import Interception
from pocketrec.convert.watch.patches import uncompiled
from pocketrec.convert.watch.survey import Recorder
from pocketrec.errors import BeyondInt32, ContractError

_DTYPES = {"int32": torch.int32, "int64": torch.int64, "float32": torch.float32, "bool": torch.bool}
_INT32 = torch.iinfo(torch.int32)


def _of_dtype(value: Tensor, out: Output) -> Tensor:
    """The value in the contract's dtype; ContractError where a whole number does not fit in it."""
    if out.dtype == "int32" and value.dtype == torch.int64 and type(value) is Tensor and value.numel():
        low, high = (int(each) for each in value.aminmax())
        if low < _INT32.min or high > _INT32.max:
            worst = low if low < _INT32.min else high
            raise BeyondInt32(out.name, worst)
    return value.to(_DTYPES[out.dtype])


def _apart(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The outputs, each a tensor of its own: a target names one by one name only."""
    taken = {id(each) for each in inputs}
    found = []
    for each in outputs:
        found.append(each.clone() if id(each) in taken else each)
        taken.add(id(each))
    return tuple(found)


class ContractModule(nn.Module):
    """The contract made part of the graph: ids are guarded, outputs cast to what the contract says.

    Attributes:
        interception: what is replaced while the module runs; None for the module as it is.
        recorder: told of every event while a survey runs.
    """

    def __init__(self, module: nn.Module, contract: Contract, signature: Signature) -> None:
        super().__init__()
        self.module = module
        self.training = False
        self.signature = signature
        self.interception: Interception | None = None
        self.recorder: Recorder | None = None
        self._guards = [
            (contract.guard_id(each), contract.vocabularies[each.vocabulary].size if each.vocabulary else 0)
            for each in signature.inputs
        ]
        method = getattr(module, signature.method, None)
        if not callable(method):
            raise ContractError(
                f"{type(module).__name__} has no method {signature.method!r}; correct `method`"
            )
        self._binding = bind_inputs(method, signature)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The contract's outputs, in order, each of the contract's dtype."""
        guarded = [
            each if guard is None else torch.where(torch.logical_or(each < 0, each >= size), guard, each)
            for each, (guard, size) in zip(inputs, self._guards, strict=True)
        ]
        outputs = bind_outputs(self.call(*guarded), self.signature)
        pairs = zip(outputs, self.signature.outputs, strict=True)
        return _apart(inputs, [_of_dtype(value, each) for value, each in pairs])

    def call(self, *inputs: Tensor) -> object:
        """What the module's method gives for inputs that need no guard."""
        method = self.signature.method
        function = self.module if method == "forward" else getattr(self.module, method)
        placed, named = self._binding.arguments(inputs)
        if self.interception is None:
            return function(*placed, **named)
        with uncompiled(), self.interception.running(self.recorder):
            return function(*placed, **named)

    def answers(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The outputs by name for arrays by name, of the contract's dtypes."""
        given = [torch.from_numpy(np.array(inputs[each.name])) for each in self.signature.inputs]
        with torch.inference_mode():
            returned = self(*given)
        return {
            each.name: value.numpy() for each, value in zip(self.signature.outputs, returned, strict=True)
        }

    def using(self, module: nn.Module, interception: Interception) -> ContractModule:
        """The same contract around `module`, with the interception."""
        other = ContractModule.__new__(ContractModule)
        nn.Module.__init__(other)
        other.module, other.signature, other._guards = module, self.signature, self._guards
        other._binding = self._binding
        other.interception, other.recorder, other.training = interception, None, False
        return other
