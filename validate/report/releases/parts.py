"""What changed between two releases, as titles, sentences and tables: the same in every form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from pocketrec.report import LatencyChange, MetricChange, Moved, MovedList, ReleaseDiff, SizeChange
from pocketrec.validate.report.quality import interval_text
from pocketrec.validate.report.summary import size_text

_TENSORS = 8  # of all artifacts, the largest that changed; JSON has them all
_NOTHING = "—"

Row = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A title, what is to be said, and a table below it where there is one.

    Attributes:
        title: one word, or a user.
        said: a sentence; may be empty where there is a table.
        head: names of columns.
        rows: of the table; none where there is no table.
    """

    title: str
    said: str = ""
    head: Row = ()
    rows: Sequence[Row] = ()


def parts_of(found: ReleaseDiff) -> Iterator[Part]:
    """Everything that was found, what breaks first; a part for what was not compared says why."""
    yield contract_part(found)
    for each in found.rankings:
        yield from (ranking_part(each), slices_part(each), lists_part(each), kept_part(each))
        yield from (user_part(user, each.name) for user in each.worst)
    yield latency_part(found.latency)
    yield sizes_part(found.sizes)
    yield tools_part(found)
    yield protocol_part(found)
    yield Part(title="version", said=found.bump.message)


def shown(parts: Iterator[Part]) -> list[Part]:
    """The parts that say something."""
    return [each for each in parts if each.said or each.rows]


def verdict(found: ReleaseDiff) -> str:
    """The verdict in one line."""
    return f"{'passed' if found.passed else 'failed'}: {found.bump.message}"


def contract_part(found: ReleaseDiff) -> Part:
    """What an app that was written for the old release meets."""
    rows = [(each.level, each.where, each.what, each.why) for each in found.changes]
    said = "" if rows else "the same for every app"
    return Part(title="contract", said=said, head=("level", "where", "what", "why"), rows=rows)


def ranking_part(moved: Moved) -> Part:
    """Every metric, or why there is none."""
    if moved.quality is None:
        return Part(title=_titled("ranking", moved), said=moved.reason)
    said = f"{moved.quality.examined} examples, target {moved.target} on {moved.runtime}"
    head = ("metric", "old", "new", "change", "95% interval", "worse for")
    return Part(
        title=_titled("ranking", moved),
        said=said,
        head=head,
        rows=[_metric(each) for each in moved.quality.changes],
    )


def slices_part(moved: Moved) -> Part:
    """The same of every slice."""
    slices = moved.quality.slices if moved.quality is not None else ()
    rows = [
        (each.name, f"{each.examples:,}" + ("" if each.large else ", too few to judge"), *_metric(change)[:5])
        for each in slices
        for change in each.changes
    ]
    head = ("slice", "examples", "metric", "old", "new", "change", "95% interval")
    return Part(title=_titled("slices", moved), head=head, rows=rows)


def lists_part(moved: Moved) -> Part:
    """What became of lists, at each length."""
    lists = moved.quality.lists if moved.quality is not None else ()
    rows = [
        (
            str(each.k),
            f"{each.churn:.1%}",
            f"{each.changed:.1%}",
            f"{each.first_changed:.1%}",
            f"{each.rank_biased_overlap:.3f}",
            _NOTHING if each.kendall_tau is None else f"{each.kendall_tau:.3f}",
        )
        for each in lists
    ]
    head = ("k", "churn", "another list", "another first", "rank-biased overlap", "Kendall's tau")
    return Part(title=_titled("lists", moved), head=head, rows=rows)


def kept_part(moved: Moved) -> Part:
    """Churn per user: how many kept how much of their list."""
    total, k = sum(moved.kept), len(moved.kept) - 1
    rows = [
        (f"{number} of {k}", f"{count:,}", f"{count / max(total, 1):.1%}")
        for number, count in enumerate(moved.kept)
        if count
    ]
    return Part(title=_titled("churn", moved), head=("items kept", "users", "share"), rows=rows)


def _titled(word: str, moved: Moved) -> str:
    """A part's title, with the evaluation that is meant where there are several."""
    return f"{word} of {moved.name}" if moved.name else word


