"""The evidence in short: rows for a terminal's table and for both reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pocketrec.report import (
    COMPRESSED,
    AccumulationSensitivity,
    Evidence,
    LatencyResult,
    RankingParity,
    RuntimeResult,
    TensorParity,
)
from pocketrec.validate.gates import REFERENCE
from pocketrec.validate.report.quality import interval_text, quality_notes
from pocketrec.validate.runtimes.runtime import is_coarse


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One target on one runtime, as text ready to print; an em dash stands for what there is not.

    Attributes:
        status: `reference`, `passed`, `failed`, `skipped` (it did not run, as it may) or `not gated` (it ran,
            and no gate judged it).
        parity: worst error over all outputs, or why there is none.
        ranking: the metrics, where some example's is another the interval of its change, and the overlap
            where there are lists.
        size: of all functions' artifacts.
        p50: of the slowest function, against PyTorch eager in the same run.
    """

    target: str
    runtime: str
    precision: str
    status: Literal["reference", "passed", "failed", "skipped", "not gated"]
    parity: str
    ranking: str
    size: str
    p50: str


def summary_rows(evidence: Evidence) -> tuple[SummaryRow, ...]:
    """One row per target and runtime, the reference first."""
    results = sorted(evidence.results, key=lambda each: each.target != REFERENCE)
    reference = next((each for each in results if each.target == REFERENCE), None)
    return tuple(_row(each, reference, evidence) for each in results)


def _row(result: RuntimeResult, reference: RuntimeResult | None, evidence: Evidence) -> SummaryRow:
    size = sum(each.size_bytes for each in evidence.sizes if each.target == result.target)
    return SummaryRow(
        target=result.target,
        runtime=result.runtime,
        precision=result.precision or "—",
        status=_status(result, evidence),
        parity=_parity_text(result),
        ranking=_ranking_text(result),
        size=size_text(size) if size else "—",
        p50=_latency_text(result, reference),
    )


def _status(
    result: RuntimeResult, evidence: Evidence
) -> Literal["reference", "passed", "failed", "skipped", "not gated"]:
    if result.target == REFERENCE:
        return "reference"
    mine = [
        each.status
        for each in evidence.gates
        if each.target == result.target and each.runtime in (result.runtime, _whole(result))
    ]
    if "failed" in mine:
        return "failed"
    if "passed" in mine:
        return "passed"
    return "skipped" if mine and result.status == "not_run" else "not gated"


def _whole(result: RuntimeResult) -> str:
    """The runtime of gates on the artifact itself, which say nothing of a runtime that did not run."""
    return "" if result.status == "ran" else result.runtime


def _parity_text(result: RuntimeResult) -> str:
    if result.status == "not_run":
        return "not run"
    if result.target in (REFERENCE, COMPRESSED):
        return "—"
    broken = [each for each in result.parity if each.failure or not each.elements]
    if broken or not result.parity:
        return f"failed: {broken[0].function}.{broken[0].output}" if broken else "nothing compared"
    wrong = sum(each.mismatches for each in result.parity)
    ids = f", {wrong} ids differ" if wrong else ""
    if is_coarse(result.precision):
        return f"{min(each.sqnr_db for each in result.parity):.1f} dB{ids}"
    return f"max |Δ| {max(each.max_abs_error for each in result.parity):.1e}{ids}"


def _ranking_text(result: RuntimeResult) -> str:
    return " ".join(_evaluation_text(each, result) for each in result.rankings) or "—"


def _evaluation_text(ranking: RankingParity, result: RuntimeResult) -> str:
    moved = {each.metric: each.intervals[0] for each in ranking.changes if each.differing and each.intervals}
    text = " ".join(
        f"{name}{ranking.of} {value:.4f}" + (f" {interval_text(moved[name])}" if name in moved else "")
        for name, value in ranking.artifact.items()
    )
    if ranking.available is not None:  # figures of a sample are not those of the reference's row
        text += f" on {ranking.examined}"
    if ranking.top_k_overlap is None or result.target == REFERENCE:
        return text
    return f"{text} overlap{ranking.of} {ranking.top_k_overlap:.3f}"


