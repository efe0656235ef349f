"""The page's section on stress: kinds of cases by target, what is to be told, and every case."""

from __future__ import annotations

from markupsafe import Markup

from pocketrec.report import Evidence, Outcome, StressCase
from pocketrec.validate.report.headline import place
from pocketrec.validate.report.page.parts import Tone, badge, folded, paragraph, table
from pocketrec.validate.report.page.shell import Section
from pocketrec.validate.report.stress import WORDS, stress_tables, stressed

_TONES: dict[Outcome, Tone] = {
    "same": "good",
    "refused": "same",
    "differs": "bad",
    "not_run": "bad",
    "left_out": "quiet",
}


def stress_section(evidence: Evidence) -> Section | None:
    """Returns what was asked at the ends of the contract, and how it ended; None where nothing was."""
    results = stressed(evidence)
    if not results:
        return None
    counts, told = stress_tables(evidence)
    parts = [table(counts.head, counts.rows, label="Kinds of cases")]
    if told.rows:
        parts.append(table(told.head, told.rows, label=told.title, caption=True))
    parts.append(folded("Every case", _legend(), _every(evidence)))
    return Section(
        title="At the ends of the contract",
        short="Stress",
        lead="What an app may ask, on every target: the model's own answer, or its refusal.",
        parts=parts,
    )


def _legend() -> Markup:
    return paragraph(
        "Numbers are the difference as a multiple of what counts as the same; refused is what the model "
        "refuses too, or what contract.json says of the target's shapes."
    )


def _every(evidence: Evidence) -> Markup:
    results = stressed(evidence)
    cases: dict[tuple[str, str, str], dict[str, StressCase]] = {}
    for result in results:
        for each in result.stress:
            cases.setdefault((each.function, each.kind, each.name), {})[place(result)] = each
    names = [place(each) for each in results]
    rows = [(*key, *(_cell(found.get(name)) for name in names)) for key, found in cases.items()]
    return table(("function", "kind", "case", *names), rows, label="Every case")


def _cell(case: StressCase | None) -> Markup:
    if case is None:
        return Markup("—")
    shown = badge(WORDS[case.outcome], _TONES[case.outcome])
    return shown + Markup(" {}").format(f"{case.excess:.2g}" if case.excess else "")
