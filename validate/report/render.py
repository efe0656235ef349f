"""The evidence for people: Markdown, and one HTML file that needs nothing beside it."""

from __future__ import annotations

from dataclasses import astuple, fields
from pathlib import Path

from pocketrec.report import Evidence, RoundedInput
from pocketrec.validate.report.markdown import md_row, md_text
from pocketrec.validate.report.plots import plots
from pocketrec.validate.report.quality import quality_tables
from pocketrec.validate.report.stress import stress_tables
from pocketrec.validate.report.summary import (
    PARITY_HEAD,
    SummaryRow,
    notes,
    overlap_text,
    parity_cells,
    ratio_text,
    size_text,
    summary_rows,
)
from pocketrec.validate.report.table import ReportTable

__all__ = ["SummaryRow", "summary_rows", "to_html", "to_markdown"]

_MOST_TENSORS = 12


def to_markdown(evidence: Evidence) -> str:
    """The evidence as Markdown."""
    lines = [f"# {md_text(evidence.recipe)}: {_verdict(evidence)}", ""]
    lines += [f"- {md_text(note)}" for note in notes(evidence)]
    for table in _tables(evidence):
        lines += ["", f"## {table.title}", "", md_row(table.head), md_row(["---"] * len(table.head))]
        lines += [md_row([md_text(cell) for cell in row]) for row in table.rows]
    return "\n".join(lines) + "\n"


def to_html(evidence: Evidence) -> str:
    """The evidence as one HTML page with inline style and figures; every text is escaped."""
    import jinja2

    folder = Path(__file__).parent / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page: str = environment.get_template("report.html.j2").render(
        title=evidence.recipe,
        verdict=_verdict(evidence),
        passed=evidence.passed,
        notes=notes(evidence),
        tables=_tables(evidence),
        plots=plots(evidence),
    )
    return page


def _verdict(evidence: Evidence) -> str:
    counts = {
        status: sum(gate.status == status for gate in evidence.gates)
        for status in ("passed", "failed", "skipped")
    }
    total = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{'passed' if evidence.passed else 'failed'} (gates: {total})"


def _tables(evidence: Evidence) -> list[ReportTable]:
    names = [each.name for each in fields(SummaryRow)]
    tables = [
        ReportTable(title="Targets", head=names, rows=[astuple(row) for row in summary_rows(evidence)]),
        _gates(evidence),
        _parity(evidence),
        _accumulation(evidence),
        *quality_tables(evidence),
        *stress_tables(evidence),
        _latency(evidence),
        _web(evidence),
        _wire(evidence),
        _sizes(evidence),
        _compression(evidence),
        _activations(evidence),
        _rewrites(evidence),
        _origin(evidence),
    ]
    return [table for table in tables if table.rows]


def _gates(evidence: Evidence) -> ReportTable:
    rows = [(each.status, each.gate, each.target, each.runtime, each.message) for each in evidence.gates]
    order = {"failed": 0, "skipped": 1, "passed": 2}
    rows.sort(key=lambda row: order[row[0]])
    return ReportTable(title="Gates", head=("status", "gate", "target", "runtime", "message"), rows=rows)


def _parity(evidence: Evidence) -> ReportTable:
    rows = [
        (result.target, result.runtime, *parity_cells(each))
        for result in evidence.results
        for each in result.parity
    ]
    return ReportTable(title="Parity with the reference", head=("target", "runtime", *PARITY_HEAD), rows=rows)


def _accumulation(evidence: Evidence) -> ReportTable:
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


def _latency(evidence: Evidence) -> ReportTable:
    base = next((each for each in evidence.results if each.target == "reference"), None)
    rows = []
    for result in evidence.results:
        for function, each in result.latency.items():
            eager = base.latency.get(function) if base is not None else None
            ratio = ratio_text(each, eager) if eager is not None else "—"
            figures = [f"{value:.3f}" for value in (each.p50_ms, each.p95_ms, each.p99_ms)]
            setting = [str(value) for value in (each.runs, each.threads, each.batch)]
            load = f"{each.load_ms:.1f}" if each.load_ms else "—"
            rows.append((result.target, result.runtime, function, *figures, ratio, load, *setting))
    head = ("target", "runtime", "function", "p50 ms", "p95 ms", "p99 ms", "p50 against eager", "load ms")
    return ReportTable(title="Latency on this machine", head=(*head, "runs", "threads", "batch"), rows=rows)


def _web(evidence: Evidence) -> ReportTable:
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


def _wire(evidence: Evidence) -> ReportTable:
    """Bytes over the wire of each file, once however many runtimes fetched it."""
    rows = {
        (result.target, each.file): tuple(size_text(size) for size in (each.raw, each.gzip, each.brotli))
        for result in evidence.results
        for facts in result.web.values()
        for each in facts.files
    }
    head = ("target", "file", "raw", "gzip", "brotli")
    return ReportTable(title="Over the wire", head=head, rows=[(*key, *each) for key, each in rows.items()])


def _sizes(evidence: Evidence) -> ReportTable:
    rows = []
    for each in evidence.sizes:
        where = (each.target, each.function)
        rows.append((*where, "(whole artifact)", "", "", size_text(each.size_bytes)))
        for tensor in each.tensors[:_MOST_TENSORS]:
            shape = " × ".join(str(size) for size in tensor.shape) or "scalar"
            rows.append((*where, tensor.name, tensor.dtype, shape, size_text(tensor.size_bytes)))
        rest = each.tensors[_MOST_TENSORS:]
        if rest:
            total = size_text(sum(tensor.size_bytes for tensor in rest))
            rows.append((*where, f"({len(rest)} smaller ones)", "", "", total))
    return ReportTable(
        title="Size", head=("target", "function", "tensor", "dtype", "shape", "size"), rows=rows
    )


def _compression(evidence: Evidence) -> ReportTable:
    rows = []
    for each in evidence.compression:
        shape = " × ".join(str(size) for size in each.shape) or "scalar"
        sizes = (size_text(each.bytes_before), size_text(each.bytes_after), f"{each.bits:.2f}")
        figures = (*sizes, f"{each.sqnr_db:.1f}", f"{each.share:.1%}")
        rows.append((each.name, shape, each.asked or "—", each.done, *figures, ", ".join(each.functions)))
    if rows:
        before = sum(each.bytes_before for each in evidence.compression)
        after = sum(each.bytes_after for each in evidence.compression)
        sizes = (size_text(before), size_text(after), f"{32 * after / before:.2f}")
        rows.insert(0, ("(all tensors)", "", "", "", *sizes, "", f"{after / before:.1%} of float32", ""))
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


def _activations(evidence: Evidence) -> ReportTable:
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


def _rewrites(evidence: Evidence) -> ReportTable:
    rows = [
        (each.function, each.name, each.where, each.reason, f"{each.max_abs_error:.3g}", str(each.probes))
        for each in evidence.rewrites
    ]
    head = ("function", "rewrite", "where", "reason", "max abs", "probes")
    return ReportTable(title="Rewrites, each proved against the original", head=head, rows=rows)


def _origin(evidence: Evidence) -> ReportTable:
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
