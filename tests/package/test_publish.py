"""Publishing is all or nothing: after a kill at any moment there is no half bundle."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pocketrec.errors import StorageError, UsageError
from pocketrec.package.bundle import publish, read_bundle, seal, staging, verify_files

CHILD = """
import os, sys
from pathlib import Path
from pocketrec.package import publish as module
from pocketrec.package.bundle import publish, seal, staging

destination, moment, exchanges = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "exchange"

def stop_here():
    os.write(1, b"ready")
    os.read(0, 1)  # until the kill

rename, count = Path.rename, 0

def counted(self, target):
    global count
    count += 1
    if moment == f"before rename {count}":
        stop_here()
    result = rename(self, target)
    if moment == f"after rename {count}":
        stop_here()
    return result

exchange = module._exchange

def watched(one, other):
    if not exchanges:
        return False
    if moment == "before rename 1":
        stop_here()
    assert exchange(one, other)
    if moment == "after rename 1":
        stop_here()
    return True

Path.rename, module._exchange = counted, watched
with staging(destination) as folder:
    (folder / "model.onnx").write_text("new")
    if moment == "half written":
        stop_here()
    seal(folder, name="example", version="2", artifacts={})
    if moment == "sealed":
        stop_here()
    publish(folder, destination)
"""
EXCHANGED = ["half written", "sealed", "before rename 1", "after rename 1"]
MOMENTS = [(each, "exchange") for each in EXCHANGED]
MOMENTS += [(each, "rename") for each in (*EXCHANGED, "before rename 2", "after rename 2")]
AFTER = [("after rename 1", "exchange"), ("after rename 2", "rename")]
BETWEEN = [("after rename 1", "rename"), ("before rename 2", "rename")]


def build(destination: Path, text: str) -> None:
    with staging(destination) as folder:
        (folder / "model.onnx").write_text(text)
        seal(folder, name="example", version="1", artifacts={})
        publish(folder, destination)


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def start(destination: Path, moment: str, how: str = "exchange") -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(destination), moment, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert os.read(child.stdout.fileno(), 5) == b"ready"
    return child


def kill(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGKILL)
    child.communicate()


def test_an_older_bundle_is_replaced(tmp_path: Path) -> None:
    build(tmp_path / "bundle", "old")
    build(tmp_path / "bundle", "new")
    assert (tmp_path / "bundle/model.onnx").read_text() == "new"
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(("moment", "how"), MOMENTS)
def test_a_kill_leaves_the_old_bundle_or_the_new_one(tmp_path: Path, moment: str, how: str) -> None:
    """Between two renames it waits beside its place, and the next build begins by putting it back."""
    destination = tmp_path / "bundle"
    build(destination, "old")
    kill(start(destination, moment, how))
    if (moment, how) in BETWEEN:
        with pytest.raises(UsageError, match=r"build it again, or rename \.bundle\.previous"):
            read_bundle(destination)
        with pytest.raises(RuntimeError), staging(destination):
            raise RuntimeError
    assert verify_files(read_bundle(destination)) == ()
    expected = "new" if (moment, how) in AFTER else "old"
    assert (destination / "model.onnx").read_text() == expected
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["bundle"]

    build(destination, "next")
    assert (destination / "model.onnx").read_text() == "next"
    assert hidden(tmp_path) == []


def test_an_error_on_the_way_leaves_the_old_bundle_and_nothing_else(tmp_path: Path) -> None:
    build(tmp_path / "bundle", "old")

    def convert(folder: Path) -> None:
        (folder / "model.onnx").write_text("half")
        raise RuntimeError("converter")

    with pytest.raises(RuntimeError, match="converter"), staging(tmp_path / "bundle") as folder:
        convert(folder)
    assert (tmp_path / "bundle/model.onnx").read_text() == "old"
    assert hidden(tmp_path) == []


def test_a_rename_that_fails_puts_the_old_bundle_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "bundle", "old")
    real = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if (self / "model.onnx").read_text() == "new":
            raise OSError("no space")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    monkeypatch.setattr("pocketrec.package.publish._exchange", lambda one, other: False)
    with pytest.raises(OSError, match="no space"):
        build(tmp_path / "bundle", "new")
    assert (tmp_path / "bundle/model.onnx").read_text() == "old"
    assert hidden(tmp_path) == []


def test_a_build_that_lives_keeps_its_folder(tmp_path: Path) -> None:
    child = start(tmp_path / "bundle", "half written")
    build(tmp_path / "bundle", "other")
    assert len(hidden(tmp_path)) == 1
    kill(child)
    build(tmp_path / "bundle", "other")
    assert hidden(tmp_path) == []


def test_every_place_that_a_build_may_take_is_looked_at_and_put_back(tmp_path: Path) -> None:
    build(tmp_path / "b.failed", "old")
    kill(start(tmp_path / "b.failed", "after rename 1", "rename"))
    with staging(tmp_path / "b", tmp_path / "b.failed"):
        assert (tmp_path / "b.failed/model.onnx").read_text() == "old"
    (tmp_path / "b.failed/manifest.json").unlink()
    with (
        pytest.raises(UsageError, match=r"b\.failed: not empty and no bundle"),
        staging(tmp_path / "b", tmp_path / "b.failed"),
    ):
        pass


FAILING = """
import sys
from pathlib import Path
from pocketrec.package.bundle import publish, seal, staging

