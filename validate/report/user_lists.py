"""Lists of a few users, before and after, in titles: what stayed, what came, what went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from markupsafe import Markup

from pocketrec.report import COMPRESSED, Evidence, RankingParity, RuntimeResult, UserLists
from pocketrec.validate.report.headline import place
from pocketrec.validate.report.page.parts import card, folded, grid

Titles = Mapping[str, Mapping[str, str]]


def list_cards(evidence: Evidence) -> list[Markup]:
    """Returns the users' lists, a foldable part per target and runtime; that which kept least is open."""
    found = [(each, ranking) for each in evidence.results for ranking in each.rankings if ranking.users]
    if not found:
        return []
    worst = min((ranking for _, ranking in found), key=_kept)
    return [
        folded(
            f"{place(each, ranking)}: {_summary(ranking)}",
            grid([_card(user, evidence.titles, each) for user in ranking.users], 320),
            opened=ranking is worst,
        )
        for each, ranking in found
    ]


def _kept(ranking: RankingParity) -> tuple[float, bool]:
    """How much the first user kept, and whether in the same order."""
    first = ranking.users[0]
    return first.overlap, first.before == first.after


def _summary(ranking: RankingParity) -> str:
    overlap, same = _kept(ranking)
    if overlap < 1:
        return f"the worst list kept {overlap:.0%}"
    return "no list changed" if same else "lists kept every item, some in another order"


def _card(user: UserLists, titles: Titles, result: RuntimeResult) -> Markup:
    names = titles.get(user.vocabulary, {})
    history = titles.get(user.history_vocabulary, {})
    chips = Markup("").join(Markup("<li>{}</li>").format(_title(each, history)) for each in user.history)
    after = Markup('<p class="note">latest in the history</p><ul class="chips">{}</ul>').format(chips)
    first = "original" if result.target == COMPRESSED else "model"
    return card(
        f"User {user.row}",
        after if user.history else Markup(),
        _beside(user, names, first, result.target),
        state=Markup('<span class="note">{}</span>').format(f"{user.overlap:.0%} kept"),
    )


def _beside(user: UserLists, names: Mapping[str, str], first: str, second: str) -> Markup:
    """Both lists place by place."""
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}{}</tr>').format(
            place, _before(one, user.after, names), _after(two, place - 1, user.before, names)
        )
        for place, (one, two) in enumerate(zip_longest(user.before, user.after), 1)
    )
    return Markup(
        '<table class="beside"><thead><tr><th scope="col"><span class="unseen">place</span></th>'
        '<th scope="col">{}</th><th scope="col">{}</th></tr></thead><tbody>{}</tbody></table>'
    ).format(first, second, rows)


def _before(item: int | None, others: Sequence[int], names: Mapping[str, str]) -> Markup:
    if item is None:
        return Markup("<td></td>")
    if item in others:
        return Markup("<td>{}</td>").format(_title(item, names))
    return Markup('<td class="gone"><span>{}</span> <em>gone</em></td>').format(_title(item, names))


def _after(item: int | None, place: int, others: Sequence[int], names: Mapping[str, str]) -> Markup:
    if item is None:
        return Markup("<td></td>")
    if item not in others:
        return Markup('<td class="new">{} <em>new</em></td>').format(_title(item, names))
    rise = others.index(item) - place
    moved = Markup(" <em>{}{}</em>").format("↑" if rise > 0 else "↓", abs(rise)) if rise else ""
    return Markup("<td>{}{}</td>").format(_title(item, names), moved)


def _title(item: int, names: Mapping[str, str]) -> str:
    return names.get(str(item), f"item {item}")
