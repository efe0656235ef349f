"""The version that a change is due."""

from __future__ import annotations

import pytest

from pocketrec.package.compare.versions import bump_of
from pocketrec.report import Level


@pytest.mark.parametrize(
    ("level", "old", "due"),
    [
        ("breaking", "1.2.3", "2.0.0"),
        ("addition", "1.2.3", "1.3.0"),
        ("same", "1.2.3", "1.2.4"),
        ("breaking", "0.2.3", "0.3.0"),
        ("addition", "0.2.3", "0.2.4"),
        ("same", "1.2", "1.2.1"),
    ],
)
def test_the_heaviest_change_says_which_number_rises(level: Level, old: str, due: str) -> None:
    assert bump_of(old, due, level, identical=False).enough
    kept = bump_of(old, old, level, identical=False)
    assert (kept.due, kept.enough) == (due, False)
    assert kept.message.endswith(f"set version = '{due}' in the recipe")


def test_a_larger_step_than_is_due_is_enough() -> None:
    assert bump_of("1.2.3", "3.0.0", "addition", identical=False).enough


def test_the_same_bytes_may_keep_their_version_and_other_bytes_may_not() -> None:
    assert bump_of("1.0.0", "1.0.0", "same", identical=True).enough
    assert not bump_of("1.0.0", "1.0.0", "same", identical=False).enough


def test_a_version_without_numbers_is_never_enough() -> None:
    found = bump_of("june", "july", "same", identical=False)
    assert (found.enough, found.message) == (
        False,
        "version 'june' has no numbers to raise; expected one such as 1.2.0",
    )
