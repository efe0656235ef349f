"""Work that was killed goes on where it was: its parts are found, checked, and gone when it is done."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from pocketrec.errors import StorageError
from pocketrec.kept import Parts, Rows, Span, arrays_sha256, key_of, path_sha256
from pocketrec.workers import Workers

SPANS = [(0, 3), (3, 6), (6, 8)]
KEY = key_of(data="d", artifact="a")


def rows_of(span: Span) -> Rows:
    """Something of every type that parts hold, an empty array among them."""
    numbers = np.arange(*span)
    return {
        "places": numbers.astype(np.float32),
        "lists": np.stack([numbers, -numbers], axis=1).astype(np.int32),
        "users": numbers.astype(str),
        "kept: a/b": np.zeros((len(numbers), 0), np.float16),
    }


class Counted:
    """Computes spans, and remembers which."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def __call__(self, span: Span) -> Rows:
        self.spans.append(span)
        return rows_of(span)


def run(parts: Parts, key: str | None = KEY, job: Callable[[Span], Rows] = rows_of) -> list[Rows]:
    return list(Workers(parts=parts).map_kept(job, SPANS, key))


def check_same(found: Sequence[Rows]) -> None:
    for rows, span in zip(found, SPANS, strict=True):
        expected = rows_of(span)
        assert list(rows) == list(expected)
        for name, array in expected.items():
            assert rows[name].dtype == array.dtype
            np.testing.assert_array_equal(rows[name], array)


def files(folder: Path) -> dict[str, int]:
    """Every file with its inode, which is another one where it was written again."""
    return {each.name: each.stat().st_ino for each in folder.glob("*/*")}


def test_work_goes_on_after_the_parts_that_were_finished(tmp_path: Path) -> None:
    def stop(span: Span) -> Rows:
        if span == SPANS[2]:
            raise KeyboardInterrupt
        return rows_of(span)

    with pytest.raises(KeyboardInterrupt):
        run(Parts(tmp_path / "parts"), job=stop)
    before = files(tmp_path / "parts")
    assert set(before) == {"0-3.part", "3-6.part"}
    again, job = Parts(tmp_path / "parts"), Counted()
    check_same(run(again, job=job))
    assert job.spans == [(6, 8)]
    assert (again.reused, again.computed, again.damaged) == (2, 1, [])
    assert files(tmp_path / "parts").items() > before.items()
    again.remove()
    assert not (tmp_path / "parts").exists()


def test_a_killed_process_leaves_whole_parts_alone(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np, os, signal\n"
        "from pathlib import Path\n"
        "from tests.test_kept import KEY, SPANS, rows_of\n"
        "from pocketrec.kept import Parts\n"
        "from pocketrec.workers import Workers\n"
        "def job(span):\n"
        "    if span[0] == 6: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return rows_of(span)\n"
        "list(Workers(parts=Parts(Path(sys.argv[1]))).map_kept(job, SPANS, KEY))\n"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "parts")], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    job = Counted()
    check_same(run(Parts(tmp_path / "parts"), job=job))
    assert job.spans == [(6, 8)]


def test_other_work_uses_none_of_the_parts(tmp_path: Path) -> None:
    run(Parts(tmp_path))
    job = Counted()
    run(Parts(tmp_path), key=key_of(data="other", artifact="a"), job=job)
    assert job.spans == SPANS
    run(Parts(tmp_path), key=None, job=job)
    assert job.spans == SPANS * 2, "work without a key keeps nothing"


@pytest.mark.parametrize("harm", ["cut", "edited", "empty"])
def test_a_damaged_part_is_computed_again_and_named(tmp_path: Path, harm: str) -> None:
    run(Parts(tmp_path))
    place = tmp_path / KEY / "3-6.part"
    data = place.read_bytes()
    changed = {"cut": data[:-1], "edited": data[:-9] + b"\x01" + data[-8:], "empty": b""}[harm]
    assert changed != data
    place.write_bytes(changed)
    parts, job = Parts(tmp_path), Counted()
    check_same(run(parts, job=job))
    assert job.spans == [(3, 6)]
    assert parts.damaged == [place]
    assert place.read_bytes() == data


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    one, two = Parts(tmp_path / "parts"), Parts(tmp_path / "parts")
    first = Workers(parts=one).map_kept(rows_of, SPANS, KEY)
    second = Workers(parts=two).map_kept(rows_of, SPANS, KEY)
    found = [next(first), next(second), next(first), next(first)]
    one.remove()
    check_same([found[0], *found[2:]])
    check_same([found[1], *second])
    assert (two.reused, two.computed) == (1, 2), "the first part of the other was there already"
    two.remove()
    assert not (tmp_path / "parts").exists()


def test_parts_that_another_process_removes_are_computed(tmp_path: Path) -> None:
    run(Parts(tmp_path))
    parts, job = Parts(tmp_path), Counted()
    going = Workers(parts=parts).map_kept(job, SPANS, KEY)
    found = [next(going)]
    other = Parts(tmp_path)
    run(other)
    other.remove()
    check_same([*found, *going])
    assert job.spans == [(3, 6), (6, 8)]


def test_parts_of_other_work_stay_where_one_is_done(tmp_path: Path) -> None:
    other = key_of(data="other")
    run(Parts(tmp_path), key=other)
    done = Parts(tmp_path)
    run(done)
    done.remove()
    assert [each.name for each in tmp_path.iterdir()] == [other]


def test_no_room_says_where_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "parts").write_text("in the way")
    with pytest.raises(StorageError, match=r"kept in .*parts: free space, or name another"):
        run(Parts(tmp_path / "parts"))


def test_workers_give_their_parts_to_the_process_that_keeps_them(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    check_same(list(Workers(count=2, engine="threading", parts=parts).map_kept(rows_of, SPANS, KEY)))
    assert (parts.computed, len(files(tmp_path))) == (3, 3)


def test_a_key_follows_everything_that_it_is_made_of(tmp_path: Path) -> None:
    folder = tmp_path / "a.mlpackage"
    (folder / "Data").mkdir(parents=True)
    (folder / "Data" / "weights.bin").write_bytes(b"12")
    before = path_sha256(folder)
    (folder / "Data" / "weights.bin").rename(folder / "weights.bin")
    moved = path_sha256(folder)
    (folder / "weights.bin").write_bytes(b"13")
    assert len({before, moved, path_sha256(folder), path_sha256(folder / "weights.bin")}) == 4
    one = np.arange(4, dtype=np.int32)
    variants: list[Rows] = [
        {"x": one},
        {"y": one},
        {"x": one.reshape(2, 2)},
        {"x": one.view(np.float32)},
        {"x": one[::-1]},
        {"x": one.astype(str)},
        {"x": one[:0]},
    ]
    assert len({arrays_sha256(each) for each in variants}) == len(variants)
    assert key_of(a=1, b="2") == key_of(b="2", a=1) != key_of(a=1, b=2)
