"""The pages that are made from the code are what the code says now."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.write import DOCS, PAGES, write_pages


@pytest.mark.parametrize("name", PAGES)
def test_a_committed_page_is_current(name: str) -> None:
    committed = (DOCS / name).read_text(encoding="utf-8")
    assert committed == PAGES[name](), f"docs/{name} is not what the code says: run `make references`"


def test_pages_are_written_as_they_are_compared(tmp_path: Path) -> None:
    write_pages(tmp_path)
    assert {each.name: each.read_text(encoding="utf-8") for each in tmp_path.iterdir()} == {
        name: page() for name, page in PAGES.items()
    }
