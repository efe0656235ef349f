"""Links of documents: whether they lead anywhere, and where they lead on the site of docs/.

A document is viewed in two places: beside the sources, where a link is relative to its file, and on the site,
which holds docs/ alone. There, documents beside docs/ are pages, and other files of the sources are copies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from os import path as os_path
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
# Documents outside of docs/ that are pages of the site, by their names there.
BESIDE: Mapping[str, str] = {
    "README.md": "readme.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
_MADE = {"build", "templates", "node_modules"}
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(!?\[[^\]]*\])\(([^)#\s]*)(#[^)\s]*)?\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def readmes() -> list[Path]:
    """The README of every room; those of what tools install and make are none of ours."""
    found = sorted(ROOT.glob("*/**/README.md"))
    return [path for path in found if _own(path.relative_to(ROOT).parts)]


def _own(parts: tuple[str, ...]) -> bool:
    return not any(each.startswith(".") or each in _MADE for each in parts)


class Link(NamedTuple):
    """A link as it is written: its path, empty for the page itself, and the fragment without its mark."""

    path: str
    fragment: str


def links(text: str) -> Iterator[Link]:
    """The links of a document that lead into this repository."""
    for part in _prose(text):
        for _, path, fragment in _LINK.findall(part):
            if not re.match(r"[a-z]+:|/", path):
                yield Link(path, fragment.removeprefix("#"))


def _prose(text: str) -> list[str]:
    """What stands outside of code; of a link whose name is code, the name goes."""
    return [_CODE.sub(lambda found: "`" if found[0].startswith("`") else "", text)]


def anchors(text: str) -> set[str]:
    """The fragments of a document's headings, as they are made where it is viewed."""
    found: dict[str, int] = {}
    every = set()
    for heading in _HEADING.findall(re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\s-]", "", words).strip().lower().replace(" ", "-")
        number = found.get(slug, 0)
        found[slug] = number + 1
        every.add(f"{slug}-{number}" if number else slug)
    return every


def dead(document: Path, root: Path = ROOT) -> list[str]:
    """The links of a document that lead nowhere, or to a heading that is not there."""
    text = document.read_text(encoding="utf-8")
    wrong = []
    for link in links(text):
        target = document if not link.path else Path(os_path.normpath(document.parent / link.path))
        there = target.exists() and target.is_relative_to(root)
        heading = target.suffix != ".md" or not link.fragment or not there
        if not there or not (heading or link.fragment in anchors(target.read_text(encoding="utf-8"))):
            wrong.append(f"{document.relative_to(root)}: {'#'.join(filter(None, link))}")
    return wrong


def place(target: str, page: str) -> str | None:
    """Where a link of a page leads on the site; empty for a folder of the sources, None for what is not here.

    Args:
        target: as it is written.
        page: its name on the site, such as `adr/0001-layout.md`.
    """
    if not target or re.match(r"[a-z]+:|/", target):
        return None
    found = _source(target, page)
    if found in BESIDE:
        return BESIDE[found]
    if found.split("/")[0] == "docs":
        inside = found.removeprefix("docs").removeprefix("/")
        return "adr/0001-layout.md" if inside == "adr" else inside
    if (ROOT / found).is_dir():
        return ""
    return copied(found) if (ROOT / found).is_file() else None


def _source(target: str, page: str) -> str:
    """The path in this repository that a link of a page names."""
    base = Path() if page in BESIDE.values() else Path("docs") / Path(page).parent
    return os_path.normpath(base / target)


def copied(source: str) -> str:
    """What a copy of a source file is called on the site, which leaves out names with a dot before them."""
    return "/".join(["source", *(part.lstrip(".") for part in source.split("/"))])


def sources(text: str, page: str) -> dict[str, Path]:
    """The source files that the links of a page lead to, by the names of their copies."""
    found = {}
    for link in links(text):
        leads = place(link.path, page) or ""
        if leads.startswith("source/"):
            found[leads] = ROOT / _source(link.path, page)
    return found


def relinked(text: str, page: str) -> str:
    """The text of a page with its links as they lead on the site, and names of folders; code stays."""

    def leading(found: re.Match[str]) -> str:
        leads = place(found[2], page)
        if not leads:
            return found[0] if leads is None else found[1].strip("![]")
        return f"{found[1]}({os_path.relpath(leads, Path(page).parent)}{found[3] or ''})"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    parts[::2] = [_LINK.sub(leading, each) for each in parts[::2]]
    return "".join(parts)
