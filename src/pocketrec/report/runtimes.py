"""One target on one runtime: all that was found out about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pocketrec.report.controls import Control
from pocketrec.report.parity import AccumulationSensitivity, TensorParity
from pocketrec.report.quality import RankingParity
from pocketrec.report.stress import StressCase


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
        ranking: of the first evaluation; None where it did not run.
        further: of the others, where the recipe has several; those that did not run are left out.
        latency: per function; empty where it did not run.
        accumulation: per function and output of a float16 artifact, where the engine offers the choice.
        web: per function, of a runtime in a browser.
        stress: each case from the contract, per function.
        controls: whether the comparison could have come out otherwise.
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
    further: tuple[RankingParity, ...] = ()
    latency: Mapping[str, LatencyResult] = field(default_factory=dict)
    accumulation: tuple[AccumulationSensitivity, ...] = ()
    web: Mapping[str, WebFacts] = field(default_factory=dict)
    stress: tuple[StressCase, ...] = ()
    controls: tuple[Control, ...] = ()

    @property
    def rankings(self) -> tuple[RankingParity, ...]:
        """Of every evaluation that ran, in the recipe's order."""
        return self.further if self.ranking is None else (self.ranking, *self.further)

    @property
    def pretended(self) -> str:
        """What played the device, where times are none of a device's; else empty."""
        if self.runtime == "coreml-interpreter":
            return "the interpreter"
        if any(each.software for each in self.web.values()):
            return "WebGPU in software"
        return ""
