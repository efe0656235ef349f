"""The evidence: what was compared, measured and gated, as data.

`validate/` fills it, `pipeline` gates on it, `validate.render` shows it, bundles carry it.
What did not run stands here as not run, with the reason; it is never left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

COMPRESSED = "compressed"  # the target of the line that says what compression cost


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
class Interval:
    """Where a figure lies, by a share of `confidence` of such intervals."""

    low: float
    high: float
    confidence: float

    def within(self, limit: float) -> bool:
        """Whether it excludes everything further from 0 than the limit."""
        return -limit <= self.low and self.high <= limit


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """How a metric moved from the reference to the artifact, paired example by example.

    Attributes:
        metric: such as `ndcg@10`.
        before: the reference's.
        after: the artifact's.
        examples: that are resampled; 0 where the metric is no mean of theirs, and has no interval.
        resampled: what an example is, `users` or `rows`.
        differing: how many have another value.
        fell: how many have a worse value.
        deviation: standard deviation of what the examples' values changed by.
        intervals: of the change: the first as if it were looked at alone, the n-th so that n of them hold
            together (at the confidence that Holm's step asks for).
        method: of the intervals, `bca` or `percentile`.
    """

    metric: str
    before: float
    after: float
    examples: int = 0
    resampled: str = ""
    differing: int = 0
    fell: int = 0
    deviation: float = float("nan")
    intervals: tuple[Interval, ...] = ()
    method: str = ""

    @property
    def change(self) -> float:
        """The artifact's value less the reference's."""
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceChange:
    """The examples of one slice; `large` where they are enough to be gated."""

    division: str
    label: str
    examples: int
    large: bool
    changes: tuple[MetricChange, ...]

    @property
    def name(self) -> str:
        """As a gate names it."""
        return f"{self.division}: {self.label}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChange:
    """What became of the users' lists of one length, the means over users.

    Attributes:
        k: the length.
        overlap: the share of a list that the other holds too.
        rank_biased_overlap: the same weighted by place, extrapolated, with p = 0.9.
        kendall_tau: how alike they are ordered, -1 to 1; None for lists of one item.
        churn: the share of a list that is new.
        changed: the share of users whose list is another, be it in its order alone.
        first_changed: the share of users whose first item is another.
        coverage: the share of the items that some list holds, before and after; None where their number is
            not known.
        novelty: bits per item, before and after.
        popularity_shift: the relative change of how popular listed items are.
        diversity: mean distance of two items of a list, before and after; None where items have no vectors.
    """

    k: int
    overlap: float
    rank_biased_overlap: float
    churn: float
    changed: float
    first_changed: float
    kendall_tau: float | None = None
    coverage: tuple[float, float] | None = None
    novelty: tuple[float, float] | None = None
    popularity_shift: float | None = None
    diversity: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What became of probabilities as such.

    Attributes:
        ece: calibration error with 15 bins of equal width, before and after.
        adaptive_ece: with 15 bins of equal numbers of rows.
        shift: the mean of what rows' probabilities changed by.
        interval: of the shift.
        warning: where the probabilities drifted; else empty.
    """

    ece: tuple[float, float]
    adaptive_ece: tuple[float, float]
    shift: float
    interval: Interval | None
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingParity:
    """The recommender's quality, reference against artifact, over all evaluation examples.

    Attributes:
        examples: users (ranking) or rows (classification).
        reference: metric name to value, such as `ndcg@10`, for the reference.
        artifact: the same for the artifact.
        top_k_overlap: mean share of the k best in both lists; None for classification.
        worst_overlap: the smallest share of any example; None for classification.
        worst_row: the number of that example.
        available: how many examples there are, where a slow runtime examined a sample; else None.
        changes: of every metric, with intervals.
        slices: of the examples, where the recipe asks for some.
        lists: what became of them at each length; empty for classification.
        calibration: of probabilities and logits; None for rankings.
    """

    examples: int
    reference: Mapping[str, float]
    artifact: Mapping[str, float]
    top_k_overlap: float | None = None
    worst_overlap: float | None = None
    worst_row: int | None = None
    available: int | None = None
    changes: tuple[MetricChange, ...] = ()
    slices: tuple[SliceChange, ...] = ()
    lists: tuple[ListChange, ...] = ()
    calibration: Calibration | None = None

    @property
    def examined(self) -> str:
        """How many examples, and of how many where that is a sample."""
        return str(self.examples) if self.available is None else f"{self.examples} of {self.available}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccumulationSensitivity:
    """What accumulating in float16 does to one output, the artifact against itself with float32 sums.

    Attributes:
        parity: float16 against float32 accumulation.
        top_k_overlap: mean share of a row's 10 best in both lists; None where the output is no such list.
    """

    parity: TensorParity
    top_k_overlap: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyResult:
    """Milliseconds per call on this machine; `samples_ms` are the counted runs in order."""

    load_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    runs: int
    threads: int
    batch: int
    samples_ms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WireSize:
    """Bytes of one file over the wire: as it is, and as a server's gzip and brotli make it."""

    file: str
    raw: int
    gzip: int
    brotli: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFacts:
    """What a browser has to say of one artifact.

    Attributes:
        creation_ms: from fetched bytes to a session, compilation included.
        first_run_ms: inside the page, of the first call; 0 where there was none.
        adapter: WebGPU's name of the device; empty on WebAssembly.
        software: whether the CPU plays the device, so that times say nothing of one.
        files: the artifact's, the graph first.
    """

    creation_ms: float
    first_run_ms: float
    adapter: str
    software: bool
    files: tuple[WireSize, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeResult:
    """One target on one runtime. `status` is `ran` or `not_run`; `reason` says why not.

    Attributes:
        target: the recipe's name of the target; `reference` for PyTorch.
        runtime: the engine's name.
        runtime_version: its version; empty where it is not there.
        precision: the arithmetic.
        compute_units: what it ran on; empty where it did not run.
        parity: one entry per function and output, over all probes.
        rows: the same over the rows of the evaluation data that differ most; all rows were compared.
        ranking: None where it did not run.
        latency: per function; empty where it did not run.
        accumulation: per function and output of a float16 artifact, where the engine offers the choice.
        web: per function, of a runtime in a browser.
    """

    target: str
    runtime: str
    status: Literal["ran", "not_run"]
    reason: str = ""
    runtime_version: str = ""
    precision: str = ""
    compute_units: str = ""
    parity: tuple[TensorParity, ...] = ()
    rows: tuple[TensorParity, ...] = ()
    ranking: RankingParity | None = None
    latency: Mapping[str, LatencyResult] = field(default_factory=dict)
    accumulation: tuple[AccumulationSensitivity, ...] = ()
    web: Mapping[str, WebFacts] = field(default_factory=dict)

    @property
    def pretended(self) -> str:
        """What played the device, where times are none of a device's; else empty."""
        if self.runtime == "coreml-interpreter":
            return "the interpreter"
        if any(each.software for each in self.web.values()):
            return "WebGPU in software"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate on one result; `message` says which output and how far, in words."""

    gate: str
    target: str
    runtime: str
    status: Literal["passed", "failed", "skipped"]
    message: str


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
        size_bytes: of all tensors, compressed or not.
        ratio: of that to float32.
        distortion: how far the ranking moved, 0 where it did not.
        losses: metric name to how much worse it is than the original's.
        chosen: whether it is the plan of this build.
        tensors: the plan, as in a recipe.
    """

    size_bytes: int
    ratio: float
    distortion: float
    losses: Mapping[str, float]
    chosen: bool
    tensors: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteResult:
    """A rewrite that was applied and proved: where, how often, and the largest difference seen."""

    function: str
    name: str
    where: str
    reason: str
    max_abs_error: float
    probes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where the figures come from."""

    system: str
    processor: str
    cores: int
    memory_gb: float
    python: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a build found out. Timings make it differ from run to run.

    Attributes:
        notes: what a reader must know of how the model was loaded, one sentence each.
    """

    recipe: str
    recipe_sha256: str
    contract_sha256: str
    machine: Machine
    versions: Mapping[str, str]
    results: tuple[RuntimeResult, ...]
    sizes: tuple[ArtifactSize, ...]
    rewrites: tuple[RewriteResult, ...]
    gates: tuple[GateResult, ...]
    compression: tuple[CompressedTensor, ...] = ()
    activations: tuple[RoundedInput, ...] = ()
    front: tuple[PlanPoint, ...] = ()
    notes: tuple[str, ...] = ()
    schema: int = 1

    @property
    def passed(self) -> bool:
        """True where at least one gate ran and none failed."""
        ran = [gate for gate in self.gates if gate.status != "skipped"]
        return bool(ran) and all(gate.status == "passed" for gate in ran)

    def to_json(self) -> str:
        """The evidence as strict JSON; infinities are written as strings."""
        return json.dumps(plain(asdict(self)), indent=1, sort_keys=True, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """The value with what strict JSON lacks written as strings."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
