"""The reference: a PyTorch module behind the same interface as every artifact."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from pocketrec.contract import Contract, Output, Signature
from pocketrec.errors import BeyondInt32, ContractError, ExecutionError, MissingExtra, PocketrecError
from pocketrec.places import told
from pocketrec.validate.runtimes.runtime import Array, Description, TensorSpec, check_inputs, contract_spec


def current_threads() -> int:
    """How many threads PyTorch computes on; 0 where it is not loaded."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch is not None else 0


class TorchRuntime:
    """A module as a runtime; it takes the signature's inputs in order and returns its outputs in order.

    With a contract, sizes of inputs are checked against its dims; without, named dims are free.
    """

    def __init__(
        self, module: Any, signature: Signature, *, function: str = "main", contract: Contract | None = None
    ) -> None:
        try:
            import torch
        except ModuleNotFoundError:
            raise MissingExtra("torch", "build") from None
        self._torch = torch
        self._module, self._signature, self._contract = module, signature, contract
        self._function = function

    def describe(self) -> Description:
        """Inputs and outputs as the signature says; precision float32 on the CPU."""
        return Description(
            runtime="pytorch",
            version=str(self._torch.__version__),
            precision="float32",
            compute_units="cpu",
            inputs=tuple(contract_spec(each, self._contract) for each in self._signature.inputs),
            outputs=tuple(contract_spec(each, self._contract) for each in self._signature.outputs),
            functions=(self._function,),
        )

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name; ExecutionError where the module returns another number of tensors."""
        specs = tuple(contract_spec(each, self._contract) for each in self._signature.inputs)
        check_inputs(specs, inputs, where=f"pytorch, function {self._function}")
        with self._torch.inference_mode():
            tensors = [self._torch.from_numpy(np.array(inputs[spec.name])) for spec in specs]
            try:
                returned = self._module(*tensors)
            except IndexError as error:
                raise ContractError(
                    f"function {self._function}: the module has no row for an id that the contract allows "
                    f"({error}); correct the sizes of the contract's vocabularies"
                ) from error
            except PocketrecError:
                raise
            except Exception as error:
                raise ContractError(
                    f"function {self._function}: {self._signature.method}({_shapes(tensors, specs)}) raised "
                    f"{told(error)}; correct the contract's inputs, or the module"
                ) from error
        values = returned if isinstance(returned, tuple | list) else (returned,)
        if len(values) != len(self._signature.outputs):
            raise ExecutionError(
                f"pytorch, function {self._function}: the module returned {len(values)} tensors; "
                f"the contract names {len(self._signature.outputs)}"
            )
        pairs = zip(self._signature.outputs, values, strict=True)
        return {out.name: self._to_numpy(out, value) for out, value in pairs}

    def _to_numpy(self, out: Output, value: Any) -> Array:
        # Ids leave PyTorch as int64; the contract's dtype is what every artifact gives.
        array: Array = value.detach().cpu().numpy()
        if out.dtype == "int32" and array.dtype == np.int64 and array.size:
            worst = max((int(array.min()), int(array.max())), key=abs)
            if not -(2**31) <= worst < 2**31:
                raise BeyondInt32(out.name, worst)
        return array.astype(out.dtype, copy=False)

    def close(self) -> None:
        """Leaves the module as it is: it belongs to the caller."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _shapes(tensors: Sequence[Any], specs: Sequence[TensorSpec]) -> str:
    pairs = zip(tensors, specs, strict=True)
    return ", ".join(f"{spec.name} {list(tensor.shape)}" for tensor, spec in pairs)
