"""No link of a document leads nowhere, beside the sources or on the site, and no page is without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.hooks import API, api_page, navigation
from tests.docs.links import BESIDE, ROOT, anchors, copied, dead, links, place, readmes, relinked, sources

INDEX = (ROOT / "docs/index.md").read_text(encoding="utf-8")
DOCUMENTS = [*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / name for name in BESIDE)]
ROOMS = readmes()


def orphans(index: str, pages: set[str]) -> set[str]:
    """The pages that an index does not list."""
    return pages - {link.path for link in links(index)} - {"index.md"}


def test_no_link_is_dead() -> None:
    assert [each for path in [*DOCUMENTS, *ROOMS] for each in dead(path)] == []


def test_a_dead_link_and_a_missing_heading_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A *heading*: with `code`\n## Twice\n## Twice\n```sh\n# none\n```\n")
    good = ["other.md#a-heading-with-code", "other.md#twice-1", "#here", "https://a.b/c"]
    wrong = ["gone.md", "other.md#none", "#there", "../../outside.md"]
    page = tmp_path / "page.md"
    page.write_text("## Here\n" + "\n".join(f"[`b`]({each})" for each in [*good, *wrong]))
    assert dead(page, tmp_path) == [f"page.md: {each.removeprefix('#')}" for each in wrong]


def test_no_page_is_an_orphan() -> None:
    assert orphans(INDEX, {path.name for path in (ROOT / "docs").glob("*.md")}) == set()
    assert orphans("- [A](a.md): one", {"a.md", "b.md", "index.md"}) == {"b.md"}


def test_the_site_has_the_pages_of_the_index_in_its_order() -> None:
    nav = navigation(
        "x\n## Begin\n- [One](one.md): a [link](other.md)\n- [Two](two.md)\n## Decisions\n", ["1.md"]
    )
    assert nav[:2] == [{"Documentation": "index.md"}, {"Begin": [{"One": "one.md"}, {"Two": "two.md"}]}]
    assert {"Decisions": ["adr/1.md"]} in nav
    listed = re.findall(r"^- \[[^]]+\]\((\S+?)\)", INDEX, re.MULTILINE)
    shown = [page for each in navigation(INDEX, []) for part in each.values() for page in _pages(part)]
    assert [each for each in shown if each in listed] == [each for each in listed if "adr/" not in each]
    assert {api_page(title) for title in API} <= set(shown)


def _pages(part: object) -> list[str]:
    entries = part if isinstance(part, list) else [part]
    return [next(iter(each.values())) if isinstance(each, dict) else str(each) for each in entries]


@pytest.mark.parametrize(
    ("target", "page", "leads"),
    [
        ("recipe.md", "index.md", "recipe.md"),
        ("../README.md", "index.md", "readme.md"),
        ("../recipe.md", "adr/0001-layout.md", "recipe.md"),
        ("docs/recipe.md", "readme.md", "recipe.md"),
        ("docs/adr/", "readme.md", "adr/0001-layout.md"),
        ("../pyproject.toml", "ci.md", "source/pyproject.toml"),
        ("../.github/workflows/parity.yml", "ci.md", "source/github/workflows/parity.yml"),
        ("../model_zoo", "zoo.md", ""),
        ("https://example.com", "ci.md", None),
        ("../gone.py", "ci.md", None),
    ],
)
def test_links_lead_to_the_same_on_the_site(target: str, page: str, leads: str | None) -> None:
    assert place(target, page) == leads


def test_a_page_of_the_site_has_its_links_and_its_code_as_it_was() -> None:
    code = "```md\n[a](../README.md)\n```"
    text = f"[a](../README.md#install) ![b](images/b.png)\n{code}\n[c](../Makefile)"
    there = f"[a](readme.md#install) ![b](images/b.png)\n{code}\n[c](source/Makefile)"
    assert relinked(text, "page.md") == there
    assert relinked("[a](docs/ci.md)", "readme.md") == "[a](ci.md)"
    assert relinked("see [`model_zoo`](../model_zoo).", "zoo.md") == "see `model_zoo`."
    assert relinked("[a](../ci.md)", "adr/0001-layout.md") == "[a](../ci.md)"
    assert sources(text, "page.md") == {"source/Makefile": ROOT / "Makefile"}
    assert copied(".ci/run") == "source/ci/run"


def test_anchors_are_those_of_headings() -> None:
    assert anchors("# `[contract.dims.NAME]`\n## What is [here](x.md)?\n") == {
        "contractdimsname",
        "what-is-here",
    }
