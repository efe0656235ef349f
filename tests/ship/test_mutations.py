"""Cases are the same each time, lost processes are named, and writes outside of a target are heard."""

from __future__ import annotations

import json
import multiprocessing
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.ship import mutations, workers
from tests.ship.harm import TREES, harmed
from tests.ship.harm_layouts import LAYOUTS
from tests.ship.judging import CRASHED, HUNG, PASSED, REFUSED
from tests.ship.watching import Watch, content, stamps
from tests.ship.workers import Line, run_all


@pytest.fixture(autouse=True)
def looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_LOOKS", 0.05)


def lines(run: Callable[[int], Line], folder: Path, count: int = 5, **more: Any) -> dict[int, Line]:
    found = list(run_all(range(count), lambda slot: run, folder, **more))
    assert len(found) == count
    return {each["number"]: each for each in found}


def test_every_number_gives_its_line(tmp_path: Path) -> None:
    found = lines(lambda number: {"number": number, "twice": 2 * number}, tmp_path, batch=2, jobs=2)
    assert {number: each["twice"] for number, each in found.items()} == {0: 0, 1: 2, 2: 4, 3: 6, 4: 8}


def test_a_process_that_a_signal_ends_is_named_and_the_others_are_run(tmp_path: Path) -> None:
    def run(number: int) -> Line:
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"number": number}

    found = lines(run, tmp_path)
    assert found[1] == {"number": 1, "ended": "ended by -9"}
    assert "ended" not in found[0] | found[2] | found[4]


def test_an_exception_of_the_tests_themselves_is_named(tmp_path: Path) -> None:
    assert lines(lambda number: {"number": [][number]}, tmp_path, 1)[0]["ended"] == "ended by 1"


@pytest.mark.skipif(sys.platform != "linux", reason="not run: other systems have no such signal")
def test_a_run_that_is_killed_takes_its_processes_along(tmp_path: Path) -> None:
    """A pipe whose other end they hold, and nobody else, ends with the last of them."""
    near, far = os.pipe()

    def run(number: int) -> Line:
        os.write(far, b"x")
        signal.pause()
        return {"number": number}

    ran = multiprocessing.get_context("fork").Process(target=lines, args=(run, tmp_path, 1))
    ran.start()
    os.close(far)
    assert os.read(near, 1) == b"x"
    ran.kill()
    ran.join()
    ended, _, _ = select.select([near], [], [], 30)
    assert ended
    assert os.read(near, 1) == b""
    os.close(near)


def test_a_process_that_waits_for_ever_is_named(tmp_path: Path) -> None:
    def run(number: int) -> Line:
        if number == 3:
            signal.pause()
        return {"number": number}

    found = lines(run, tmp_path, hung_after=0.5)
    assert found[3] == {"number": 3, "ended": "hung"}
    assert found[4] == {"number": 4}


def test_a_process_that_cannot_begin_is_an_error(tmp_path: Path) -> None:
    def prepare(slot: int) -> Callable[[int], Line]:
        raise OSError

    with pytest.raises(RuntimeError, match="before it began"):
        list(run_all([1], prepare, tmp_path))


def written(tmp_path: Path, write: Callable[[Path], object]) -> list[str]:
    """What is heard of writes outside of a folder `in`, in another process as what listens stays."""
    (tmp_path / "in").mkdir()
    (tmp_path / "old").write_text("x")

    def prepare(slot: int) -> Callable[[int], Line]:
        watch = Watch()

        def run(number: int) -> Line:
            with watch.over(tmp_path / "in"):
                write(tmp_path)
            return {"number": number, "outside": watch.outside}

        return run

    (line,) = run_all([0], prepare, tmp_path)
    return [each.replace(str(tmp_path), "") for each in line["outside"]]


def touched(path: Path) -> Path:
    path.touch()
    return path


def linked(path: Path, to: str) -> Path:
    path.symlink_to(to)
    return path


WRITES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "inside": (lambda place: (place / "in" / "a").write_text("x"), []),
    "reading": (lambda place: (place / "old").read_text(), []),
    "beside": (lambda place: (place / "a").write_text("x"), ["open /a"]),
    "out of it": (lambda place: (place / "in" / ".." / "a").write_text("x"), ["open /a"]),
    "a folder": (lambda place: (place / "a").mkdir(), ["os.mkdir /a"]),
    "a link": (lambda place: (place / "a").symlink_to("b"), ["os.symlink /a"]),
    "moved out": (lambda place: (touched(place / "in/a")).rename(place / "a"), ["os.rename /a"]),
    "removed": (lambda place: (place / "old").unlink(), ["os.remove /old"]),
    "through a link": (lambda place: linked(place / "in/a", "../b").write_text("x"), ["open /b"]),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_outside_of_the_target_is_heard(name: str, tmp_path: Path) -> None:
    write, heard = WRITES[name]
    assert written(tmp_path, write) == heard


