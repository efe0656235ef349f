"""docs/tutorial.md is followed in an empty folder, from the first line to the last."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.page import DOCS, blocks, files, transcript, try_page

PAGE = (DOCS / "tutorial.md").read_text(encoding="utf-8")


def test_it_leads_from_nothing_to_packages_of_a_changed_model() -> None:
    commands = [
        each for block in blocks(PAGE) if block.language == "console" for each, _ in transcript(block)
    ]
    called = [" ".join(each.split()[:2]) for each in commands]
    order = ["python train.py", "pocketrec init", "pocketrec build", "python train.py", "pocketrec build"]
    order += ["pocketrec package", "pocketrec package", "pocketrec verify"]
    left = iter(called)
    assert all(each in left for each in order), called
    assert files(PAGE).keys() == {"data.py", "model.py", "train.py"}


@pytest.mark.docs
def test_a_new_user_gets_through(tmp_path: Path) -> None:
    try_page(PAGE, tmp_path)
