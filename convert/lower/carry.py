"""Which constants of a lowered graph are compressed tensors, and which compressed tensors are missing.

A converter renames, transposes and folds what it is given, so names are no proof of anything. A
constant is a tensor where it has exactly the tensor's dequantized values, in whatever order of axes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pocketrec.errors import Derived
from pocketrec.origin import Carried
from pocketrec.quantize.tensor import PartsTensor, QuantizedTensor, SparseTensor
from pocketrec.source.stubs import Stub, contiguous, number_of

Array = npt.NDArray[Any]
_MOST_AXES = 3  # of a tensor whose axes may come in any order


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A constant that holds a compressed tensor's values.

    Attributes:
        tensor: whose values they are.
        axes: the tensor's axes in the order in which the constant runs over them.
        shape: of the constant.
    """

    tensor: QuantizedTensor
    axes: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def transposed(self) -> bool:
        """Whether the constant is `values.T`, which codes can be stored as."""
        return self.axes == (1, 0) and self.shape == self.tensor.shape[::-1]

    @property
    def derived(self) -> bool:
        """Whether values must be moved or reshaped after they are dequantized."""
        direct = self.axes == tuple(range(len(self.axes))) and self.shape == self.tensor.shape
        return not direct and not self.transposed


class ValueIndex:
    """Arrays by their values: in any order of axes and any shape, and rounded to float16."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._known: dict[tuple[str, int, str], tuple[list[str], tuple[int, ...]]] = {}
        for name, values in arrays.items():
            for axes in _orders(values.ndim):
                turned = contiguous(values.transpose(axes))
                with np.errstate(over="ignore"):
                    narrow = turned.astype(np.float16)
                # A converter may narrow a constant and widen it again: the tensor is still that one.
                for key in {_fingerprint(each) for each in (turned, narrow, narrow.astype(np.float32))}:
                    names, _ = self._known.setdefault(key, ([], axes))
                    if name not in names:
                        names.append(name)
        self._sizes = {(size, dtype) for _, size, dtype in self._known}

    def find(self, values: object) -> tuple[list[str], tuple[int, ...]]:
        """Names of the arrays whose values these are, and the order of their axes; no name where none."""
        if not isinstance(values, np.ndarray) or (values.size, values.dtype.name) not in self._sizes:
            return [], ()
        return self._known.get(_fingerprint(values), ([], ()))

    def read_by(self, program: torch.export.ExportedProgram) -> set[str]:
        """Names of the arrays that an exported program reads, in either layout."""
        return {name for each in tensors_of(program) for name in self.find(_array(each))[0]}


class Carrier:
    """The compressed tensors of a build, looked for in one lowered graph.

    Attributes:
        carried: names of the tensors that the target now holds as codes.
    """

    def __init__(self, tensors: Mapping[str, QuantizedTensor]) -> None:
        self.carried: set[str] = set()
        self._tensors = tensors
        self._index = ValueIndex({name: _values(each) for name, each in tensors.items()})

    @property
    def holds_filters(self) -> bool:
        """Whether some tensor has more than two axes, as those of convolutions do."""
        return any(len(each.shape) > 2 for each in self._tensors.values())

    def __call__(self, values: object) -> Match | None:
        """The compressed tensor that `values`, a float32 or float16 array, holds; None where it is none."""
        names, axes = self._index.find(values)
        if not names or not isinstance(values, np.ndarray):
            return None
        return Match(tensor=self._tensors[names[0]], axes=axes, shape=values.shape)

    def done(self, tensor: QuantizedTensor) -> None:
        """Remembers that the target holds the tensor, and with it every other of its values."""
        self.carried.update(self._index.find(_values(tensor))[0])

    def summary(self) -> dict[str, Carried]:
        """What was carried, by name."""
        return {
            name: Carried(method=each.describe(), shape=tuple(each.shape), size_bytes=each.size_bytes)
            for name, each in sorted(self._tensors.items())
            if name in self.carried
        }

    def used_by(self, program: torch.export.ExportedProgram) -> set[str]:
        """Names of the compressed tensors that an exported program reads."""
        return self._index.read_by(program)

    def check(self, needed: Iterable[str], target: str) -> None:
        """Checks that all of `needed` were carried; Derived names the first that was not."""
        missing = sorted(set(needed) - self.carried)
        if missing:
            name = missing[0]
            raise Derived(
                f"{name}: {self._tensors[name].describe()} was asked for, but the {target} graph holds it "
                "only in a derived form (folded or split); leave it out of compress.tensors",
                names=missing,
            )


def tensors_of(program: torch.export.ExportedProgram) -> list[torch.Tensor]:
    """The parameters, buffers and constants that an exported program reads."""
    read = {node.name for node in program.graph.nodes if node.op == "placeholder" and node.users}
    signature = program.graph_signature
    places: dict[str, str] = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    held: dict[str, Any] = {**program.state_dict, **program.constants}
    found = (held[name] for place, name in places.items() if place in read)
    return [each for each in found if isinstance(each, torch.Tensor)]


def _values(tensor: QuantizedTensor) -> Array:
    """The dequantized values; the stub of them where the codes are a streamed table's."""
    streamed = tensor.parts[0] if isinstance(tensor, PartsTensor) else tensor
    number = None if isinstance(streamed, SparseTensor) else number_of(streamed.codes)
    return tensor.dequantize() if number is None else Stub.table(number, tensor.shape)


def _array(value: Any) -> Array | None:
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return None
    whole = value.detach() if number_of(value) is not None else value.detach().contiguous()
    array: Array = whole.numpy()
    return array


def _orders(axes: int) -> list[tuple[int, ...]]:
    """The orders of axes that are looked for, the array's own first; of many axes, only that."""
    return list(permutations(range(axes))) if axes <= _MOST_AXES else [tuple(range(axes))]


def _fingerprint(values: Array) -> tuple[str, int, str]:
    number = number_of(values)
    if number is not None:
        return f"table {number} {values.shape}", values.size, values.dtype.name
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    return digest, values.size, values.dtype.name
