"""Compiled models are kept whole, found by what they are of, and thrown away where they are not."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Barrier, Thread

import pytest

from pocketrec.validate.runtimes import compiled
from pocketrec.validate.runtimes.compiled import CompiledModels, cache_folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "made.mlmodelc"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "weight.bin").write_bytes(b"123")
    return folder


@pytest.fixture
def kept(tmp_path: Path) -> CompiledModels:
    return CompiledModels(tmp_path / "cache")


def test_what_is_kept_is_found_and_holds_the_same(kept: CompiledModels, model: Path) -> None:
    assert kept.find("a" * 64) is None
    kept.keep("a" * 64, model)
    found = kept.find("a" * 64)
    assert found is not None
    assert found.name == "model.mlmodelc"
    assert (found / "weights" / "weight.bin").read_bytes() == b"123"
    assert kept.find("b" * 64) is None


def test_the_key_is_of_the_bytes_and_of_what_compiles_them(
    kept: CompiledModels, model: Path, tmp_path: Path
) -> None:
    first = kept.key(model, ("macOS 15.5", "9.0"))
    assert first == kept.key(model, ("macOS 15.5", "9.0"))
    assert first != kept.key(model, ("macOS 15.6", "9.0"))
    (model / "weights" / "weight.bin").write_bytes(b"124")
    assert first != kept.key(model, ("macOS 15.5", "9.0"))


@pytest.mark.parametrize("what", ["altered", "lacking", "more", "digest"])
def test_an_entry_that_is_not_what_was_kept_is_thrown_away(
    kept: CompiledModels, model: Path, what: str
) -> None:
    kept.keep("k", model)
    found = kept.find("k")
    assert found is not None
    weight = found / "weights" / "weight.bin"
    if what == "altered":
        weight.write_bytes(b"12")
    elif what == "lacking":
        weight.unlink()
    elif what == "more":
        (found / "more").touch()
    else:
        (found.parent / "sha256").unlink()
    assert kept.find("k") is None
    assert not found.parent.exists()


def test_two_that_keep_at_once_leave_one_whole_entry(
    kept: CompiledModels, model: Path, tmp_path: Path
) -> None:
    together = Barrier(4)

    def keep() -> None:
        together.wait()
        kept.keep("k", model)

    threads = [Thread(target=keep) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert kept.find("k") is not None
    assert [each.name for each in (tmp_path / "cache").iterdir()] == ["k"]


def test_the_least_recently_used_go(
    kept: CompiledModels, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_MOST", 2)
    for number, key in enumerate("ab"):
        kept.keep(key, model)
        os.utime(tmp_path / "cache" / key, (number, number))
    assert kept.find("a") is not None  # which makes it the latest
    kept.keep("c", model)
    assert sorted(each.name for each in (tmp_path / "cache").iterdir()) == ["a", "c"]


def test_a_folder_that_cannot_be_written_keeps_nothing(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    CompiledModels(tmp_path / "file").keep("k", model)
    assert CompiledModels(tmp_path / "file").find("k") is None


def test_it_lies_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "pocketrec" / "compiled"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "pocketrec" / "compiled"
