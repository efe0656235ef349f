"""Which constants of a lowered graph are compressed tensors, and which compressed tensors are missing.

A converter renames, transposes and folds what it is given, so names are no proof of anything. A
constant is a tensor where it has exactly the tensor's dequantized values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pocketrec.errors import CannotCarry
from pocketrec.quantize import QuantizedTensor

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A constant that holds a compressed tensor; `transposed` where it holds `values.T`."""

    tensor: QuantizedTensor
    transposed: bool


class Carrier:
    """The compressed tensors of a build, looked for in one lowered graph.

    Attributes:
        carried: names of the tensors that the target now holds as codes.
    """

    def __init__(self, tensors: Mapping[str, QuantizedTensor]) -> None:
        self.carried: set[str] = set()
        self._tensors = tensors
        self._known: dict[tuple[str, tuple[int, ...], str], Match] = {}
        for tensor in tensors.values():
            values = tensor.dequantize()
            for transposed in (False, True) if values.ndim == 2 else (False,):
                turned = np.ascontiguousarray(values.T) if transposed else values
                for dtype in (np.float32, np.float16):
                    key = _fingerprint(turned.astype(dtype))
                    self._known.setdefault(key, Match(tensor=tensor, transposed=transposed))
        self._shapes = {(shape, dtype) for _, shape, dtype in self._known}

    def __call__(self, values: object) -> Match | None:
        """The compressed tensor that `values`, a float32 or float16 array, holds; None where it is none."""
        if not isinstance(values, np.ndarray) or (values.shape, values.dtype.name) not in self._shapes:
            return None
        return self._known.get(_fingerprint(values))

    def used_by(self, program: torch.export.ExportedProgram) -> set[str]:
        """Names of the compressed tensors that an exported program reads."""
        matches = (self(_array(each)) for each in tensors_of(program))
        return {each.tensor.name for each in matches if each is not None}

    def check(self, needed: Iterable[str], target: str) -> None:
        """Nothing where all of `needed` were carried; else CannotCarry naming the first that was not."""
        for name in sorted(set(needed) - self.carried):
            raise CannotCarry(
                f"{name}: {self._tensors[name].describe()} was asked for, but the {target} graph holds it "
                "only in a derived form (folded or split); leave it out of compress.tensors"
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


def _array(value: Any) -> Array | None:
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return None
    array: Array = value.detach().contiguous().numpy()
    return array


def _fingerprint(values: Array) -> tuple[str, tuple[int, ...], str]:
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    return digest, values.shape, values.dtype.name
