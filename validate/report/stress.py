"""Stress in tables: how every kind of case ended on every target, and each case that is no model's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pocketrec.report import Evidence, Outcome, RuntimeResult, StressCase
from pocketrec.validate.report.headline import place
from pocketrec.validate.report.table import ReportTable

WORDS: Mapping[Outcome, str] = {
    "same": "same",
    "refused": "refused",
    "differs": "differ",
    "not_run": "not run",
    "left_out": "left out",
}
_SHOWN: tuple[Outcome, ...] = ("differs", "not_run", "left_out")
Key = tuple[str, str]


def stress_tables(evidence: Evidence) -> tuple[ReportTable, ReportTable]:
    """Counts by function and kind, a column per target and runtime; then the cases that are to be told."""
    results = stressed(evidence)
    kinds: dict[Key, None] = {}
    for result in results:
        kinds.update(dict.fromkeys((each.function, each.kind) for each in result.stress))
    counts = [(*key, *(counted(_of(result, key)) for result in results)) for key in kinds]
    told = [
        (result.target, result.runtime, str(case), WORDS[case.outcome], case.reason)
        for result in results
        for case in sorted(result.stress, key=lambda each: not each.wrong)
        if case.outcome in _SHOWN
    ]
    return (
        ReportTable(title="Stress", head=("function", "kind", *map(place, results)), rows=counts),
        ReportTable(
            title="Stress cases that differ or were not asked",
            head=("target", "runtime", "case", "outcome", "reason"),
            rows=told,
        ),
    )


def stressed(evidence: Evidence) -> list[RuntimeResult]:
    """The results that were asked cases."""
    return [each for each in evidence.results if each.stress]


def counted(cases: Sequence[StressCase]) -> str:
    """How many cases ended how, and how far the furthest that is the same is, of what is allowed."""
    if not cases:
        return "—"
    counts = {word: sum(each.outcome == outcome for each in cases) for outcome, word in WORDS.items()}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    furthest = max((each.excess for each in cases if each.outcome == "same"), default=0.0)
    return said + (f" (furthest {furthest:.2g})" if furthest else "")


def _of(result: RuntimeResult, key: Key) -> list[StressCase]:
    return [each for each in result.stress if (each.function, each.kind) == key]
