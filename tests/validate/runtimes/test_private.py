"""A private copy has the bytes of the original, shares its weights where it can, and nothing else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pocketrec.errors import ArtifactError, StorageError
from pocketrec.validate.runtimes.private import PrivateCopy


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "m.mlpackage" / "Data").mkdir(parents=True)
    (tmp_path / "m.mlpackage" / "Manifest.json").write_text("{}")
    (tmp_path / "m.mlpackage" / "Data" / "weight.bin").write_bytes(b"1234")
    return tmp_path / "m.mlpackage"


def test_weights_are_shared_and_a_manifest_is_not(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    copy = PrivateCopy(package)
    assert (copy.path / "Data" / "weight.bin").samefile(package / "Data" / "weight.bin")
    assert not (copy.path / "Manifest.json").samefile(package / "Manifest.json")
    copy.close()
    copy.close()
    assert not copy.path.exists()
    assert (package / "Data" / "weight.bin").read_bytes() == b"1234"


def test_weights_on_another_disk_are_copied(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def across(*names: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", across)
    copy = PrivateCopy(package)
    assert (copy.path / "Data" / "weight.bin").read_bytes() == b"1234"
    copy.close()


def test_a_lone_model_file_is_copied(tmp_path: Path) -> None:
    (tmp_path / "m.mlmodel").write_bytes(b"12")
    copy = PrivateCopy(tmp_path / "m.mlmodel")
    assert copy.path.name == "m.mlmodel"
    assert copy.path.read_bytes() == b"12"
    copy.close()


def test_what_is_no_file_is_named_and_nothing_is_left(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "copies"))
    os.mkfifo(package / "Data" / "model.mlmodel")
    with pytest.raises(ArtifactError, match=r"model\.mlmodel: a FIFO"):
        PrivateCopy(package)
    assert not list((tmp_path / "copies").iterdir())


def test_a_full_disk_is_said(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*names: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(StorageError, match=r"m\.mlpackage: No space left on device while it was copied"):
        PrivateCopy(package)
