"""What a search may do with a tensor: the schemes worth trying, each better or smaller than the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pocketrec.errors import PlanError
from pocketrec.quantize.feedback import output_noise
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.float16 import Float16
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.product import Product
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.tensor import Floats, QuantizedTensor
from pocketrec.quantize.usage import UNKNOWN, Rounding, Usage

_VECTORS: tuple[Scheme, ...] = (Float16(),)
_STEP = 0.9


def _matrices(rounding: Rounding) -> tuple[Scheme, ...]:
    return (
        Float16(),
        Linear(bits=8, rounding=rounding),
        Linear(bits=4, clipping="search", rounding=rounding),
        Linear(bits=4, symmetric=False, clipping="search", rounding=rounding),
        Linear(bits=4, granularity="per_block", block_size=32, clipping="search", rounding=rounding),
        *(Palette(bits=bits, rounding=rounding) for bits in (8, 6, 4, 3, 2, 1)),
        *(Palette(bits=bits, groups=8, rounding=rounding) for bits in (4, 3, 2)),
        *(ScaledPalette(bits=bits, rounding=rounding) for bits in (6, 4, 3, 2, 1)),
        *(ScaledPalette(bits=bits, block_size=32, rounding=rounding) for bits in (3, 2)),
        *(Product(bits=8, width=width, shared=shared) for width in (2, 4) for shared in (True, False)),
        Product(bits=6, width=4),
    )


def _in_parts(rounding: Rounding) -> tuple[Scheme, ...]:
    """Tables whose rows are known to count for more or less."""
    return (
        *(HotRows(share=0.1, hot_bits=8, cold_bits=bits, rounding=rounding) for bits in (4, 3, 2)),
        HotRows(share=0.1, hot_bits=8, cold_bits=8, cold_width=4, rounding=rounding),
        HotRows(share=0.2, hot_bits=4, cold_bits=6, cold_width=4, rounding=rounding),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to store one tensor; `scheme` is None where it is left in float32.

    Attributes:
        noise: amplitude of what is lost: of the outputs' change where the tensor's moment is known, else
            as a share of the tensor; rows weigh as much as they are listed or read. Those of one tensor
            compare with each other.
    """

    scheme: Scheme | None
    size_bytes: int
    noise: float


Trial = Callable[[Scheme], tuple[QuantizedTensor, QuantizedTensor]]


def candidates(
    name: str,
    values: Floats,
    *,
    usage: Usage = UNKNOWN,
    allowed: Callable[[QuantizedTensor], bool] = lambda _: True,
) -> tuple[Candidate, ...]:
    """The candidates for a tensor that no other beats in both size and noise, largest first.

    Args:
        name: of the tensor.
        values: of the tensor.
        usage: what is known of how it is used.
        allowed: whether every target of the build can carry a form.
    """

    def trial(scheme: Scheme) -> tuple[QuantizedTensor, QuantizedTensor]:
        made = scheme.quantize(name, values, usage=usage)
        return made, made

    more = _in_parts(usage.rounding) if usage.popularity is not None else ()
    return candidates_by(trial, name, values.shape, values, usage=usage, allowed=allowed, more=more)


def candidates_by(
    trial: Trial,
    name: str,
    shape: tuple[int, ...],
    sample: Floats,
    *,
    usage: Usage,
    allowed: Callable[[QuantizedTensor], bool],
    more: tuple[Scheme, ...] = (),
) -> tuple[Candidate, ...]:
    """As `candidates`, for a tensor of which a sample of rows is seen.

    Args:
        trial: a scheme to the whole tensor, whose codes nobody reads, and to the sample in that form.
        name: of the tensor.
        shape: of the tensor.
        sample: of its rows.
        usage: of the sample.
        allowed: as there.
        more: schemes beside those that every tensor is tried with.
    """
    found = [Candidate(scheme=None, size_bytes=4 * math.prod(shape), noise=0.0)]
    for scheme in (*_matrices(usage.rounding), *more) if len(shape) > 1 else _VECTORS:
        try:
            scheme.check(name, shape)
            whole, made = trial(scheme)
        except PlanError:
            continue  # a shape that does not divide: another candidate serves this tensor
        if allowed(whole):
            noise = _noise(made, sample, usage)
            found.append(Candidate(scheme=scheme, size_bytes=whole.size_bytes, noise=noise))
    return _undominated(found)


def _noise(made: QuantizedTensor, values: Floats, usage: Usage) -> float:
    rows = values.reshape(made.rows, -1)
    error = made.dequantize().reshape(rows.shape) - rows
    if usage.popularity is not None:
        weights = np.sqrt(usage.popularity / usage.popularity.mean()).astype(np.float32)[:, None]
        rows, error = rows * weights, error * weights
    if usage.moment is not None:
        return math.sqrt(max(0.0, output_noise(usage.moment, error)))
    signal = float(np.square(rows, dtype=np.float64).sum())
    return math.sqrt(float(np.square(error, dtype=np.float64).sum()) / signal) if signal else 0.0


def _undominated(found: list[Candidate]) -> tuple[Candidate, ...]:
    kept: list[Candidate] = []
    for each in sorted(found, key=lambda one: (one.size_bytes, one.noise)):
        if not kept or each.noise < kept[-1].noise:
            kept.append(each)
    return _thinned(tuple(reversed(kept)))


def _thinned(falling: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """One candidate per step of size: two of nearly the same size are measured at the cost of both."""
    kept = [falling[0]]
    for each in falling[1:]:
        if each.size_bytes <= _STEP * kept[-1].size_bytes:
            kept.append(each)
    return tuple(kept)


def schemes_of(choice: Mapping[str, Candidate]) -> dict[str, Scheme]:
    """Tensor name to scheme, for the tensors that are compressed at all."""
    return {name: each.scheme for name, each in choice.items() if each.scheme is not None}
