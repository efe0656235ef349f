"""The evidence in short, as Markdown: for a pull request, and for `$GITHUB_STEP_SUMMARY`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, fields

from pocketrec.report import Evidence
from pocketrec.validate.report.headline import counted, failed_gates, headlines, not_run, place, verdict
from pocketrec.validate.report.markdown import md_row, md_text
from pocketrec.validate.report.releases.parts import verdict as releases_verdict
from pocketrec.validate.report.summary import SummaryRow, notes, summary_rows

_SIGNS = {"passed": "✅", "failed": "❌"}


def to_markdown(evidence: Evidence) -> str:
    """Returns verdict, three numbers, failed gates, what did not run, and a row per target and runtime."""
    return "\n".join(_lines(evidence)) + "\n"


def _lines(evidence: Evidence) -> Iterator[str]:
    word = verdict(evidence)
    yield "<!-- pocketrec report -->"
    yield f"## {_SIGNS[word]} {md_text(evidence.recipe)} {word}"
    yield ""
    yield md_text(counted(evidence))
    yield ""
    numbers = headlines(evidence)
    rows = [(each.label, f"**{md_text(each.value)}**", md_text(each.note)) for each in numbers]
    yield from _table(("", "", ""), rows)
    failed = failed_gates(evidence)
    if failed:
        yield from ("", "### Failed", "")
        for each in failed:
            where = f" {md_text(each.where)}" if each.where else ""
            yield f"- **{md_text(each.gate)}**{where}: {md_text(each.message)}"
    if evidence.versus is not None:
        yield from ("", "### Since the last release", "", md_text(releases_verdict(evidence.versus)))
    missing = not_run(evidence)
    if missing:
        yield from ("", "### Not run", "")
        for result in missing:
            yield f"- {md_text(f'{place(result)}: {result.reason}')}"
    yield from ("", "<details><summary>Targets and notes</summary>", "")
    names = [each.name for each in fields(SummaryRow)]
    yield from _table(names, [[md_text(cell) for cell in astuple(row)] for row in summary_rows(evidence)])
    yield ""
    yield from (f"- {md_text(each)}" for each in notes(evidence))
    yield from ("", "</details>")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(head)
    yield md_row(names)
    yield md_row(["---"] * len(names))
    yield from (md_row(each) for each in rows)
