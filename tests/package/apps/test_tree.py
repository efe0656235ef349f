"""The folder of a generated package may be written again, and nothing that is somebody's is lost by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketrec.errors import UsageError
from pocketrec.package.apps.tree import mark_generated, out_check

MARK = ".mark.json"
check = out_check(MARK, frozenset({"node_modules"}))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "package" / "src").mkdir(parents=True)
    (tmp_path / "package" / "src" / "index.ts").write_text("")
    mark_generated(tmp_path / "package", MARK)
    return tmp_path / "package"


def test_what_the_command_wrote_and_what_tools_made_is_replaced(package: Path) -> None:
    (package / "node_modules" / "left").mkdir(parents=True)
    (package / "node_modules" / "left" / "index.js").write_text("")
    check(package)


@pytest.mark.parametrize("name", ["mine.txt", "src/mine.ts", ".git/HEAD"])
def test_a_file_of_somebody_else_is_never_replaced(package: Path, name: str) -> None:
    place = package / name
    place.parent.mkdir(exist_ok=True)
    place.write_text("")
    with pytest.raises(UsageError, match=rf"{place}: no file of the package that this command wrote there"):
        check(package)


def test_a_link_to_a_folder_of_somebody_else_is_never_replaced(package: Path, tmp_path: Path) -> None:
    (package / "mine").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="mine: no file of the package"):
        check(package)


def test_an_empty_folder_is_free_and_one_without_a_mark_is_not(tmp_path: Path) -> None:
    check(tmp_path)
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(UsageError, match="not empty and no package of this command"):
        check(tmp_path)


@pytest.mark.parametrize("text", ["[]", '{"schema": 1}', '{"files": 3}'])
def test_a_mark_that_lists_nothing_frees_nothing(package: Path, text: str) -> None:
    (package / MARK).write_text(text)
    with pytest.raises(UsageError, match="no file of the package"):
        check(package)
