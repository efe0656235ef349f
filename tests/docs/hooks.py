"""What the site has that docs/ has not: an order, API pages, and what links out of docs/ lead to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.docs.links import BESIDE, ROOT, relinked, sources

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

API: Mapping[str, tuple[str, ...]] = {
    "pocketrec": ("pocketrec",),
    "Evaluation data": (
        "pocketrec.evaluation.RankingData",
        "pocketrec.evaluation.ClassificationData",
        "pocketrec.contract.Vocabulary",
    ),
    "Contract": ("pocketrec.contract",),
    "Recipe": ("pocketrec.recipe",),
    "Bundles in words": ("pocketrec.pipeline.app",),
    "Builds and conversions": ("pocketrec.pipeline.build", "pocketrec.pipeline.convert"),
    "Plans": ("pocketrec.quantize.plan",),
    "Runtimes": ("pocketrec.validate.runtimes.runtime", "pocketrec.validate.coreml_program"),
    "Beam search": ("pocketrec.package.host.beam", "pocketrec.validate.runtimes.generation"),
    "Errors": ("pocketrec.errors",),
}
_SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_ITEM = re.compile(r"^- \[([^\]]+)\]\(([^)]+\.md)\)", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The configuration, with the order of pages that docs/index.md has."""
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    config.nav = navigation(index, sorted(path.name for path in (ROOT / "docs/adr").glob("*.md")))
    return config


def navigation(index: str, decisions: list[str]) -> list[Any]:
    """The pages in order: an index's by its sections, the API's, decisions, documents beside docs/."""
    found: list[Any] = [{"Documentation": "index.md"}]
    for name, section in _SECTION.findall(index):
        if name != "Decisions":
            found.append({name: [{title: page} for title, page in _ITEM.findall(section)]})
    found.append({"Python": [{title: api_page(title)} for title in API]})
    found.append({"Decisions": [f"adr/{name}" for name in decisions]})
    return [*found, {"Project": list(BESIDE.values())}]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files, with the API pages, the documents beside docs/ and copies of what links lead to."""
    from mkdocs.structure.files import File

    for title, modules in API.items():
        text = "\n\n".join([f"# {title}", *(f"::: {name}" for name in modules)])
        files.append(File.generated(config, api_page(title), content=text))
    for source, name in BESIDE.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    copies: dict[str, Path] = {}
    for page in files.documentation_pages():
        copies |= sources(page.content_string, page.src_uri)
    for name, path in copies.items():
        files.append(File.generated(config, name, content=path.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page, with links as they lead on the site."""
    return relinked(markdown, page.file.src_uri)


def api_page(title: str) -> str:
    """The name of an API page on the site."""
    return f"api/{title.lower().replace(' ', '-')}.md"
