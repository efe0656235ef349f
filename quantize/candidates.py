"""What a search may do with a tensor: the schemes worth trying, each better or smaller than the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pocketrec.errors import PlanError
from pocketrec.quantize.feedback import output_noise
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.float16 import Float16
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.product import BasisName, Product
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.tensor import Floats, QuantizedTensor, rows_and_columns
from pocketrec.quantize.usage import UNKNOWN, Rounding, Usage

_VECTORS: tuple[Scheme, ...] = (Float16(),)
_SMALLER: tuple[tuple[Literal[6, 8], int], ...] = ((6, 2), (6, 4), (8, 8))
_IN_BASIS: tuple[tuple[Literal[4, 6, 8], int], ...] = ((8, 3), (8, 4), (6, 3), (6, 4), (6, 6), (4, 4))
_ROWS_OF_BASIS = 16  # a column, of less than which a basis costs more than it saves
# Share of hot rows, their bits, bits and width of the others' codes, and what these are of: what keeps most
# of the lists of a shop among forms of one size (docs/adr/0021, 0022).
_PARTS: tuple[tuple[float, Literal[4, 8], Literal[4, 6, 8], int, BasisName], ...] = (
    (0.1, 8, 4, 1, "columns"),
    *((share, 8, 8, 2, "columns") for share in (0.1, 0.2, 0.3)),
    *((share, 8, 6, 2, "columns") for share in (0.05, 0.1, 0.15, 0.2)),
    *((share, 4, 8, 4, "columns") for share in (0.1, 0.2)),
    *((share, 4, 6, 4, "columns") for share in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)),
    (0.1, 4, 8, 8, "columns"),
    *((share, 8, 8, 2, "principal") for share in (0.05, 0.1, 0.2, 0.3)),
    *((share, 8, 8, 3, "principal") for share in (0.05, 0.1, 0.15, 0.2)),
    (0.1, 4, 8, 3, "principal"),
    *((share, 4, 6, 3, "principal") for share in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.45)),
    *((share, 4, 6, 4, "principal") for share in (0.05, 0.1, 0.15, 0.2, 0.25)),
    (0.1, 4, 6, 5, "principal"),
    *((share, 4, 6, 6, "principal") for share in (0.05, 0.1)),
)


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
        *(
            Product(bits=8, width=width, shared=shared, rounding=rounding)
            for width in (2, 4)
            for shared in (True, False)
        ),
        *(Product(bits=bits, width=width, rounding=rounding) for bits, width in _SMALLER),
        *(Product(bits=bits, width=width, basis="principal", rounding=rounding) for bits, width in _IN_BASIS),
    )


def _in_parts(rounding: Rounding) -> tuple[Scheme, ...]:
    """Tables whose rows are known to count for more or less."""
    return tuple(
        HotRows(
            share=share, hot_bits=hot, cold_bits=cold, cold_width=width, cold_basis=basis, rounding=rounding
        )
        for share, hot, cold, width, basis in _PARTS
    )


def _takes_basis(scheme: Scheme) -> bool:
    return "principal" in (getattr(scheme, "basis", ""), getattr(scheme, "cold_basis", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to store one tensor; `scheme` is None where it is left in float32.

    Attributes:
        size_bytes: of what is stored, or of what files hold of it, whichever is asked for.
        limited: bytes that have limits of their own, such as those of each target's files.
        noise: amplitude of what is lost: of the outputs' change where the tensor's moment is known, else
            as a share of the tensor; rows weigh as much as they are listed or read. Those of one tensor
            compare with each other.
    """

    scheme: Scheme | None
    size_bytes: int
    noise: float
    limited: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """What a form takes: `size_bytes` and `limited` as of a candidate."""

    size_bytes: int
    limited: tuple[int, ...] = ()


Trial = Callable[[Scheme], tuple[QuantizedTensor, QuantizedTensor]]
Quantize = Callable[[Scheme], QuantizedTensor]
Weigh = Callable[[Scheme], Candidate | None]
Remember = Callable[[Scheme, Weigh], Candidate | None]
BytesOf = Callable[[QuantizedTensor], Bytes | None]


def at_once(scheme: Scheme, weigh: Weigh) -> Candidate | None:
    """The candidate of a scheme, made where it is asked for; None where a target cannot carry it."""
    return weigh(scheme)


def codes_alone(tensor: QuantizedTensor) -> Bytes | None:
    """Bytes of a form's codes and of what they need, wherever they are put."""
    return Bytes(size_bytes=tensor.size_bytes)


