"""A file takes the place of a file or of nothing: never of a folder, a device, or of what is read."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from pocketrec.errors import StorageError, UsageError
from pocketrec.files import (
    alone_in,
    check_place,
    files_or_nothing,
    is_free,
    told_by_system,
    whole_folder,
    whole_or_nothing,
)


def test_a_file_never_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    (place / "kept").touch()
    told = r"out: Is a directory .*; write to another folder"
    with pytest.raises(StorageError, match=told), whole_or_nothing(place) as partial:
        partial.write_text("a file")
    assert [each.name for each in tmp_path.rglob("*")] == ["out", "kept"]


def test_a_folder_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    place = tmp_path / "m.mlpackage"
    (place / "old").mkdir(parents=True)
    with whole_or_nothing(place) as partial:
        (partial / "new").mkdir(parents=True)
    assert [each.name for each in place.iterdir()] == ["new"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_that_takes_a_folders_place_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    if not exchanges:
        monkeypatch.setattr("pocketrec.files.exchange", lambda one, other: False)
    place = tmp_path / "signatures"
    (place / "old").mkdir(parents=True)
    with whole_or_nothing(place) as partial:
        (partial / "new").mkdir(parents=True)
    assert [each.relative_to(tmp_path).as_posix() for each in sorted(tmp_path.rglob("*"))] == [
        "signatures",
        "signatures/new",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("folder", "--out .*folder: is a folder; name a file"),
        ("pipe", "is no regular file"),
        ("link to pipe", "is no regular file"),
        ("circle", "cannot be written .Too many levels of symbolic links"),
        ("nowhere/file", "there is no folder .*nowhere; make it"),
        ("file/file", "there is no folder"),
        ("n" * 300, "cannot be written .File name too long"),
        ("folder/file", "is .*folder or lies in it, which is read"),
        ("link to folder/file", "is .*folder or lies in it, which is read"),
    ],
)
def test_places_where_no_file_can_be_are_named_before_the_work(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link to pipe").symlink_to("pipe")
    (tmp_path / "link to folder").symlink_to("folder")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(UsageError, match=said):
        check_place(tmp_path / name, "--out", (tmp_path / "folder",))


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_place(tmp_path / "new", "--out")
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    with pytest.raises(UsageError, match="cannot be written to; name a file in another folder"):
        check_place(tmp_path / "new", "--out")


def test_what_to_do_depends_on_what_is_wrong(tmp_path: Path) -> None:
    said = {errno.ENOSPC: "free space, or write", errno.EACCES: "denied in [^;]*; write to another folder"}
    for number, remedy in said.items():
        with pytest.raises(StorageError, match=remedy), whole_or_nothing(tmp_path / "out"):
            raise OSError(number, "told by the system")


@pytest.mark.parametrize("way", [whole_or_nothing, files_or_nothing])
def test_a_name_that_leaves_no_room_for_one_beside_it_is_told(tmp_path: Path, way: Any) -> None:
    with pytest.raises(StorageError, match="File name too long"), way(tmp_path / ("n" * 250)):
        raise AssertionError("nothing is to be written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENOSPC, StorageError, "a/b: No space left on device; free space"),
        (errno.EIO, StorageError, "a/b: Input/output error; check the disk"),
        (errno.EROFS, UsageError, "a/b: Read-only file system; pass a path that can be written to"),
        (errno.EACCES, UsageError, "a/b: Permission denied; check its permissions"),
    ],
)
def test_what_a_machine_says_of_itself_is_no_defect(number: int, kind: type[Exception], said: str) -> None:
    for name in ("a/b", b"a/b"):
        told = told_by_system(OSError(number, "told", name))
        assert type(told) is kind
        assert str(told).startswith(said)
    assert str(told_by_system(OSError(number, "told"))).startswith(said.removeprefix("a/b: "))


def test_what_only_a_defect_brings_about_is_one() -> None:
    assert told_by_system(FileNotFoundError(errno.ENOENT, "no such file", "a")) is None
    assert told_by_system(OSError("nobody says why")) is None


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_is_filled_whole_or_stays_as_it_was(tmp_path: Path, there: bool) -> None:
    goal = tmp_path / "films"
    if there:
        goal.mkdir()
    with pytest.raises(ValueError, match="no recipe"), whole_folder(goal) as made:  # noqa: PT012
        (made / "model.py").touch()
        raise ValueError("no recipe")
    assert [each.name for each in tmp_path.rglob("*")] == (["films"] if there else [])
    with whole_folder(goal) as made:
        (made / "tests").mkdir()
        (made / "tests" / "test.py").touch()
        (made / "model.py").touch()
    assert (names(tmp_path), names(goal)) == (["films"], ["model.py", "tests"])
    (tmp_path / "other").mkdir()
    assert goal.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_an_empty_folder_stays_the_one_that_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's shell may be in it; were another put in its place, they would see nothing of it."""
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    with whole_folder(Path()) as made:
        (made / "model.py").touch()
    assert names(Path.cwd()) == ["model.py"]
    assert tmp_path.stat().st_ino == before


@pytest.mark.parametrize("there", [True, False])
def test_what_came_to_be_there_meanwhile_is_not_replaced(tmp_path: Path, there: bool) -> None:
    goal = tmp_path / "films"
    if there:
        goal.mkdir()
    told = r"films: (File exists|Directory not empty)"
    with pytest.raises(StorageError, match=told), whole_folder(goal) as made:  # noqa: PT012
        (made / "a.py").write_text("ours")
        (made / "model.py").write_text("ours")
        goal.mkdir(exist_ok=True)
        (goal / "model.py").write_text("theirs")
    assert (names(tmp_path), names(goal)) == (["films"], ["model.py"])
    assert (goal / "model.py").read_text() == "theirs"


@pytest.mark.parametrize("there", [True, False])
def test_what_a_killed_process_left_is_no_content_and_goes(tmp_path: Path, there: bool) -> None:
    goal = tmp_path / "films"
    if there:
        goal.mkdir()
    place = goal if there else tmp_path
    (place / ".partial-films-killed").mkdir()
    (place / ".partial-films-killed" / "model.py").touch()
    assert is_free(goal) if there else not goal.exists()
    with whole_folder(goal) as first:
        with whole_folder(tmp_path / "other") as second:
            (second / "theirs").touch()
        assert first.is_dir(), "what another process is writing stays"
        (first / "ours").touch()
    assert names(goal) == ["ours"]
    assert names(tmp_path) == ["films", "other"]


def test_two_that_fill_one_folder_do_not_remove_each_others(tmp_path: Path) -> None:
    goal = tmp_path / "films"
    with whole_folder(goal) as first:
        (first / "one").touch()
        with whole_folder(goal) as second:
            (second / "two").touch()
        assert names(first) == ["one"]
        (goal / "two").unlink()
    assert names(goal) == ["one"]


def is_held(place: Path) -> bool:
    """Whether somebody else who asks would have to wait."""
    number = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(number)
    return False


@pytest.mark.parametrize("name", ["a file", "."])
def test_whoever_is_alone_in_a_place_has_others_wait_and_lets_go_of_it_in_the_end(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "a file").touch()
    assert not is_held(tmp_path / name)
    with alone_in(tmp_path / name):
        assert is_held(tmp_path / name)
    assert not is_held(tmp_path / name)
    with pytest.raises(ValueError, match="mine"), alone_in(tmp_path / name):
        raise ValueError("mine")
    assert not is_held(tmp_path / name)


def test_nobody_is_alone_in_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), alone_in(tmp_path / "absent"):
        pass
    assert not (tmp_path / "absent").exists()