def user_part(user: MovedList, name: str = "") -> Part:
    """One user's lists side by side; what only one of them has is marked."""
    said = f"{user.overlap:.0%} kept, after {' | '.join(user.history) or 'nothing'}"
    pairs = zip_longest(marked(user.before, user.after, "- "), marked(user.after, user.before, "+ "))
    rows = [(str(place), old or "", new or "") for place, (old, new) in enumerate(pairs, 1)]
    title = f"user {user.row} of {name}" if name else f"user {user.row}"
    return Part(title=title, said=said, head=("place", "old", "new"), rows=rows)


def marked(titles: Sequence[str], others: Sequence[str], mark: str) -> list[str]:
    """The titles, those that the other list lacks with a mark before them."""
    return [title if title in others else f"{mark}{title}" for title in titles]


def latency_part(latency: Sequence[LatencyChange]) -> Part:
    """Milliseconds of both in turns; what was not measured says why."""
    rows = [_latency(each) for each in latency]
    ran = next((each for each in latency if each.ratio is not None), None)
    said = ""
    if ran is not None:
        threads = f"{ran.threads} thread{'s' if ran.threads > 1 else ''}"
        said = f"medians of {ran.rounds} rounds, called in turns on this machine, {threads}"
    head = ("target", "function", "runtime", "old ms", "new ms", "ratio", "95% interval")
    return Part(title="latency", said=said, head=head, rows=rows)


def _latency(each: LatencyChange) -> Row:
    if each.ratio is None or each.old_ms is None or each.new_ms is None:
        return (each.target, each.function, each.reason, *[_NOTHING] * 4)
    times = (f"{each.old_ms:.4g}", f"{each.new_ms:.4g}", f"{each.ratio:.3f}×")
    return (each.target, each.function, each.runtime, *times, ratio_interval(each))


def ratio_interval(each: LatencyChange) -> str:
    """The interval of a ratio; an em dash where there were too few rounds for one."""
    return _NOTHING if each.low is None or each.high is None else f"[{each.low:.3f}, {each.high:.3f}]"


def sizes_part(sizes: Sequence[SizeChange], tensors: int = _TENSORS) -> Part:
    """Every artifact, and the largest of the tensors in them that changed."""
    named = [each for each in sizes if each.tensor]
    largest = sorted(named, key=lambda each: -max(each.old_bytes or 0, each.new_bytes or 0))[:tensors]
    rows = [_size(each) for each in sizes if not each.tensor or each in largest]
    more = len(named) - len(largest)
    said = f"{more} more tensors changed, all are in the JSON" if more else ""
    return Part(
        title="size", said=said, head=("target", "function", "tensor", "old", "new", "change"), rows=rows
    )


def _size(each: SizeChange) -> Row:
    was, now = each.old_bytes, each.new_bytes
    change = f"{now / was - 1:+.1%}" if was and now is not None else _NOTHING
    sizes = ("none" if size is None else size_text(size) for size in (was, now))
    return (each.target, each.function, each.tensor or "whole", *sizes, change)


def tools_part(found: ReleaseDiff) -> Part:
    """What made the two otherwise: tools, and rewrites that only one needed."""
    rows = [("tool", name, was or "none", now or "none") for name, (was, now) in found.tools.items()]
    sides = {"old": ("applied", "none"), "new": ("none", "applied")}
    rows += [("rewrite", name, *sides.get(side, ("", ""))) for name, side in found.rewrites.items()]
    return Part(title="made by", head=("what", "name", "old", "new"), rows=rows)


def protocol_part(found: ReleaseDiff) -> Part:
    """What the two were evaluated by, where that differs."""
    said = "figures of the two evidences are not comparable" if found.protocol else ""
    return Part(
        title="protocol", said=said, head=("what differs",), rows=[(each,) for each in found.protocol]
    )


def _metric(each: MetricChange) -> Row:
    interval = interval_text(each.interval())
    worse = f"{each.fell:,} of {each.examples:,} {each.resampled}" if each.examples else _NOTHING
    return (each.metric, f"{each.before:.5f}", f"{each.after:.5f}", f"{each.change:+.5f}", interval, worse)
