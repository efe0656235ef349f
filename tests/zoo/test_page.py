"""docs/zoo.md is of the zoo as it is: every family has its line, and the last one counts them."""

from __future__ import annotations

import re
from pathlib import Path

from pocketrec.model_zoo.registry import FAMILIES

PAGE = (Path(__file__).parents[2] / "docs" / "zoo.md").read_text(encoding="utf-8")


def named(page: str) -> list[str]:
    """The families of the table of quality, in its order."""
    _, _, table = page.partition("## Quality")
    table, _, _ = table.partition("## Sizes")
    return [cells[2] for line in table.splitlines() if len(cells := re.split(r"\s*\|\s*", line)) == 12][2:]


def test_every_family_has_its_line_and_is_counted() -> None:
    assert named(PAGE) == list(FAMILIES)
    (last,) = re.findall(r"^(\d+) families: (\d+) green, (\d+) red, (\d+) not run$", PAGE, re.MULTILINE)
    assert [int(each) for each in last] == [len(FAMILIES), len(FAMILIES), 0, 0]


def test_a_family_without_a_line_is_noticed() -> None:
    (first, *others) = FAMILIES
    line = next(each for each in PAGE.splitlines() if f"| {first} |" in each)
    assert named(PAGE.replace(f"{line}\n", "", 1)) == others
