"""A page needs nothing beside it, runs no script but its own, and shows texts as texts."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from markupsafe import Markup

from pocketrec.validate.report.page.parts import (
    Cell,
    badge,
    bullets,
    card,
    facts,
    figure_card,
    folded,
    table,
    top,
)
from pocketrec.validate.report.page.shell import Section, page

NASTY = """</svg></script><script>alert('x')</script><b onload="x">&amp;"""


@pytest.fixture(scope="module")
def nasty() -> str:
    """A page in which every text is markup."""
    parts = [
        table((NASTY, "b"), [(NASTY, Cell(text=NASTY, order=1.0))] * 9, label=NASTY, caption=True),
        card(NASTY, facts([(NASTY, NASTY)]), state=badge(NASTY)),
        folded(NASTY, bullets([NASTY])),
    ]
    above = top(NASTY, NASTY, badge(NASTY), NASTY, [figure_card(NASTY, NASTY, NASTY)])
    return page(NASTY, [Section(title=NASTY, lead=NASTY, short=NASTY, parts=parts)], top=above, foot=NASTY)


def test_no_text_becomes_markup(nasty: str) -> None:
    assert "alert" in nasty
    assert "<script>alert" not in nasty
    assert "<b onload" not in nasty
    assert "</svg></script>" not in nasty
    assert nasty.count("<script>") == 1
    assert "&amp;amp;" in nasty  # escaped once, as it was given


def test_the_policy_lets_the_pages_own_script_run_and_no_other(nasty: str) -> None:
    script = re.search(r"<script>(.*)</script>", nasty, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in nasty
    assert "default-src 'none'" in nasty


def test_nothing_comes_from_elsewhere(nasty: str) -> None:
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", nasty)
    assert not re.search(r"@import|fetch\(|XMLHttpRequest", nasty)


def test_sections_have_names_of_their_own_and_links_to_them() -> None:
    sections = [Section(title=title, parts=[Markup("<p>x</p>")]) for title in ("Size", "Size", "Größe!", "…")]
    text = page("a", sections)
    names = re.findall(r'<section id="([^"]+)"', text)
    assert len(set(names)) == 4
    assert re.findall(r'<a href="#([^"]+)">', text) == names


def test_numbers_stand_at_the_right_and_are_sorted_as_such() -> None:
    rows: list[tuple[str | Cell, str]] = [("1.5 kB", "1"), (Cell(text="20 B", order=20.0), "x")]
    text = table(("size", "name"), rows, label="Sizes")
    assert text.count('class="number"') == 3  # the head and its two cells
    assert 'data-order="20"' in text


def test_short_tables_have_no_search_and_long_ones_have() -> None:
    assert "search" not in table(("a",), [("x",)] * 8, label="Things")
    assert 'aria-label="Search in Things"' in table(("a",), [("x",)] * 9, label="Things")


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        table(("a", "b"), [("x",)], label="Things")


def test_a_word_of_state_has_a_sign_beside_its_colour() -> None:
    assert 'href="#i-bad"' in badge("failed")
    assert 'href="#i-good"' in badge("passed")
    assert 'href="#i-quiet"' in badge("whatever")
