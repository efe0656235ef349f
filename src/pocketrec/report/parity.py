"""Tensors of an artifact beside the reference's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorParity:
    """One output of one function, artifact against reference, over all probes.

    Attributes:
        function: the function's name.
        output: the output's name.
        probes: how many probes were compared.
        elements: how many numbers were compared.
        max_abs_error: largest absolute difference.
        max_rel_error: largest difference relative to max(|reference|, 1e-6).
        sqnr_db: signal-to-quantization-noise ratio in dB; infinite where equal.
        cosine: cosine similarity of the flattened tensors; 1.0 where equal.
        mismatches: for ids: positions that differ and are no tie.
        failure: why the comparison failed before any metric (NaN, missing, shape); else empty.
        worst_probe: name of the probe with the largest error, relative to what counts as the same.
        histogram: counts of log10(|difference|) in the bins of `HISTOGRAM_EDGES`.
        excess: the largest difference as a multiple of what counts as the same numbers in float32, of the
            worst probe; above 1 they are others.
    """

    function: str
    output: str
    probes: int
    elements: int
    max_abs_error: float
    max_rel_error: float
    sqnr_db: float
    cosine: float
    mismatches: int = 0
    failure: str = ""
    worst_probe: str = ""
    histogram: tuple[int, ...] = ()
    excess: float = 0.0


HISTOGRAM_EDGES = tuple(range(-12, 4))  # decades of |difference|; below and above fall into the ends


@dataclass(frozen=True, slots=True, kw_only=True)
class AccumulationSensitivity:
    """What accumulating in float16 does to one output, the artifact against itself with float32 sums.

    Attributes:
        parity: float16 against float32 accumulation.
        top_k_overlap: mean share of a row's 10 best in both lists; None where the output is no such list.
    """

    parity: TensorParity
    top_k_overlap: float | None = None
