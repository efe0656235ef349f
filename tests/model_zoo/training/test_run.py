"""What a training keeps is taken up as it was kept, or an error says what to do; two may keep at once."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketrec.errors import DataError, StorageError
from pocketrec.model_zoo.training.run import Run

KEY = "k" * 64


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(rng=np.random.default_rng(0), kept=tmp_path / ".a.st.training", key=KEY)


def place_of(run: Run) -> Path:
    assert run.kept is not None
    return next(run.kept.iterdir())


def test_what_was_kept_comes_back_with_the_random_numbers(run: Run) -> None:
    run.keep("fit", {"epoch": 3, "weights": torch.arange(4)})
    drawn = run.rng.random(), torch.rand(1)
    state = run.load("fit")
    assert state is not None
    assert state["epoch"] == 3
    assert torch.equal(state["weights"], torch.arange(4))
    assert (run.rng.random(), torch.rand(1)) == drawn
    assert run.load("another") is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "folder"])
def test_what_was_cut_or_edited_is_not_gone_on_with(run: Run, damage: str) -> None:
    """A flipped bit would give other weights than the seed's, and nothing would say so."""
    run.keep("fit", {"weights": torch.arange(100)})
    place = place_of(run)
    content = bytearray(place.read_bytes())
    if damage == "folder":
        place.unlink()
        place.mkdir()
    else:
        content[len(content) // 2] ^= 1
        cut = bytes(content[:-9])
        made = {"cut": cut, "flipped": bytes(content), "empty": b"", "text": b"epoch 3\n"}
        place.write_bytes(made[damage])
    with pytest.raises(DataError, match=rf"{place.name}: is not what .* remove it, and train from the start"):
        run.load("fit")


def test_another_process_that_is_done_may_remove_what_was_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two trainings of one output share the folder, and the first that ends removes it."""
    run.keep("fit", {"epoch": 1})
    replace, removed = Path.replace, list[Path]()

    def replace_late(self: Path, target: Path) -> Path:
        if not removed:
            removed.append(self.parent)
            shutil.rmtree(self.parent)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_late)
    run.keep("fit", {"epoch": 2})
    state = run.load("fit")
    assert removed
    assert state is not None
    assert state["epoch"] == 2


def test_what_cannot_be_kept_is_said_with_its_file_and_what_to_do(run: Run) -> None:
    assert run.kept is not None
    run.kept.write_text("a file in the folder's place")
    with pytest.raises(
        StorageError, match=r"training/k{16}-fit\.pt: .*; what was kept before is still there"
    ):
        run.keep("fit", {"epoch": 1})


def test_where_nothing_could_be_kept_no_folder_is_left(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match=r"fit\.pt: No space left on device; .*free space"):
        run.keep("fit", {"epoch": 1})
    assert run.kept is not None
    assert not run.kept.exists()
