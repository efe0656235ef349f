"""The evidence as one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from pocketrec.report import Evidence
from pocketrec.validate.report import tables
from pocketrec.validate.report.figures import (
    front_figure,
    latency_figures,
    metric_figures,
    parity_figures,
    size_figures,
    slice_figures,
)
from pocketrec.validate.report.headline import counted, failed_gates, headlines, not_run, place, verdict
from pocketrec.validate.report.page.parts import (
    badge,
    bullets,
    card,
    figure_card,
    folded,
    grid,
    paragraph,
    table,
    top,
)
from pocketrec.validate.report.page.shell import Section, page
from pocketrec.validate.report.quality import calibration, lists, metrics, slices
from pocketrec.validate.report.releases.parts import parts_of, shown
from pocketrec.validate.report.releases.parts import verdict as releases_verdict
from pocketrec.validate.report.stress_section import stress_section
from pocketrec.validate.report.summary import notes
from pocketrec.validate.report.table import ReportTable
from pocketrec.validate.report.targets import target_cards
from pocketrec.validate.report.user_lists import list_cards


def to_html(evidence: Evidence, *, version: str = "") -> str:
    """Returns the evidence as one HTML page with style, script and figures inside; every text is escaped.

    `version` is that of the bundle.
    """
    sections = [
        *_first(evidence),
        _versus(evidence),
        _quality(evidence),
        _slices(evidence),
        _users(evidence),
        *([stress] if (stress := stress_section(evidence)) is not None else []),
        _compression(evidence),
        _size(evidence),
        _latency(evidence),
        _parity(evidence),
        _rest(evidence),
    ]
    numbers = (
        figure_card(each.label, each.value, each.note, "bad" if each.failed else None)
        for each in headlines(evidence)
    )
    above = top(evidence.recipe, version, badge(verdict(evidence)), counted(evidence), numbers)
    known = [each for each in sections if any(each.parts)]
    title = f"{evidence.recipe}: {verdict(evidence)}"
    return page(title, known, mark=evidence.recipe, top=above, foot=_foot(evidence))


def _foot(evidence: Evidence) -> str:
    version = evidence.versions.get("pocketrec", "")
    return f"Made by pocketrec {version} from evidence.json, which has every figure. Nothing here is fetched."


_PARITY = Markup(
    "Every output of every artifact against its model in PyTorch. <code>pocketrec diverge</code> names the "
    "first operation that differs."
)
_RANKING = (
    "How every metric moved, example by example. An interval across the line leaves open whether it did."
)


def _first(evidence: Evidence) -> list[Section]:
    failed, missing = failed_gates(evidence), not_run(evidence)
    said = notes(evidence)
    return [
        Section(
            title="What failed",
            short="Failed",
            parts=_grid(
                card(
                    each.gate,
                    paragraph(each.message),
                    Markup('<p class="note">{}</p>').format(each.where),
                    tone="bad",
                )
                for each in failed
            ),
        ),
        Section(
            title="What did not run",
            short="Not run",
            lead="None of these was compared, measured or proved by this build.",
            parts=_grid(
                card(place(each), paragraph(each.reason), state=badge("not run")) for each in missing
            ),
        ),
        Section(title="Targets", parts=_grid(target_cards(evidence))),
        Section(title="What to know", short="Notes", parts=[bullets(said)] if said else []),
    ]


def _grid(parts: Iterable[Markup], least: int = 330) -> list[Markup]:
    """The parts side by side; nothing where there is none."""
    known = list(parts)
    return [grid(known, least)] if known else []


def _quality(evidence: Evidence) -> Section:
    return Section(
        title="Ranking",
        lead=_RANKING,
        parts=[
            *_grid(metric_figures(evidence), 440),
            *_tables(metrics(evidence), lists(evidence), calibration(evidence)),
        ],
    )


def _slices(evidence: Evidence) -> Section:
    return Section(
        title="Slices",
        lead="Intervals hold all slices together (Holm). A ring is a slice that is too small to be gated.",
        parts=[*_grid(slice_figures(evidence), 440), *_tables(slices(evidence))],
    )


def _users(evidence: Evidence) -> Section:
    return Section(
        title="Lists before and after",
        short="Lists",
        lead="The three users whose lists kept least.",
        parts=list_cards(evidence),
    )


def _compression(evidence: Evidence) -> Section:
    return Section(
        title="Compression",
        parts=[
            *front_figure(evidence),
            *_tables(tables.compression(evidence), tables.activations(evidence), tables.front(evidence)),
        ],
    )


def _versus(evidence: Evidence) -> Section:
    """What changed since the release before, in short; `pocketrec diff` has a page of its own."""
    found = evidence.versus
    title, short = "Since the last release", "Changes"
    if found is None:
        return Section(title=title, short=short, parts=[])
    parts = []
    for each in shown(parts_of(found)):
        inside = [paragraph(each.said)] if each.said else []
        inside += [table(each.head, each.rows, label=each.title)] if each.rows else []
        parts.append(folded(each.title.capitalize(), *inside))
    return Section(title=title, short=short, lead=releases_verdict(found), parts=parts)


def _size(evidence: Evidence) -> Section:
    return Section(
        title="Size",
        lead="The area of a tensor is its bytes in the file; a colour is a dtype.",
        parts=[*_grid(size_figures(evidence), 440), *_tables(tables.sizes(evidence), tables.wire(evidence))],
    )


def _latency(evidence: Evidence) -> Section:
    return Section(
        title="Latency",
        lead="Milliseconds per call on the machine that built this, all runtimes in turns.",
        parts=[*latency_figures(evidence), *_tables(tables.latency(evidence), tables.web(evidence))],
    )


def _parity(evidence: Evidence) -> Section:
    return Section(
        title="Same numbers",
        lead=_PARITY,
        parts=[
            *_grid(parity_figures(evidence), 440),
            *_tables(tables.parity(evidence), tables.accumulation(evidence)),
        ],
    )


def _rest(evidence: Evidence) -> Section:
    return Section(
        title="Gates and origins",
        short="Gates",
        parts=[
            *_tables(tables.gates(evidence), tables.rewrites(evidence), tables.origin(evidence)),
        ],
    )


def _tables(*given: ReportTable) -> list[Markup]:
    return [
        folded(f"{each.title} ({len(each.rows)})", table(each.head, each.rows, label=each.title))
        for each in given
        if each.rows
    ]
