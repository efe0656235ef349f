"""A zip file is what is in it: no times, owners, modes or order of a disk."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from pocketrec.package.swift.registry.archive import write_archive


def fill(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"of {name}\n" * 50)
    return folder


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    one = fill(tmp_path / "one", ["b/c.txt", "a.txt", "é.txt"])
    two = fill(tmp_path / "two", ["é.txt", "a.txt", "b/c.txt"])
    (two / "a.txt").chmod(0o600)
    os.utime(two / "a.txt", (0, 0))
    write_archive(one, tmp_path / "one.zip", top="x-1.0.0")
    write_archive(two, tmp_path / "two.zip", top="x-1.0.0")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    (two / "a.txt").write_text("other")
    write_archive(two, tmp_path / "three.zip", top="x-1.0.0")
    assert (tmp_path / "one.zip").read_bytes() != (tmp_path / "three.zip").read_bytes()


def test_one_folder_holds_all_that_is_not_left_out(tmp_path: Path) -> None:
    folder = fill(tmp_path / "it", ["b/c.txt", "a.txt", "mark"])
    write_archive(folder, tmp_path / "it.zip", top="x-1.0.0", left_out=frozenset({"mark"}))
    with zipfile.ZipFile(tmp_path / "it.zip") as archive:
        assert archive.namelist() == ["x-1.0.0/a.txt", "x-1.0.0/b/c.txt"]
        assert archive.read("x-1.0.0/b/c.txt").decode() == "of b/c.txt\n" * 50
        assert {each.external_attr >> 16 for each in archive.infolist()} == {0o100644}
