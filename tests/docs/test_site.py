"""The site of docs/ is whole, asks no other host for what it needs, and is refused with a dead link."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.hooks import API, api_page
from tests.docs.links import ROOT

CONFIG = ROOT / "tests/docs/mkdocs.yml"
# What a page loads, as opposed to what it links to.
LOADED = re.compile(r"<(?:link|script|img|iframe)\b[^>]*?(?:href|src)=[\"']?(https?:[^\"'\s>]+)")


def build(config: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """The outcome of a strict build."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(out)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.docs
def test_the_site_is_whole_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = build(CONFIG, tmp_path)
    assert done.returncode == 0, done.stderr
    pages = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert len(pages) > 50
    assert [(path.name, host) for path, text in pages.items() for host in LOADED.findall(text)] == []
    for title in API:
        assert pages[(tmp_path / api_page(title)).with_suffix(".html")].count("doc-heading") >= 1, title
    assert (tmp_path / "source/github/workflows/parity.yml").is_file()


@pytest.mark.docs
@pytest.mark.parametrize(
    ("text", "said"),
    [("[a](gone.md)", "gone.md"), ("[a](ci.md#gone)", "gone"), ("", "bundle.md")],
    ids=["a dead link", "a dead anchor", "an orphan"],
)
def test_a_site_that_is_not_whole_is_refused(tmp_path: Path, text: str, said: str) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("index.md", "ci.md", "bundle.md"):
        (docs / name).write_text("# Page\n", encoding="utf-8")
    (docs / "index.md").write_text(f"# Index\n\n{text}\n", encoding="utf-8")
    nav = "[index.md, ci.md]" if not text else "[index.md, ci.md, bundle.md]"
    config = tmp_path / "mkdocs.yml"
    stated = CONFIG.read_text(encoding="utf-8").partition("validation:")[2]
    config.write_text(f"site_name: x\nnav: {nav}\nvalidation:{stated}", encoding="utf-8")
    done = build(config, tmp_path / "site")
    assert done.returncode != 0
    assert said in done.stderr


def test_what_is_loaded_from_elsewhere_is_found() -> None:
    assert LOADED.findall('<a href="https://a.b/c"><script async src="https://a.b/d.js">') == [
        "https://a.b/d.js"
    ]
    assert LOADED.findall("<link rel=stylesheet href=https://a.b/e.css>") == ["https://a.b/e.css"]