def _latency_text(result: RuntimeResult, reference: RuntimeResult | None) -> str:
    if not result.latency:
        return "—"
    function, slowest = max(result.latency.items(), key=lambda pair: pair[1].p50_ms)
    text = f"{slowest.p50_ms:.2f} ms"
    if result.pretended:
        return f"{text} ({result.pretended.removeprefix('the ')}, not a device)"
    base = reference.latency.get(function) if reference is not None else None
    if base is None or result.target == REFERENCE:
        return text
    return f"{text} ({ratio_text(slowest, base)})"


def ratio_text(latency: LatencyResult, reference: LatencyResult) -> str:
    """How a p50 compares with PyTorch's, as `×` PyTorch's time."""
    if not reference.p50_ms or math.isnan(latency.p50_ms):
        return "—"
    return f"{latency.p50_ms / reference.p50_ms:.2f}× PyTorch's"


def share_text(part: float, whole: float) -> str:
    """Returns a share in percent, an em dash of nothing."""
    return f"{part / whole:.1%}" if whole else "—"


def weight_bytes(evidence: Evidence) -> tuple[int, int]:
    """Returns the bytes of all weights, before compression and after."""
    return (
        sum(each.bytes_before for each in evidence.compression),
        sum(each.bytes_after for each in evidence.compression),
    )


def size_text(size_bytes: int) -> str:
    """Bytes in the largest decimal unit that leaves one digit before the point."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def notes(evidence: Evidence) -> tuple[str, ...]:
    """What a reader must know to read the figures rightly, one sentence each; not what did not run."""
    found = [each for each in evidence.results if each.status == "ran"]
    system = evidence.machine.system
    said = list(evidence.notes)
    if any(each.runtime == "coreml-interpreter" for each in found):
        said.append(
            f"Core ML artifacts were executed by pocketrec's interpreter on {system}; its latency is that of "
            "the interpreter and says nothing about a device."
        )
    if any(each.runtime == "coreml-framework" for each in found):
        said.append(f"Core ML artifacts were executed by Apple's Core ML framework on {system}.")
    elif any(each.runtime.startswith("coreml") for each in evidence.results):
        said.append("Core ML: not measured on Apple hardware.")
    if any(facts.software for each in found for facts in each.web.values()):
        said.append("WebGPU ran in software, on the CPU: parity counts, times say nothing of a device.")
    said += [_accumulation_note(each) for each in evidence.results if each.accumulation]
    said += [note for each in found for note in quality_notes(each)]
    return tuple(said)


def _accumulation_note(result: RuntimeResult) -> str:
    """The output that float16 accumulation moves most."""
    broken = [each.parity for each in result.accumulation if each.parity.failure]
    if broken:
        worst = f"{broken[0].function}.{broken[0].output} fails: {broken[0].failure}"
    else:
        each = min(result.accumulation, key=lambda each: each.parity.sqnr_db)
        ids = sum(other.parity.mismatches for other in result.accumulation)
        overlaps = [other.top_k_overlap for other in result.accumulation if other.top_k_overlap is not None]
        worst = f"{each.parity.function}.{each.parity.output} keeps {each.parity.sqnr_db:.1f} dB"
        worst += f", top-k overlap {min(overlaps):.3f}" if overlaps else ""
        worst += f", {ids} ids differ" if ids else ""
    return f"{result.target}: if a device accumulates in float16, {worst} (against float32 accumulation)."


def overlap_text(each: AccumulationSensitivity) -> str:
    """The overlap, or an em dash where the output is no list."""
    return "—" if each.top_k_overlap is None else f"{each.top_k_overlap:.3f}"


def parity_cells(each: TensorParity) -> tuple[str, ...]:
    """One parity's figures as text, in the order of `PARITY_HEAD` after target and runtime."""
    name = f"{each.function}.{each.output}"
    if each.failure:
        return (name, str(each.probes), "—", "—", "—", "—", "—", f"failed: {each.failure}")
    return (
        name,
        str(each.probes),
        f"{each.max_abs_error:.3g}",
        f"{each.max_rel_error:.3g}",
        f"{each.sqnr_db:.1f}",
        f"{each.cosine:.7f}",
        str(each.mismatches),
        each.worst_probe,
    )


PARITY_HEAD: Sequence[str] = (
    "output",
    "probes",
    "max abs",
    "max rel",
    "SQNR dB",
    "cosine",
    "ids that differ",
    "worst probe, or failure",
)