out = Path(sys.argv[1])
failed = out.with_name(f"{out.name}.failed")
for number in range(40):
    with staging(out, failed) as folder:
        (folder / "model.onnx").write_text(str(number))
        seal(folder, name="example", version="2", artifacts={})
        publish(folder, failed)
"""


def test_failing_builds_of_one_place_at_once_leave_one_whole_bundle(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", FAILING, str(tmp_path / "b")], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [child.communicate()[1].decode() for child in children] == [""] * 3
    assert verify_files(read_bundle(tmp_path / "b.failed")) == ()
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("name", ["notes.txt", "manifest.json"])
def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / name).write_text("precious")
    with pytest.raises(UsageError, match="not empty and no bundle"):
        build(tmp_path / "home", "new")
    assert (tmp_path / "home" / name).read_text() == "precious"


def test_a_file_or_a_link_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="a file is there"):
        build(tmp_path / "file", "new")
    with pytest.raises(UsageError, match="a link"):
        build(tmp_path / "link", "new")


@pytest.mark.parametrize("name", ["", ".", "..", "/"])
def test_a_place_without_a_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="names no folder; pass another --out"):
        build(Path(name), "new")


def test_a_name_that_no_folder_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be a path"):
        build(tmp_path / ("x" * 300), "new")


LOOP = """
import sys
from pathlib import Path
from pocketrec.package.bundle import publish, seal, staging

for number in range(40):
    with staging(Path(sys.argv[1])) as folder:
        (folder / "model.onnx").write_text(str(number))
        seal(folder, name="example", version="2", artifacts={})
        publish(folder, Path(sys.argv[1]))
"""


def test_builds_of_one_place_at_once_leave_one_whole_bundle(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", LOOP, str(tmp_path / "bundle")], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    errors = [child.communicate()[1].decode() for child in children]
    assert errors == [""] * 3
    assert verify_files(read_bundle(tmp_path / "bundle")) == ()
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("place", ["web", "artifacts/deep/web", "link/web"])
def test_nothing_is_written_into_a_bundle(tmp_path: Path, place: str) -> None:
    """A bundle holds what its manifest lists, so another one in it would damage it."""
    with staging(tmp_path / "bundle") as folder:
        (folder / "contract.json").write_text("{}")
        seal(folder, name="toy", version="1", artifacts={})
        publish(folder, tmp_path / "bundle")
    (tmp_path / "link").symlink_to(tmp_path / "bundle")
    out = tmp_path / place if place.startswith("link") else tmp_path / "bundle" / place
    with pytest.raises(UsageError, match=r"lies in the bundle .* pass another --out"), staging(out):
        pass
    assert verify_files(read_bundle(tmp_path / "bundle")) == ()


def test_a_disk_that_is_full_meanwhile_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """Whatever is generated into a staging folder: a bundle, a package, a release."""
    with pytest.raises(StorageError, match="No space left on device; free space"), staging(tmp_path / "b"):
        raise OSError(errno.ENOSPC, "told by the system")
    assert list(tmp_path.iterdir()) == []
