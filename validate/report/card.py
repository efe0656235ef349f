"""A build's evidence as a model card tells it: tables and sentences, and nothing that was not found out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields

from pocketrec.report import COMPRESSED, Evidence, GateResult
from pocketrec.validate.report.headline import counted, failed_gates, not_run, place
from pocketrec.validate.report.quality import metrics, slices
from pocketrec.validate.report.summary import SummaryRow, notes, summary_rows
from pocketrec.validate.report.table import ReportTable


@dataclass(frozen=True, slots=True, kw_only=True)
class CardTable:
    """A table of texts."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardEvidence:
    """What a card says of the build.

    Attributes:
        verdict: how the gates ended, in a sentence or two.
        failed: gates that failed, each with its reason.
        metrics: every metric before and after, with the interval of its change.
        slices: the same of every slice.
        latency: of calls on what is no stand-in.
        pretended: why others' times are left out.
        machine: on which it was measured.
        targets: a row for each target and runtime.
        limits: what must be known to read the figures rightly, and gates that were skipped.
        not_run: targets on runtimes that did not run, each with its reason.
    """

    verdict: str
    failed: tuple[str, ...]
    metrics: CardTable
    slices: CardTable
    latency: CardTable
    pretended: tuple[str, ...]
    machine: str
    targets: CardTable
    limits: tuple[str, ...]
    not_run: tuple[str, ...]


def card_evidence(evidence: Evidence) -> CardEvidence:
    """Returns what a card says of a build."""
    machine = evidence.machine
    head = [each.name for each in fields(SummaryRow)]
    return CardEvidence(
        verdict=counted(evidence),
        failed=tuple(_gate(each) for each in failed_gates(evidence)),
        metrics=_plain(metrics(evidence)),
        slices=_plain(slices(evidence)),
        latency=_latency(evidence),
        pretended=tuple(_pretended(evidence)),
        machine=f"{machine.processor}, {machine.cores} cores, {machine.memory_gb:.0f} GB, {machine.system}",
        targets=CardTable(head=head, rows=[astuple(each) for each in summary_rows(evidence)]),
        limits=tuple(_limits(evidence)),
        not_run=tuple(f"{place(each)}: {each.reason}" for each in not_run(evidence)),
    )


def measured(evidence: Evidence) -> Iterator[tuple[str, str, float]]:
    """Yields metric, place and value of every artifact that was evaluated."""
    for result in evidence.results:
        for ranking in result.rankings if result.target != COMPRESSED else ():
            for name, value in ranking.artifact.items():
                yield f"{name}{ranking.of}", place(result), value


def examined(evidence: Evidence) -> str:
    """Returns how many examples were evaluated at most; empty where none were."""
    found = [ranking for each in evidence.results for ranking in each.rankings]
    return max(found, key=lambda each: each.examples).examined if found else ""


def _plain(table: ReportTable) -> CardTable:
    return CardTable(head=table.head, rows=[[str(cell) for cell in row] for row in table.rows])


def _gate(gate: GateResult) -> str:
    return f"{', '.join(filter(None, (gate.gate, gate.where)))}: {gate.message}"


def _latency(evidence: Evidence) -> CardTable:
    rows = [
        (
            *(result.target, result.runtime, result.runtime_version, function),
            *(f"{value:.3f}" for value in (each.p50_ms, each.p95_ms, each.p99_ms)),
            f"{each.load_ms:.1f}" if each.load_ms else "—",
            *(str(value) for value in (each.runs, each.threads, each.batch)),
        )
        for result in evidence.results
        if not result.pretended
        for function, each in result.latency.items()
    ]
    times = ("p50 ms", "p95 ms", "p99 ms", "load ms", "runs", "threads", "batch")
    return CardTable(head=("target", "runtime", "version", "function", *times), rows=rows)


def _pretended(evidence: Evidence) -> Iterator[str]:
    for each in evidence.results:
        if each.pretended and each.latency:
            yield f"{place(each)}: {each.pretended} ran there, whose times are none of a device."


def _limits(evidence: Evidence) -> Iterator[str]:
    yield from notes(evidence)
    for each in evidence.gates:
        if each.status == "skipped":
            yield f"Gate skipped: {_gate(each)}"
