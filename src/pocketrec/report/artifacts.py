"""The files, and what was done to the tensors in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSize:
    """One stored tensor of an artifact: name, dtype, shape and bytes in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactSize:
    """An artifact's size on disk and its tensors, largest first.

    Attributes:
        function: as in the contract; all of them, with commas, where they share the artifact.
    """

    target: str
    function: str
    path: str
    size_bytes: int
    tensors: tuple[TensorSize, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedTensor:
    """What was asked of one tensor of the model, and what was done.

    Attributes:
        name: in the module.
        shape: its shape.
        asked: the scheme as the plan has it; empty where the plan leaves the tensor alone.
        done: the form of its codes; `float32` where it was left alone.
        functions: the functions whose artifacts hold it.
        bits: stored bits per number, scales, zero points, codebooks and masks included.
        bytes_before: in float32.
        bytes_after: of codes and all that belongs to them.
        sqnr_db: signal-to-quantization-noise ratio; infinite where nothing was lost.
        share: of all bytes afterwards.
    """

    name: str
    shape: tuple[int, ...]
    asked: str
    done: str
    functions: tuple[str, ...]
    bits: float
    bytes_before: int
    bytes_after: int
    sqnr_db: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundedInput:
    """A dense layer whose inputs are rounded to 8 bits.

    Attributes:
        layer: its path in the module.
        mode: `static` or `dynamic`.
        low: the smallest number that was seen on the calibration data.
        high: the largest.
        scale: the step between two codes; None where each call has its own.
        zero_point: the code of zero; None where each call has its own.
    """

    layer: str
    mode: Literal["static", "dynamic"]
    low: float
    high: float
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPoint:
    """A compression plan that the search measured, and that no other beats in size and distortion.

    Attributes:
        size_bytes: of all tensors, compressed or not; of a search for `max_size_mb`, what the files of all
            targets hold of them.
        ratio: of that to float32.
        distortion: how far the ranking moved, 0 where it did not.
        losses: metric name to how much worse it is than the original's.
        intervals: metric name to the ends between which the loss lies at 95 %, by the differences of the same
            examples and as normal; without those that are no means over examples.
        chosen: whether it is the plan of this build.
        tensors: the plan, as in a recipe.
    """

    size_bytes: int
    ratio: float
    distortion: float
    losses: Mapping[str, float]
    chosen: bool
    tensors: Mapping[str, Mapping[str, Any]]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteResult:
    """A rewrite that was applied and proved: where, how often, and the largest difference seen."""

    function: str
    name: str
    where: str
    reason: str
    max_abs_error: float
    probes: int
