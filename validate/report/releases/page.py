"""What changed between two releases as one HTML page: the verdict and what matters first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from pocketrec.report import LatencyChange, MetricChange, Moved, MovedList, ReleaseDiff
from pocketrec.validate.report.page.chart import Axis
from pocketrec.validate.report.page.parts import (
    Cell,
    Tone,
    badge,
    bullets,
    card,
    facts,
    figure_card,
    folded,
    grid,
    paragraph,
    table,
    top,
)
from pocketrec.validate.report.page.shell import Section, page
from pocketrec.validate.report.quality import interval_text
from pocketrec.validate.report.releases.figures import axis_with, bar_figure, interval_figure
from pocketrec.validate.report.releases.parts import (
    Part,
    contract_part,
    kept_part,
    latency_part,
    lists_part,
    protocol_part,
    ranking_part,
    ratio_interval,
    sizes_part,
    slices_part,
    tools_part,
)
from pocketrec.validate.report.summary import size_text

_OPENED = 4  # users whose lists are not folded
_TENSORS = 40
_LEVELS: dict[str, Tone] = {"breaking": "bad", "addition": "warn", "same": "same"}
_LEADS = {
    "contract": "What an app that was written for the old release meets in the new one.",
    "ranking": "Both on the same users: a user's value after, less the same user's value before.",
    "churn": "How many items of the old list each user still has.",
    "users": "The lists that kept least, in titles: struck out what went, underlined what came.",
    "latency": "Called in turns, now and on this machine; times of two builds would not compare.",
    "size": "Artifacts, and the tensors in them whose bytes changed.",
    "made by": "Tools and rewrites that only one of the two has, and what the two were evaluated by.",
}


def releases_page(found: ReleaseDiff) -> str:
    """Returns the page; it reaches no network, and the same findings give the same text."""
    sections = [*_contract(found)]
    for each in found.rankings:
        sections += [*_ranking(each), *_users(each)]
    sections += [*_latency(found.latency), *_sizes(found), *_made(found)]
    return page(found.new.name, sections, top=_top(found))


def _top(found: ReleaseDiff) -> Markup:
    state = badge("passed" if found.passed else "failed")
    named = f"{found.old.version} → {found.new.version}"
    title = found.new.name if found.new.name == found.old.name else f"{found.old.name} → {found.new.name}"
    return top(
        title, named, state, f"{found.bump.message[:1].upper()}{found.bump.message[1:]}.", _numbers(found)
    )


def _numbers(found: ReleaseDiff) -> Iterator[Markup]:
    breaking = sum(each.level == "breaking" for each in found.changes)
    told = f"of {len(found.changes)} changes of the contract break an app"
    yield figure_card("breaking", str(breaking), told, "bad" if breaking else "good")
    for each in found.rankings:
        yield _ranking_number(each)
        if each.kept:
            same = each.kept[-1] / sum(each.kept)
            yield figure_card(f"kept{_of(each)}", f"{same:.0%}", "of users keep every item of their list")
    was, now = (sum(getattr(each, side) or 0 for each in found.sizes if not each.tensor) for side in _BYTES)
    grown = f"{now / was - 1:+.1%}" if was else "—"
    yield figure_card("size", grown, f"{size_text(now)} against {size_text(was)}, all targets")
    timed = [each for each in found.latency if each.ratio is not None]
    if timed:
        slowest = max(timed, key=lambda each: each.ratio or 0)
        told = f"{ratio_interval(slowest)}, {slowest.target}/{slowest.function} in turns"
        yield figure_card("latency", f"{slowest.ratio:.2f}×", told)


_BYTES = ("old_bytes", "new_bytes")


def _of(moved: Moved) -> str:
    return f" of {moved.name}" if moved.name else ""


def _ranking_number(moved: Moved) -> Markup:
    if moved.quality is None or not moved.quality.changes:
        return figure_card(f"ranking{_of(moved)}", "not compared", moved.reason)
    change = next(
        (each for each in moved.quality.changes if each.metric.startswith(("ndcg", "auc"))),
        moved.quality.changes[0],
    )
    interval = interval_text(change.interval())
    return figure_card(
        f"{change.metric}{_of(moved)}", f"{change.change:+.4f}", f"{interval} at 95%, now {change.after:.4f}"
    )


def _contract(found: ReleaseDiff) -> Iterator[Section]:
    part = contract_part(found)
    rows = [(badge(level, _LEVELS.get(level, "quiet")), *rest) for level, *rest in part.rows]
    body = table(part.head, rows, label="Contract") if rows else paragraph("The same for every app.")
    yield Section(title="Contract", lead=_LEADS["contract"], parts=[body])


def _ranking(moved: Moved) -> Iterator[Section]:
    part = ranking_part(moved)
    if moved.quality is None:
        yield Section(title=f"Ranking{_of(moved)}", parts=[paragraph(part.said)])
        return
    of_slices = [change for each in moved.quality.slices for change in each.changes]
    axis = _axis([*moved.quality.changes, *of_slices])
    parts = [_with_figures(part, moved.quality.changes, axis, "Metrics")]
    sliced = slices_part(moved)
    if sliced.rows:
        parts.append(_with_figures(sliced, of_slices, axis, "Slices"))
    yield Section(title=f"Ranking{_of(moved)}", lead=f"{_LEADS['ranking']} {part.said}.", parts=parts)
    if moved.kept:
        tables = [_kept(moved), _plain(lists_part(moved), "Lists")]
        yield Section(title=f"Churn{_of(moved)}", lead=_LEADS["churn"], parts=tables)


def _axis(changes: Sequence[MetricChange]) -> Axis:
    values = [each.change for each in changes]
    values += [end for each in changes for one in each.intervals[:1] for end in (one.low, one.high)]
    return axis_with([each for each in values if each == each], 0.0)


def _with_figures(part: Part, changes: Sequence[MetricChange], axis: Axis, label: str) -> Markup:
    rows = [(*row, _change_cell(each, axis)) for row, each in zip(part.rows, changes, strict=True)]
    return table((*part.head, "around no change"), rows, label=label, caption=True)


def _change_cell(each: MetricChange, axis: Axis) -> Cell | str:
    if each.change != each.change:
        return "—"
    one = each.interval()
    says = f"{each.metric} changed by {each.change:+.5f} {interval_text(one)}"
    ends = (None, None) if one is None else (one.low, one.high)
    return Cell(text=interval_figure(each.change, *ends, axis=axis, middle=0.0, says=says), order=each.change)


def _kept(moved: Moved) -> Markup:
    part, total = kept_part(moved), sum(moved.kept)
    counts = [count for count in moved.kept if count]
    most = max(counts)
    bars = [bar_figure(count / most, f"{count} of {total} users") for count in counts]
    rows: list[tuple[str | Cell, ...]] = [
        (*row, Cell(text=bar, order=float(count)))
        for row, bar, count in zip(part.rows, bars, counts, strict=True)
    ]
    return table((*part.head, "users as a bar"), rows, label="Items kept", caption=True)


def _users(moved: Moved) -> Iterator[Section]:
    if not moved.worst:
        return
    users = [_user(each) for each in moved.worst]
    parts, rest = [grid(users[:_OPENED], 340)], users[_OPENED:]
    if rest:
        parts.append(folded(f"{len(rest)} more", grid(rest, 340)))
    title, short = f"Lists{_of(moved)} before and after", f"Lists{_of(moved)}"
    yield Section(title=title, short=short, lead=_LEADS["users"], parts=parts)


def _user(user: MovedList) -> Markup:
    after = paragraph(f"after {' | '.join(user.history) or 'nothing'}")
    went = [_marked(each, user.after, Markup("<del>{}</del>")) for each in user.before]
    came = [_marked(each, user.before, Markup("<ins>{}</ins>")) for each in user.after]
    went += [Markup()] * (len(came) - len(went))
    came += [Markup()] * (len(went) - len(came))
    rows = Markup("").join(
        Markup("<tr><td>{}</td><td>{}</td><td>{}</td></tr>").format(place, *pair)
        for place, pair in enumerate(zip(went, came, strict=True), 1)
    )
    lists = Markup(
        '<div class="table"><div class="scroll" role="region" aria-label="Lists of user {0}" tabindex="0">'
        "<table><thead><tr><th scope=col><span>#</span></th><th scope=col><span>old</span></th>"
        "<th scope=col><span>new</span></th></tr></thead><tbody>{1}</tbody></table></div></div>"
    ).format(user.row, rows)
    return card(f"User {user.row}", after, lists, state=badge(f"{user.overlap:.0%} kept", "quiet"))


def _marked(title: str, others: Sequence[str], mark: Markup) -> Markup:
    return Markup("{}").format(title) if title in others else mark.format(title)


def _latency(latency: Sequence[LatencyChange]) -> Iterator[Section]:
    if not latency:
        return
    part = latency_part(latency)
    ends = [end for each in latency for end in (each.low, each.ratio, each.high) if end is not None]
    axis = axis_with(ends, 1.0)
    rows = [(*row, _ratio_cell(each, axis)) for row, each in zip(part.rows, latency, strict=True)]
    lead = f"{_LEADS['latency']} {part.said[:1].upper()}{part.said[1:]}".strip()
    yield Section(
        title="Latency", lead=lead, parts=[table((*part.head, "around equal"), rows, label="Latency")]
    )


def _ratio_cell(each: LatencyChange, axis: Axis) -> Cell | str:
    if each.ratio is None:
        return "—"
    says = f"{each.ratio:.3f} times as long {ratio_interval(each)}"
    figure = interval_figure(each.ratio, each.low, each.high, axis=axis, middle=1.0, says=says)
    return Cell(text=figure, order=each.ratio)


def _sizes(found: ReleaseDiff) -> Iterator[Section]:
    part = sizes_part(found.sizes, _TENSORS)
    more = [paragraph(part.said)] if part.said else []
    yield Section(title="Size", lead=_LEADS["size"], parts=[_plain(part, "Sizes"), *more])


def _made(found: ReleaseDiff) -> Iterator[Section]:
    tools, protocol = tools_part(found), protocol_part(found)
    pairs = [
        (name, f"{each.name} {each.version}, tree {each.tree_sha256[:12]}, {each.path}".rstrip(", "))
        for name, each in (("old", found.old), ("new", found.new))
    ]
    parts = [facts(pairs)]
    if tools.rows:
        parts.append(_plain(tools, "Tools and rewrites"))
    if protocol.rows:
        differs = [row[0] for row in protocol.rows]
        parts += [paragraph(f"The protocol differs, {protocol.said}:"), bullets(differs)]
    yield Section(title="Made by", lead=_LEADS["made by"], parts=parts)


def _plain(part: Part, label: str) -> Markup:
    return table(part.head, part.rows, label=label, caption=True)
