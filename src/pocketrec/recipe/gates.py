"""The table `gates`: what a build must hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pocketrec.recipe.measures import ChangeLimits, StepLimits
from pocketrec.recipe.versus import Versus
from pocketrec.schema import Range, check_ranges

Limit = float | Mapping[str, float]  # one for all targets, or a target's by its name
# What a gate can be set to. Beyond it, an artifact that gives zeros would pass.
GATE_RANGES: Mapping[str, Range] = {
    "max_abs_error": Range(0, 1),
    "min_sqnr_db": Range(10, 200),
    "max_ndcg_drop": Range(0, 0.1),
    "min_top_k_overlap": Range(0.5, 1),
    "max_auc_drop": Range(0, 0.1),
    "max_log_loss_rise": Range(0, 0.1),
    "max_ece_rise": Range(0, 0.1),
    "tie_tolerance": Range(0, 0.05),
    "max_size_mb": Range(0, 1e6, above=True),
    "max_p50_ms": Range(0, 1e5, above=True),
    "max_load_ms": Range(0, 1e6, above=True),
    "max_assumptions": Range(0, 1000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What a build must hold; a limit without a default gates nothing until it is stated.

    A limit on size or time is one number, or a table of targets to numbers.

    Attributes:
        max_abs_error: largest difference of a float32 artifact's outputs from the reference; in place of
            the bound that follows each output's scale.
        min_sqnr_db: lowest signal-to-noise ratio of a float16 artifact's outputs, in dB.
        max_ndcg_drop: largest absolute change of NDCG@k, in either direction: of the change itself, and of
            what its interval of 95 % does not exclude.
        min_top_k_overlap: lowest mean share of the k best that both lists hold.
        max_auc_drop: largest absolute change of AUC, held in the same way.
        max_log_loss_rise: largest absolute change of the log loss, held in the same way.
        max_ece_rise: largest absolute change of the calibration error, held in the same way; it needs `ece`
            among `evaluate.metrics`.
        evaluate: limits on one of several evaluations, by its name, in place of those above.
        slices: limits on slices, by the name of a division (`users`) or of one slice (`users: cold`), for
            artifacts and for the compressed model, of which only a loss counts.
        compression: limits on what compression costs, held by the interval as those above; budgets in
            `compress` are on the cost itself.
        versus: what must hold against the release before, with `build --baseline`.
        tie_tolerance: items whose scores differ by at most this much may swap places; relative
            to the largest score of the list.
        max_size_mb: largest size of a target's files, in 10^6 bytes.
        max_p50_ms: largest median latency of a call of one row, on this machine, of the slowest function;
            the interpreter's, and that of WebGPU in software, is never gated, as it is no device's.
        max_load_ms: longest time to load the slowest function's artifact, on this machine.
        max_assumptions: how many branches on values of its inputs a target's graph may have fixed, as they
            went the same way on all probes; each is named.
        may_skip: runtimes that may be absent; every other runtime of a target must have run.
    """

    max_abs_error: float | None = None
    min_sqnr_db: float | None = 40.0
    max_ndcg_drop: float | None = 0.002
    min_top_k_overlap: float | None = 0.97
    max_auc_drop: float | None = 0.0005
    max_log_loss_rise: float | None = 0.001
    max_ece_rise: float | None = None
    tie_tolerance: float = 1e-5
    max_size_mb: Limit | None = None
    max_p50_ms: Limit | None = None
    max_load_ms: Limit | None = None
    max_assumptions: int | None = 0
    may_skip: tuple[
        Literal["onnxruntime", "coreml-interpreter", "coreml-framework", "web-wasm", "web-webgpu"], ...
    ] = ("coreml-framework", "web-wasm", "web-webgpu")
    evaluate: Mapping[str, ChangeLimits] = field(default_factory=dict)
    slices: Mapping[str, ChangeLimits] = field(default_factory=dict)
    compression: StepLimits | None = None
    versus: Versus | None = None

    def __post_init__(self) -> None:
        check_ranges("gates", self, GATE_RANGES)

    def limit(self, key: str, target: str) -> float | None:
        """The target's limit of size or time by the name of the gate; None where there is none."""
        return limit_of(getattr(self, key), target)


def limit_of(value: Limit | None, target: str) -> float | None:
    """A target's limit; None where there is none, or a table leaves the target out."""
    return value.get(target) if isinstance(value, Mapping) else value