def candidates(
    name: str,
    values: Floats,
    *,
    usage: Usage = UNKNOWN,
    bytes_of: BytesOf = codes_alone,
    plain_bytes: Bytes | None = None,
    remember: Remember = at_once,
    quantize: Quantize | None = None,
) -> tuple[Candidate, ...]:
    """The candidates for a tensor, largest first; the first leaves it in float32.

    Args:
        name: of the tensor.
        values: of the tensor.
        usage: what is known of how it is used.
        bytes_of: a form's bytes; None where a target of the build cannot carry it.
        plain_bytes: of the tensor in float32; 4 a number where they are left out.
        remember: gives a scheme's candidate, as it was weighed before or as it is weighed now.
        quantize: gives the tensor in a form; made anew where it is left out.
    """

    def trial(scheme: Scheme) -> tuple[QuantizedTensor, QuantizedTensor]:
        made = quantize(scheme) if quantize else scheme.quantize(name, values, usage=usage)
        return made, made

    more = _in_parts(usage.rounding) if usage.popularity is not None else ()
    return candidates_by(
        trial,
        name,
        values.shape,
        values,
        usage=usage,
        bytes_of=bytes_of,
        plain_bytes=plain_bytes,
        more=more,
        remember=remember,
    )


def candidates_by(
    trial: Trial,
    name: str,
    shape: tuple[int, ...],
    sample: Floats,
    *,
    usage: Usage,
    bytes_of: BytesOf = codes_alone,
    plain_bytes: Bytes | None = None,
    more: tuple[Scheme, ...] = (),
    remember: Remember = at_once,
) -> tuple[Candidate, ...]:
    """As `candidates`, for a tensor of which a sample of rows is seen.

    Args:
        trial: a scheme to the whole tensor, whose codes nobody reads, and to the sample in that form.
        name: of the tensor.
        shape: of the tensor.
        sample: of its rows.
        usage: of the sample.
        bytes_of: as there.
        plain_bytes: as there.
        more: schemes beside those that every tensor is tried with.
        remember: as there.
    """

    def weigh(scheme: Scheme) -> Candidate | None:
        try:
            scheme.check(name, shape)
            if isinstance(scheme, Product) and scheme.codebook_bytes(shape) >= 2 * math.prod(shape):
                return None  # float16 has no more bytes, and less noise
            whole, made = trial(scheme)
        except PlanError:
            return None  # a shape that does not divide: another candidate serves this tensor
        found = bytes_of(whole)
        if found is None:
            return None
        noise = _noise(made, sample, usage)
        return Candidate(scheme=scheme, size_bytes=found.size_bytes, noise=noise, limited=found.limited)

    schemes = (*_matrices(usage.rounding), *more) if len(shape) > 1 else _VECTORS
    if rows_and_columns(shape)[0] < _ROWS_OF_BASIS * rows_and_columns(shape)[1]:
        schemes = tuple(each for each in schemes if not _takes_basis(each))
    found = [remember(each, weigh) for each in schemes]
    held = plain_bytes or Bytes(size_bytes=4 * math.prod(shape))
    plain = Candidate(scheme=None, size_bytes=held.size_bytes, noise=0.0, limited=held.limited)
    smaller = [each for each in found if each is not None and each.size_bytes < plain.size_bytes]
    return (plain, *sorted(smaller, key=lambda each: (-each.size_bytes, each.noise)))


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


def undominated(found: Sequence[Candidate], costs: Sequence[float], *, step: float) -> tuple[int, ...]:
    """Places of the candidates that no other beats in both size and cost, and of nearly one size but one.

    Args:
        found: candidates, largest first.
        costs: of each; less is better.
        step: a candidate is kept that is at most so large as a share of the one before.
    """
    kept: list[int] = []
    for place in sorted(range(len(found)), key=lambda each: (found[each].size_bytes, costs[each])):
        if not kept or costs[place] < costs[kept[-1]]:
            kept.append(place)
    falling = kept[::-1]
    thinned = falling[:1]
    for place in falling[1:]:
        if found[place].size_bytes <= step * found[thinned[-1]].size_bytes:
            thinned.append(place)
    return tuple(thinned)


def schemes_of(choice: Mapping[str, Candidate]) -> dict[str, Scheme]:
    """Tensor name to scheme, for the tensors that are compressed at all."""
    return {name: each.scheme for name, each in choice.items() if each.scheme is not None}
