"""Results are kept for the source that they are of, and for no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.kept import keep, kept, source_sha256


@pytest.mark.parametrize("changed", ["cli/a.py", "pyproject.toml"])
def test_results_are_of_one_source_only(changed: str, tmp_path: Path) -> None:
    (tmp_path / "cli").mkdir()
    (tmp_path / changed).write_text("one")
    before = source_sha256(tmp_path)
    assert source_sha256(tmp_path) == before
    (tmp_path / changed).write_text("two")
    assert source_sha256(tmp_path) != before


def test_what_lies_in_other_rooms_changes_nothing(tmp_path: Path) -> None:
    for room in ("convert", "cli"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "a.py").write_text("one")
    before = source_sha256(tmp_path, rooms=("convert",))
    (tmp_path / "cli" / "a.py").write_text("two")
    assert source_sha256(tmp_path, rooms=("convert",)) == before
    (tmp_path / "convert" / "a.py").write_text("two")
    assert source_sha256(tmp_path, rooms=("convert",)) != before


@pytest.mark.parametrize("room", ["a.py", "*.py"])
def test_a_room_may_be_a_file_or_a_pattern(room: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one")
    (tmp_path / "b.txt").write_text("one")
    before = source_sha256(tmp_path, rooms=(room,))
    (tmp_path / "b.txt").write_text("two")
    assert source_sha256(tmp_path, rooms=(room, room)) == before
    (tmp_path / "a.py").write_text("two")
    assert source_sha256(tmp_path, rooms=(room,)) != before != source_sha256(tmp_path, rooms=())


def test_a_value_is_kept_under_its_key_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows" / "a.json"
    assert kept(path, "one") is None
    keep(path, "one", {"passed": 3})
    assert kept(path, "one") == {"passed": 3}
    assert kept(path, "two") is None
