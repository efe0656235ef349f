"""What sections are made of: tables, cards, facts, words of state. Every text is escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

Tone = Literal["good", "bad", "warn", "quiet", "same"]

_TONES: dict[str, Tone] = {
    "passed": "good",
    "failed": "bad",
    "not run": "quiet",
    "skipped": "quiet",
    "not gated": "quiet",
    "reference": "same",
}
_SEARCHABLE = 9  # rows from which a table has a field to search in
_HALF = 400  # pixels from which two parts fill the page
_NUMBER = re.compile(r"[-+±]?[\d,]*\.?\d+(e[-+]?\d+)?( ?(%|×|ms|s|B|kB|MB|GB|dB|bits?))?|inf|—|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell that is sorted by `order` and shown as `text`."""

    text: str | Markup
    order: float


def badge(word: str, tone: Tone | None = None) -> Markup:
    """Returns a word of state with its sign: neither stands by its colour alone, and it never breaks."""
    known = tone or _TONES.get(word, "quiet")
    return Markup(
        '<span class="badge {0}"><svg aria-hidden="true"><use href="#i-{0}"/></svg>{1}</span>'
    ).format(known, word)


def paragraph(text: str | Markup) -> Markup:
    """Returns a paragraph."""
    return Markup("<p>{}</p>").format(text)


def bullets(texts: Iterable[str | Markup]) -> Markup:
    """Returns a list of sentences."""
    items = Markup("").join(Markup("<li>{}</li>").format(each) for each in texts)
    return Markup('<ul class="list">{}</ul>').format(items)


def facts(pairs: Iterable[tuple[str, str | Markup]]) -> Markup:
    """Returns names with their values, one pair a line."""
    items = Markup("").join(
        Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value) for name, value in pairs
    )
    return Markup('<dl class="facts">{}</dl>').format(items)


def folded(summary: str, *parts: Markup, opened: bool = False) -> Markup:
    """Returns parts below a line that shows and hides them."""
    start = Markup("<details open>") if opened else Markup("<details>")
    return start + Markup("<summary>{}</summary>{}</details>").format(summary, Markup("").join(parts))


def figure(shown: Markup, *, title: str, says: str = "") -> Markup:
    """Returns a figure in a box below its title."""
    caption = Markup("<strong>{}</strong>{}").format(title, f" · {says}" if says else "")
    return Markup('<figure class="card"><figcaption>{}</figcaption>{}</figure>').format(caption, shown)


def card(title: str, *parts: Markup, state: Markup | None = None, tone: Tone | None = None) -> Markup:
    """Returns a box with a heading, beside which a `badge` may stand."""
    return Markup('<article class="card {}"><header><h3>{}</h3>{}</header>{}</article>').format(
        tone or "", title, state or "", Markup("").join(parts)
    )


def grid(parts: Iterable[Markup], least: int = 300) -> Markup:
    """Returns parts side by side, as many as fit with at least so many pixels each."""
    kind = "grid pairs" if least > _HALF else "grid"
    return Markup('<div class="{}" style="--least:{}px">{}</div>').format(kind, least, Markup("").join(parts))


def figure_card(label: str, value: str, note: str, tone: Tone | None = None) -> Markup:
    """Returns a box for one number that matters: its name, the number, and how to read it."""
    return Markup(
        '<div class="card figure"><p class="label">{}</p><p class="value {}">{}</p>'
        '<p class="note">{}</p></div>'
    ).format(label, tone or "", value, note)


def top(title: str, small: str, state: Markup, says: str, figures: Iterable[Markup]) -> Markup:
    """Returns a page's beginning: what it is of, how it ended in a sentence, and the numbers that matter."""
    return Markup('<div class="top">{}<h1>{} <small>{}</small></h1><p class="says">{}</p>{}</div>').format(
        state, title, small, says, grid(figures, 220)
    )


def table(
    head: Sequence[str], rows: Sequence[Sequence[str | Markup | Cell]], *, label: str, caption: bool = False
) -> Markup:
    """Returns a table that is sorted by its heads, searched where it is long, and stacked on a phone.

    Args:
        head: names of columns.
        rows: cells; a column of numbers stands at the right. `Cell` says what a column is sorted by where the
            text does not.
        label: what the table is of, for the search field and for those who hear it.
        caption: whether the label is shown above it.
    """
    rows = [tuple(each for each, _ in zip(row, head, strict=True)) for row in rows]
    numbers = [_is_number(row[place] for row in rows) for place in range(len(head))]
    heads = Markup("").join(
        Markup('<th scope="col" role="columnheader"{}><button type="button">{}</button></th>').format(
            _NUMBERS if number else "", name
        )
        for name, number in zip(head, numbers, strict=True)
    )
    body = Markup("\n").join(_row(head, row, numbers) for row in rows)
    shown = Markup("<caption>{}</caption>").format(label) if caption else ""
    return Markup(
        '<div class="table stacks">{}<div class="scroll" role="region" aria-label="{}" tabindex="0">'
        '<table role="table">{}<thead role="rowgroup"><tr role="row">{}</tr></thead>'
        '<tbody role="rowgroup">\n{}\n</tbody></table></div></div>'
    ).format(_tools(head, len(rows), label), label, shown, heads, body)


_NUMBERS = Markup(' class="number"')


def _tools(head: Sequence[str], rows: int, label: str) -> Markup:
    """The line above a long table; the script shows it, as without one it does nothing."""
    if rows < _SEARCHABLE:
        return Markup()
    options = Markup("").join(
        Markup('<option value="{}">{}</option>').format(place, name) for place, name in enumerate(head)
    )
    return Markup(
        '<div class="tools" hidden><label>Search <input type="search" aria-label="Search in {}"></label>'
        '<label class="sort">Sort by <select><option value="">as it is</option>{}</select></label>'
        '<span class="count" role="status">{} rows</span></div>'
    ).format(label, options, rows)


def _row(head: Sequence[str], row: Sequence[str | Markup | Cell], numbers: Sequence[bool]) -> Markup:
    cells = []
    for name, each, number in zip(head, row, numbers, strict=True):
        text, value = (each.text, each.order) if isinstance(each, Cell) else (each, _value(each, number))
        order = "" if value is None else Markup(' data-order="{}"').format(f"{value:.12g}")
        cells.append(
            Markup('<td role="cell" data-head="{}"{}{}>{}</td>').format(
                name, order, _NUMBERS if number else "", text
            )
        )
    return Markup('<tr role="row">{}</tr>').format(Markup("").join(cells))


def _value(text: str | Markup, number: bool) -> float | None:
    """What a text in a column of numbers is sorted by."""
    found = re.match(r"[-+]?(\d[\d,]*)?\.?\d+(e[-+]?\d+)?|inf", text) if number else None
    return None if found is None else float(found[0].replace(",", ""))


def _is_number(cells: Iterable[str | Markup | Cell]) -> bool:
    """Whether a column holds numbers, and at least one."""
    known = list(cells)
    texts = [
        str(each.text if isinstance(each, Cell) else each).replace("\N{MINUS SIGN}", "-") for each in known
    ]
    return any(texts) and all(_NUMBER.fullmatch(each) for each in texts)
