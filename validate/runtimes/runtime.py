"""The one interface to every engine: load, describe, run, close.

Parity, ranking, latency, golden-vector replay and first-divergence search are written once
against `Runtime`; an engine is a module that implements it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.errors import InputError, UsageError
from pocketrec.origin import ACTIVATIONS
from pocketrec.report import WebFacts

Array = npt.NDArray[np.generic]


class RuntimeUnavailable(UsageError):
    """This engine is not on this machine; the message says what is missing, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output of a loaded artifact.

    Attributes:
        name: as in the artifact.
        dtype: NumPy's name for it, such as `float32`.
        shape: a size, or None where it is free within `bounds`.
        bounds: (smallest, largest) per axis; largest is None where there is no limit.
        enumerated: the allowed shapes, where only certain ones are.
        optional: True where the caller may leave it out.
        description: what it is, in the artifact's own words for people; empty where it says nothing.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    bounds: tuple[tuple[int, int | None], ...] = ()
    enumerated: tuple[tuple[int, ...], ...] = ()
    optional: bool = False
    description: str = field(default="", compare=False)


def contract_spec(each: Feature | Output, contract: Contract | None) -> TensorSpec:
    """What the contract allows of an input or output; without a contract, dims have any size."""
    bounds = tuple(_bounds(size, contract) for size in each.shape)
    shape = tuple(low if low == high else None for low, high in bounds)
    return TensorSpec(name=each.name, dtype=each.dtype, shape=shape, bounds=bounds)


def _bounds(size: int | str, contract: Contract | None) -> tuple[int, int | None]:
    if isinstance(size, int):
        return size, size
    return contract.bounds(size) if contract is not None else (1, None)


ROUNDED = "int8 activations"
REHEARSED = "a rehearsal on"  # in a version: something stands in for the engine, and times are no device's


def with_rounding(precision: str, metadata: Mapping[str, str]) -> str:
    """The arithmetic of an artifact, with what its metadata says of inputs in 8 bits."""
    mode = metadata.get(ACTIVATIONS)
    return precision if mode is None else f"{precision}, {mode} {ROUNDED}"


def float_precision(specs: tuple[TensorSpec, ...], metadata: Mapping[str, str]) -> str:
    """The arithmetic of an artifact as its inputs and outputs say; float32 where they are ids alone."""
    floats = sorted({spec.dtype for spec in specs if spec.dtype.startswith("float")})
    return with_rounding(", ".join(floats) or "float32", metadata)


def is_coarse(precision: str) -> bool:
    """Whether float noise may become a step of float16 or of 8 bits, so that errors are gated in dB."""
    return "float16" in precision or ROUNDED in precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What an artifact offers and what executes it; printed beside every figure.

    Attributes:
        runtime: the engine's name, such as `onnxruntime` or `coreml-interpreter`.
        version: the engine's version.
        precision: the arithmetic, such as `float32` or `float16 storage, float32 accumulation`.
        compute_units: where it ran, such as `cpu`; never a unit that was not used.
        inputs: in the artifact's order.
        outputs: in the artifact's order.
        functions: names of the functions; the first is the one described.
        metadata: the artifact's own key-value pairs.
        rows: of a call, beyond which more rows only make each of them slower; None where there is no such
            number.
    """

    runtime: str
    version: str
    precision: str
    compute_units: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    functions: tuple[str, ...] = ("main",)
    metadata: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None


@runtime_checkable
class Runtime(Protocol):
    """A loaded artifact on one engine."""

    def describe(self) -> Description:
        """Inputs, outputs, and what executes them."""
        ...

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name; raises InputError for missing, surplus or ill-shaped inputs."""
        ...

    def close(self) -> None:
        """Release memory and file handles; a second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


def as_taken(specs: tuple[TensorSpec, ...], inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The inputs, a scalar with one axis where the artifact takes an array of one number, as Core ML does."""
    ones = {spec.name for spec in specs if spec.shape == (1,)}
    return {
        name: array.reshape(1) if name in ones and getattr(array, "ndim", 1) == 0 else array
        for name, array in inputs.items()
    }


def as_promised(outputs: Mapping[str, Array], signature: Signature) -> dict[str, Array]:
    """The outputs, without axes where the contract says so; Core ML gives a scalar as one number in a row."""
    scalars = {each.name for each in signature.outputs if not each.shape}
    return {
        name: array.reshape(()) if name in scalars and array.shape == (1,) else array
        for name, array in outputs.items()
    }


def check_inputs(specs: tuple[TensorSpec, ...], inputs: Mapping[str, Array], *, where: str) -> None:
    """Checks that `inputs` fit `specs`; InputError names the input, what came and what fits.

    Names, ranks and sizes are checked, dtypes too: an engine that silently casts ids hides mistakes.
    """
    known = {spec.name for spec in specs}
    surplus = sorted(set(inputs) - known)
    if surplus:
        expected = ", ".join(sorted(known)) or "none"
        raise InputError(f"{where}: input {surplus[0]!r} is not known; expected {expected}")
    for spec in specs:
        if spec.name not in inputs:
            if spec.optional:
                continue
            raise InputError(f"{where}: input {spec.name!r} is missing; pass {spec.dtype} {_show(spec)}")
        _check_one(spec, inputs[spec.name], where)


@runtime_checkable
class Accumulating(Protocol):
    """A runtime that lets its accumulation be chosen."""

    def with_accumulation(self, accumulation: Literal["float32", "float16"]) -> Runtime:
        """The same artifact on the same engine, accumulated so."""
        ...


@runtime_checkable
class Browsed(Protocol):
    """A runtime in a page of a browser, which times its calls itself."""

    def timer(self, inputs: Mapping[str, Array]) -> Callable[[], float]:
        """A call of these inputs that gives the milliseconds it took inside the page."""
        ...

    def facts(self) -> WebFacts:
        """What only a browser has to say."""
        ...


@runtime_checkable
class Clocked(Protocol):
    """A runtime in another process, which times loads and calls itself, without the way there and back."""

    load_ms: float

    def clocked(self, inputs: Mapping[str, Array]) -> float:
        """The milliseconds that a call of these inputs took."""
        ...


@cache
def _dtype_name(dtype: np.dtype[np.generic]) -> str:
    return str(dtype)


def _check_one(spec: TensorSpec, array: Array, where: str) -> None:
    if not isinstance(array, np.ndarray):
        kind = type(array).__name__
        raise InputError(f"{where}: input {spec.name!r} is a {kind}; expected a NumPy array {_show(spec)}")
    if _dtype_name(array.dtype) != spec.dtype:
        raise InputError(f"{where}: input {spec.name!r} is {array.dtype}; expected {spec.dtype}")
    if spec.enumerated:
        fits = array.shape in spec.enumerated
    else:
        limits = spec.bounds or tuple((size or 0, size) for size in spec.shape)
        fits = array.ndim == len(limits) and all(
            low <= size and (high is None or size <= high)
            for size, (low, high) in zip(array.shape, limits, strict=True)
        )
    if not fits:
        raise InputError(f"{where}: input {spec.name!r} has shape {array.shape}; expected {_show(spec)}")


def _show(spec: TensorSpec) -> str:
    if spec.enumerated:
        return "one of " + ", ".join(str(shape) for shape in spec.enumerated)
    if not spec.bounds:
        return "[" + ", ".join("?" if size is None else str(size) for size in spec.shape) + "]"
    return "[" + ", ".join(_range(low, high) for low, high in spec.bounds) + "]"


def _range(low: int, high: int | None) -> str:
    if low == high:
        return str(low)
    return f"{low}.." if high is None else f"{low}..{high}"
