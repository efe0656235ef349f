"""An entry goes before those of earlier releases, once; nothing else of the file changes."""

from __future__ import annotations

import pytest

from pocketrec.errors import UsageError
from pocketrec.package.card.changelog import with_entry

ENTRY = "## [1.4.0] - 2026-01-01\n\nThe new one.\n"
EARLIER = "## [1.3.0]\n\nThe old one.\n"


def put(text: str, entry: str = ENTRY) -> str:
    return with_entry(text, entry, source="CHANGELOG.md")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"# Changelog\n\n{ENTRY}"),
        ("# Changelog\n", f"# Changelog\n\n{ENTRY}"),
        ("# Ours\n\nWords.\n", f"# Ours\n\nWords.\n\n{ENTRY}"),
        (f"# Ours\n\n{EARLIER}", f"# Ours\n\n{ENTRY}\n{EARLIER}"),
        (
            f"# Ours\n\n## [Unreleased]\n\n- more\n\n{EARLIER}",
            f"# Ours\n\n## [Unreleased]\n\n- more\n\n{ENTRY}\n{EARLIER}",
        ),
        ("# Ours\n\n## Unreleased\n", f"# Ours\n\n## Unreleased\n\n{ENTRY}"),
        (EARLIER, f"{ENTRY}\n{EARLIER}"),
    ],
)
def test_the_entry_stands_before_earlier_ones(before: str, after: str) -> None:
    assert put(before) == after
    assert put(after) == after, "the very entry again changes nothing"


def test_another_entry_of_the_version_is_never_replaced() -> None:
    with pytest.raises(UsageError, match=r"CHANGELOG\.md: has an entry \[1\.4\.0\] that says something else"):
        put(put(""), ENTRY.replace("new", "newer"))


def test_a_version_that_begins_alike_is_another_one() -> None:
    assert put(put("", "## [1.4.0-beta]\n\nA preview.\n")).count("## [1.4.0") == 2
