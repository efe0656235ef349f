"""In Chromium, the page is silent on the console, fits a phone, is sorted, searched, themed, printed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pocketrec.report import Interval, MetricChange, SliceChange, UserLists
from pocketrec.report.reading import read_evidence
from pocketrec.validate.report.html import to_html

FIRST = Path(__file__).parent.parent.parent / "fixtures/first/mean/evidence/evidence.json"
NASTY = "</svg></script><script>window.caught = 1</script><img src=x onerror='window.caught = 1'>"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
OPENED = "document.querySelectorAll('details').forEach(each => each.open = true)"
WIDER = "document.documentElement.scrollWidth > innerWidth"
# Words that stand on more than one line, and texts that stick out of their box.
BROKEN = """[...document.querySelectorAll('.badge')]
    .filter(each => each.getClientRects().length && each.getBoundingClientRect().height > 34).length"""
OUTSIDE = """[...document.querySelectorAll('.card p, .card dd, .name, .figures, td, h3')]
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1).map(each => each.textContent)"""


def text_of_page() -> str:
    """The report of a real build, with slices, lists and names that are markup."""
    evidence = read_evidence(json.loads(FIRST.read_text(encoding="utf-8")), source="e")
    change = MetricChange(
        metric="ndcg@10",
        before=0.5,
        after=0.49,
        intervals=(Interval(low=-0.02, high=0.001, confidence=0.95),),
    )
    lists = UserLists(
        row=3,
        overlap=0.5,
        vocabulary="item",
        before=(1, 2),
        after=(2, 4),
        history=(1,),
        history_vocabulary="item",
    )
    part = SliceChange(division=NASTY, label="cold", examples=9, large=False, changes=(change,))
    results = tuple(
        replace(
            each,
            ranking=replace(each.ranking, changes=(change,), slices=(part,), users=(lists,)),
        )
        if each.ranking is not None and each.target == "onnx"
        else each
        for each in evidence.results
    )
    titles = {
        "item": {"1": NASTY, "2": "A rather long title of a film, as there are many (1996)", "4": "x" * 90}
    }
    failed = replace(evidence.gates[0], status="failed", message=f"{NASTY} {'weights/codes' * 9}")
    tensors = replace(evidence.sizes[0].tensors[0], name=NASTY)
    sizes = (replace(evidence.sizes[0], tensors=(tensors,)), *evidence.sizes[1:])
    found = replace(
        evidence, recipe=NASTY, results=results, titles=titles, gates=(failed, *evidence.gates), sizes=sizes
    )
    return to_html(found, version=NASTY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A page in a browser, and what came on its console."""

    page: Any
    said: list[str]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    program = os.environ.get("POCKETREC_CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("not run: there is no Chromium on the PATH")
    sync_api = pytest.importorskip("playwright.sync_api", reason="not run: playwright is not installed")
    place = tmp_path_factory.mktemp("page") / "report.html"
    place.write_text(text_of_page(), encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request", lambda request: said.append(request.url) if request.url != place.as_uri() else None
        )
        page.goto(place.as_uri())
        yield Shown(page=page, said=said)
        browser.close()


def test_nothing_is_said_fetched_or_caught(shown: Shown) -> None:
    assert shown.page.evaluate(OPENED) is None
    assert [each for each in shown.said if not each.startswith("data:")] == []
    assert shown.page.evaluate("window.caught === undefined")
    assert shown.page.evaluate("document.querySelectorAll('img').length") == 0


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_window_and_no_word_of_state_breaks(shown: Shown, width: int) -> None:
    shown.page.set_viewport_size({"width": width, "height": 844})
    shown.page.evaluate(OPENED)
    assert not shown.page.evaluate(WIDER)
    assert shown.page.evaluate(BROKEN) == 0
    if width <= 640:  # wider tables scroll in their own box
        assert shown.page.evaluate(OUTSIDE) == []


def test_a_head_sorts_by_numbers_and_says_so(shown: Shown) -> None:
    shown.page.set_viewport_size({"width": 1280, "height": 844})
    shown.page.evaluate(OPENED)
    table = shown.page.locator("table[role=table]", has=shown.page.locator("th", has_text="size")).first
    head = table.locator("th", has_text="size")
    orders = []
    for _ in range(2):
        head.locator("button").focus()
        shown.page.keyboard.press("Enter")
        cells = table.locator("tbody td:last-child").all()
        orders.append(
            ([float(each.get_attribute("data-order")) for each in cells], head.get_attribute("aria-sort"))
        )
    (first, one), (second, other) = orders
    assert (one, other) == ("ascending", "descending")
    assert first == sorted(first)
    assert second == sorted(second, reverse=True)
    assert len(first) > 1


def test_a_search_leaves_the_rows_with_all_its_words(shown: Shown) -> None:
    shown.page.set_viewport_size({"width": 1280, "height": 844})
    shown.page.evaluate(OPENED)
    box = shown.page.locator(".table", has=shown.page.get_by_label("Search in Gates"))
    box.get_by_label("Search in Gates").fill("passed onnx")
    rows = [each.inner_text() for each in box.locator("tbody tr").all() if each.is_visible()]
    assert rows
    assert all("passed" in each and "onnx" in each for each in rows)
    every = box.locator("tbody tr").count()
    assert box.locator(".count").inner_text() == f"{len(rows)} of {every} rows"
    assert len(rows) < every


def test_the_theme_follows_the_system_and_the_switch(shown: Shown) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    shown.page.emulate_media(color_scheme="dark")
    dark = shown.page.evaluate(ground)
    shown.page.emulate_media(color_scheme="light")
    light = shown.page.evaluate(ground)
    assert dark != light
    seen = []
    for _ in range(3):
        shown.page.locator(".theme").click()
        seen.append((shown.page.locator(".theme b").inner_text(), shown.page.evaluate(ground)))
    assert seen == [("light", light), ("dark", dark), ("automatic", light)]


def test_print_is_light_and_without_what_is_pressed(shown: Shown) -> None:
    shown.page.emulate_media(media="print", color_scheme="dark")
    assert not shown.page.locator(".bar").is_visible()
    assert shown.page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    shown.page.emulate_media(media="screen", color_scheme="light")


def test_the_keyboard_reaches_the_content_first(shown: Shown) -> None:
    shown.page.reload()
    shown.page.keyboard.press("Tab")
    assert shown.page.evaluate("document.activeElement.textContent") == "To the content"


def test_what_is_broken_is_found(shown: Shown) -> None:
    """The checks above see words that break, texts that stick out, and letters without contrast."""
    shown.page.set_viewport_size({"width": 390, "height": 844})
    shown.page.evaluate(OPENED)
    style = ".badge{width:20px;white-space:normal;overflow-wrap:anywhere;color:#888} .card p{width:500px}"
    shown.page.add_style_tag(content=style)
    assert shown.page.evaluate(BROKEN) > 0
    assert shown.page.evaluate(OUTSIDE) != []
    assert shown.page.evaluate(WIDER)
    assert shown.page.evaluate(CONTRAST) < 4.5
    shown.page.reload()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_of_state_have_contrast(shown: Shown, scheme: str) -> None:
    """4.5 to 1, which WCAG 2.2 asks for, between each badge's letters and its ground."""
    shown.page.emulate_media(color_scheme=scheme)
    ratio = shown.page.evaluate(CONTRAST)
    assert ratio >= 4.5


CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const light = (color) => {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((each) => {
      const share = each / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = getComputedStyle(document.body).backgroundColor;
  const pairs = [...document.querySelectorAll('.badge')].map((each) => {
    const style = getComputedStyle(each);
    return [light(style.color), light(style.backgroundColor)];
  });
  for (const name of ['.lead', '.figure .note', 'p.says', 'th', '.value.bad']) {
    const found = document.querySelector(name);
    if (found) pairs.push([light(getComputedStyle(found).color), light(ground)]);
  }
  return Math.min(...pairs.map(([a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)));
})()"""
