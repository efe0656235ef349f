"""The evidence as tables of text: every figure that the page draws, and all that it does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketrec.report import Evidence, LatencyResult, PlanPoint, RoundedInput
from pocketrec.validate.profile.statistics import percentile
from pocketrec.validate.report.page.parts import Cell, badge
from pocketrec.validate.report.summary import (
    PARITY_HEAD,
    overlap_text,
    parity_cells,
    ratio_text,
    share_text,
    size_text,
    weight_bytes,
)
from pocketrec.validate.report.table import ReportTable

_MOST_TENSORS = 400  # of an artifact; evidence.json has all


def gates(evidence: Evidence) -> ReportTable:
    """Returns every gate, those that failed first."""
    order = {"failed": 0, "skipped": 1, "passed": 2}
    rows = [
        (badge(each.status), each.gate, each.target or "—", each.runtime or "—", each.message)
        for each in sorted(evidence.gates, key=lambda each: order[each.status])
    ]
    return ReportTable(title="Gates", head=("status", "gate", "target", "runtime", "message"), rows=rows)


def parity(evidence: Evidence) -> ReportTable:
    """Returns every output against the reference, over all probes."""
    rows = [
        (result.target, result.runtime, *parity_cells(each))
        for result in evidence.results
        for each in result.parity
    ]
    return ReportTable(title="Parity with the reference", head=("target", "runtime", *PARITY_HEAD), rows=rows)


def accumulation(evidence: Evidence) -> ReportTable:
    """Returns what float16 accumulation would do to each output."""
    rows = [
        (result.target, result.runtime, *parity_cells(each.parity), overlap_text(each))
        for result in evidence.results
        for each in result.accumulation
    ]
    return ReportTable(
        title="If a device accumulates in float16: against the same artifact with float32 sums",
        head=("target", "runtime", *PARITY_HEAD, "top-k overlap"),
        rows=rows,
    )


def latency(evidence: Evidence) -> ReportTable:
    """Returns what calls took, with 95 % intervals of the percentiles where there are calls enough."""
    base = next((each for each in evidence.results if each.target == "reference"), None)
    rows = []
    for result in evidence.results:
        for function, each in result.latency.items():
            eager = base.latency.get(function) if base is not None else None
            ratio = ratio_text(each, eager) if eager is not None else "—"
            figures = [f"{value:.3f}" for value in (each.p50_ms, each.p95_ms, each.p99_ms)]
            figures = [f for pair in zip(figures, _intervals(each), strict=True) for f in pair][:-1]
            setting = [str(value) for value in (each.runs, each.threads, each.batch)]
            load = f"{each.load_ms:.1f}" if each.load_ms else "—"
            rows.append((result.target, result.runtime, function, *figures, ratio, load, *setting))
    times = ("p50 ms", "95 % interval", "p95 ms", "its interval", "p99 ms")
    head = (
        "target",
        "runtime",
        "function",
        *times,
        "p50 against eager",
        "load ms",
        "runs",
        "threads",
        "batch",
    )
    return ReportTable(title="Latency on this machine", head=head, rows=rows)


def _intervals(latency: LatencyResult) -> Sequence[str]:
    """Of p50, p95 and p99, from the calls themselves."""
    samples = np.asarray(latency.samples_ms)
    if not len(samples) or not np.isfinite(samples).all():
        return ("—",) * 3
    found = [percentile(samples, share) for share in (0.5, 0.95, 0.99)]
    return [
        "—" if each.low_ms is None or each.high_ms is None else f"{each.low_ms:.3f} to {each.high_ms:.3f}"
        for each in found
    ]


def web(evidence: Evidence) -> ReportTable:
    """Returns what browsers say of each artifact."""
    rows = [
        (
            *(result.target, result.runtime, function),
            result.compute_units,
            result.runtime_version,
            f"{each.creation_ms:.1f}",
            f"{each.first_run_ms:.1f}",
        )
        for result in evidence.results
        for function, each in result.web.items()
    ]
    head = ("target", "runtime", "function", "ran on", "version", "creation ms", "first run ms")
    return ReportTable(title="In the browser", head=head, rows=rows)


def wire(evidence: Evidence) -> ReportTable:
    """Returns bytes over the wire of each file, once however many runtimes fetched it."""
    rows = {
        (result.target, each.file): tuple(_bytes(size) for size in (each.raw, each.gzip, each.brotli))
        for result in evidence.results
        for facts in result.web.values()
        for each in facts.files
    }
    head = ("target", "file", "raw", "gzip", "brotli")
    return ReportTable(title="Over the wire", head=head, rows=[(*key, *each) for key, each in rows.items()])


def sizes(evidence: Evidence) -> ReportTable:
    """Returns every artifact and its tensors."""
    rows = []
    for each in evidence.sizes:
        where = (each.target, each.function)
        rows.append((*where, "(whole artifact)", "", "", _bytes(each.size_bytes)))
        for tensor in each.tensors[:_MOST_TENSORS]:
            shape = " × ".join(str(size) for size in tensor.shape) or "scalar"
            rows.append((*where, tensor.name, tensor.dtype, shape, _bytes(tensor.size_bytes)))
        rest = each.tensors[_MOST_TENSORS:]
        if rest:
            total = _bytes(sum(tensor.size_bytes for tensor in rest))
            rows.append((*where, f"({len(rest)} smaller ones)", "", "", total))
    return ReportTable(
        title="Size", head=("target", "function", "tensor", "dtype", "shape", "size"), rows=rows
    )


def _bytes(size: int) -> Cell:
    return Cell(text=size_text(size), order=size)


def compression(evidence: Evidence) -> ReportTable:
    """Returns what became of each tensor."""
    rows = []
    for each in evidence.compression:
        shape = " × ".join(str(size) for size in each.shape) or "scalar"
        sizes = (_bytes(each.bytes_before), _bytes(each.bytes_after), f"{each.bits:.2f}")
        figures = (*sizes, f"{each.sqnr_db:.1f}", f"{each.share:.1%}")
        rows.append((each.name, shape, each.asked or "—", each.done, *figures, ", ".join(each.functions)))
    if rows:
        before, after = weight_bytes(evidence)
        sizes = (_bytes(before), _bytes(after), f"{32 * after / before:.2f}" if before else "—")
        rows.insert(
            0, ("(all tensors)", "", "", "", *sizes, "", f"{share_text(after, before)} of float32", "")
        )
    head = (
        "tensor",
        "shape",
        "asked for",
        "done",
        "before",
        "after",
        "bits",
        "SQNR dB",
        "share",
        "functions",
    )
    return ReportTable(title="Compression, tensor by tensor", head=head, rows=rows)


def front(evidence: Evidence) -> ReportTable:
    """Returns the plans that a search found, the smallest first."""
    rows = [
        (
            "this build" if each.chosen else "",
            _bytes(each.size_bytes),
            f"{each.ratio:.2%}",
            f"{each.distortion:.3%}",
            ", ".join(_loss(each, name) for name in sorted(each.losses)),
        )
        for each in evidence.front
    ]
    head = ("", "bytes", "of float32", "ranking that moved", "losses of metrics")
    return ReportTable(title="Plans that none beats", head=head, rows=rows)


def _loss(point: PlanPoint, name: str) -> str:
    text = f"{name} {point.losses[name]:+.2g}"
    if name not in point.intervals:
        return text
    low, high = point.intervals[name]
    return f"{text} [{low:+.2g}, {high:+.2g}]"


def activations(evidence: Evidence) -> ReportTable:
    """Returns the layers whose inputs are rounded."""
    rows = [
        (each.layer, each.mode, f"{each.low:.4g} to {each.high:.4g}", *_codes_of(each))
        for each in evidence.activations
    ]
    head = ("layer", "mode", "seen", "scale", "zero point")
    return ReportTable(title="Inputs of dense layers in 8 bits", head=head, rows=rows)


def _codes_of(each: RoundedInput) -> tuple[str, str]:
    if each.scale is None:
        return "of each call", "of each call"
    return f"{each.scale:.4g}", str(each.zero_point)


def rewrites(evidence: Evidence) -> ReportTable:
    """Returns every rewrite with its proof."""
    rows = [
        (each.function, each.name, each.where, each.reason, f"{each.max_abs_error:.3g}", str(each.probes))
        for each in evidence.rewrites
    ]
    head = ("function", "rewrite", "where", "reason", "max abs", "probes")
    return ReportTable(title="Rewrites, each proved against the original", head=head, rows=rows)


def origin(evidence: Evidence) -> ReportTable:
    """Returns machine, versions and digests."""
    machine = evidence.machine
    rows = [
        ("recipe sha256", evidence.recipe_sha256),
        ("contract sha256", evidence.contract_sha256),
        ("system", machine.system),
        ("processor", f"{machine.processor}, {machine.cores} cores, {machine.memory_gb:g} GiB"),
        ("python", machine.python),
        *sorted(evidence.versions.items()),
    ]
    return ReportTable(title="Where the figures come from", head=("what", "value"), rows=rows)
