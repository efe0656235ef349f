"""A card per target: what it weighs, and how each runtime fared with it."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from pocketrec.report import COMPRESSED, Evidence, RuntimeResult
from pocketrec.validate.gates import REFERENCE
from pocketrec.validate.report.headline import change_text, changes_of, main_metric
from pocketrec.validate.report.page.parts import badge, card, facts
from pocketrec.validate.report.summary import SummaryRow, share_text, size_text, summary_rows, weight_bytes

_WORST = ("failed", "skipped", "not gated", "passed")


def target_cards(evidence: Evidence) -> list[Markup]:
    """Returns a card for each target, the compressed model before them."""
    rows = {(each.target, each.runtime): each for each in summary_rows(evidence)}
    names = dict.fromkeys(each.target for each in evidence.results if each.target != REFERENCE)
    order = sorted(names, key=lambda name: name != COMPRESSED)
    return [_card(name, evidence, rows) for name in order]


def _card(name: str, evidence: Evidence, rows: dict[tuple[str, str], SummaryRow]) -> Markup:
    results = [each for each in evidence.results if each.target == name]
    states = [rows[name, each.runtime].status for each in results]
    ran = [state for state, each in zip(states, results, strict=True) if each.status == "ran"] or states
    state = next((each for each in _WORST if each in ran), ran[0])
    title = "Compressed model" if name == COMPRESSED else name
    return card(
        title,
        facts(_whole(name, evidence)),
        *(_engine(each, evidence, rows[name, each.runtime]) for each in results),
        state=badge(state),
        tone="bad" if state == "failed" else None,
    )


def _whole(name: str, evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What is so whatever the target runs on."""
    if name == COMPRESSED and evidence.compression:
        before, after = weight_bytes(evidence)
        yield "weights", f"{size_text(after)}, {share_text(after, before)} of {size_text(before)}"
    sizes = [each for each in evidence.sizes if each.target == name]
    if sizes:
        yield "size", size_text(sum(each.size_bytes for each in sizes))
    precision = next(
        (each.precision for each in evidence.results if each.target == name and each.precision), ""
    )
    if precision:
        yield "arithmetic", precision


def _engine(result: RuntimeResult, evidence: Evidence, row: SummaryRow) -> Markup:
    state = badge("not run") if result.status == "not_run" else badge(row.status)
    head = Markup('<p class="engine"><b>{}</b> {} {}</p>').format(
        result.runtime, result.runtime_version, state
    )
    if result.status == "not_run":
        return head + Markup('<p class="note">{}</p>').format(result.reason)
    return head + facts(_figures(result, evidence, row))


def _figures(result: RuntimeResult, evidence: Evidence, row: SummaryRow) -> Iterator[tuple[str, str]]:
    if result.target != COMPRESSED:
        yield "same numbers", row.parity
    metric = main_metric(evidence)
    for ranking in result.rankings:
        change = next((each for each in changes_of(ranking) if each.metric == metric), None)
        if metric in ranking.artifact:
            moved = f", {change_text(change)}" if change is not None else ""
            yield f"{metric}{ranking.of}", f"{ranking.artifact[metric]:.4f}{moved}"
        if ranking.top_k_overlap is not None:
            kept = "all" if ranking.top_k_overlap == 1 else f"{ranking.top_k_overlap:.2%}"
            yield f"lists kept{ranking.of}", f"{kept} of their items, {ranking.examined} users"
    if result.latency:
        yield "median call", row.p50
    loads = [each.load_ms for each in result.latency.values() if each.load_ms]
    if loads:
        yield "load", f"{sum(loads):.0f} ms"
    if result.compute_units:
        yield "ran on", result.compute_units
