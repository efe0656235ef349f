"""What changed between two releases as Markdown, such as for a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from pocketrec.report import ReleaseDiff
from pocketrec.validate.report.markdown import md_row, md_text
from pocketrec.validate.report.releases.parts import Part, parts_of, shown, verdict


def releases_markdown(found: ReleaseDiff) -> str:
    """Returns a heading with the verdict and a heading for each part."""
    old, new = found.old, found.new
    lines = [f"# {md_text(f'{old.name} {old.version} → {new.name} {new.version}')}", ""]
    lines += [f"**{md_text(verdict(found))}**"]
    for part in shown(parts_of(found)):
        lines += _part(part)
    return "\n".join(lines) + "\n"


def _part(part: Part) -> Iterator[str]:
    yield from ("", f"## {md_text(part.title.capitalize())}")
    if part.said:
        yield from ("", md_text(part.said))
    if part.rows:
        yield from ("", md_row(part.head), md_row(["---"] * len(part.head)))
        yield from (md_row([md_text(cell) for cell in row]) for row in part.rows)