def made(folder: Path) -> Path:
    """A folder with what every harm looks for."""
    (folder / "given/blobs/sha256").mkdir(parents=True)
    (folder / "given/manifest.json").write_text(json.dumps({"schema": 1, "files": {"a/b.txt": "00"}}))
    (folder / "given/a").mkdir()
    (folder / "given/a/b.txt").write_text("some text")
    layer = {"digest": "", "size": 3, "annotations": {"org.opencontainers.image.title": "a"}}
    from tests.ship.harm_layouts import _store

    layer["digest"] = _store(folder / "given", b"abc")
    table = {"layers": [layer], "config": {"digest": _store(folder / "given", b"{}"), "size": 2}}
    entry = {"digest": _store(folder / "given", json.dumps(table).encode()), "annotations": {"x": "1"}}
    (folder / "given/index.json").write_text(json.dumps({"manifests": [entry, {**entry, "annotations": {}}]}))
    return folder / "given"


def test_a_write_changes_a_stamp_and_content_is_told_by_kind(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_text("1")
    before = stamps(tmp_path)
    assert sorted(before) == ["a", "a/b"]
    (tmp_path / "a/b").write_text("22")
    assert stamps(tmp_path) != before
    (tmp_path / "a/c").symlink_to("b")
    os.mkfifo(tmp_path / "d")
    found = content(tmp_path)
    assert (found["a/c"], found["d"], sorted(found)) == ("link to b", "special", ["a/b", "a/c", "d"])
    assert content(tmp_path, without="a") == {"d": "special"}
    assert content(tmp_path / "nothing") == {}
    assert list(content(tmp_path / "a/b")) == ["."]


@pytest.mark.parametrize("harm", dict.fromkeys((*TREES, *LAYOUTS)), ids=lambda harm: harm.__name__)
def test_a_harm_is_the_same_each_time_and_often_does_something(harm: Any, tmp_path: Path) -> None:
    changed = 0
    for number in range(8):
        results = []
        for place in (tmp_path / f"{number}-one", tmp_path / f"{number}-two"):
            given = made(place)
            before = content(given)
            said = harm(Random(number), given, tmp_path / "nobody").replace(str(place), "")
            results.append(
                (said, {name: each.replace(str(place), "") for name, each in content(given).items()})
            )
        assert results[0] == results[1]
        changed += results[0][1] != before
    assert changed >= 3


def test_a_harm_that_finds_nothing_left_says_so(tmp_path: Path) -> None:
    for each in dict.fromkeys((*TREES, *LAYOUTS)):
        (tmp_path / each.__name__).mkdir()
        said = harmed(each, Random(1), tmp_path / each.__name__, tmp_path)
        assert "found nothing to change" in said or each.__name__ in ("removed", "special"), said


def line(number: int, *outcomes: str) -> Line:
    ran = [{"reader": f"r{n}", "outcome": each, "why": "why"} for n, each in enumerate(outcomes)]
    return {"number": number, "ran": ran}


def test_the_worst_outcome_counts_and_a_fault_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = [line(0, REFUSED, PASSED), line(1, REFUSED), {"number": 2, "ended": "hung"}, line(3, CRASHED)]
    assert mutations._tell(found, 4, as_json=False, whole=False) == 1
    told = capsys.readouterr().out.splitlines()
    assert f"case 0: r1: {PASSED}: why; run it again: python -m tests.ship.mutations --only 0" in told
    assert "case 2: the process hung" in told[-3]
    counts = mutations.counts_of(found)
    assert (counts[PASSED], counts[REFUSED], counts[HUNG], counts[CRASHED]) == (1, 1, 1, 1)


def test_fewer_cases_than_were_asked_for_do_not_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutations._tell([line(0, REFUSED)], 1, as_json=False, whole=False) == 0
    assert mutations._tell([line(0, REFUSED)], 2, as_json=True, whole=False) == 1
    assert mutations.counted([line(0, REFUSED)], 2).endswith("; 1 not run")


def test_half_a_line_of_a_run_that_was_killed_is_none(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text('{"number": 1}\n{"numb')
    assert mutations._read(tmp_path / "cases.jsonl") == [{"number": 1}]
