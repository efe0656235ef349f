"""A child answers in frames, or its end is told; nothing of it is left, whoever ends first."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest

from pocketrec.validate.runtimes.child import Child, TimeIsUp
from pocketrec.validate.runtimes.faults import FrameworkFault, ended, fault_of, one_line
from pocketrec.validate.runtimes.frames import BrokenFrame

MODULE = "tests.validate.runtimes.child_cases"
ROOT = Path(__file__).parents[3]
X = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}
AT_MOST = 60.0  # seconds until a test gives up; none takes so long


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))


@contextmanager
def child(case: str, *more: str) -> Iterator[Child]:
    made = Child(MODULE, [case, *more])
    try:
        yield made
    finally:
        made.close()


def ask(of: Child, tensors: Any = X, seconds: float = AT_MOST) -> Any:
    return of.ask({}, tensors, until=monotonic() + seconds)


def test_what_is_sent_comes_back_however_much_is_printed() -> None:
    with child("prints") as made:
        for _ in range(2):
            np.testing.assert_array_equal(ask(made).arrays("tensors")["x"], X["x"])
    assert made.printed.endswith("last")
    assert len(made.printed) <= 8 << 10


def test_what_was_printed_before_an_answer_is_there_with_it_however_slow_the_thread_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Child, "_keep", lambda _: None)
    with child("says a word") as made:
        for count in (1, 2):
            ask(made)
            assert made.printed.split() == ["word"] * count


def test_an_end_within_a_frame_is_an_end_and_its_code_is_told() -> None:
    with child("dies in a frame") as made:
        assert ask(made) is None
        assert made.code() == 3


def test_bytes_that_are_no_frame_are_refused() -> None:
    with child("garbles") as made, pytest.raises(BrokenFrame, match="a header of 4294967295 bytes"):
        ask(made)


def test_one_that_does_not_answer_and_one_that_does_not_read_are_given_up() -> None:
    """More is sent than a pipe holds, so that writing waits, too."""
    for tensors in (X, {"x": np.zeros(1 << 18)}):
        with child("deaf") as made, pytest.raises(TimeIsUp):
            ask(made, tensors, seconds=0.1)
        with pytest.raises(ProcessLookupError):
            os.kill(made._process.pid, 0)
        assert not Path(made._folder.name).exists()


@contextmanager
def held(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A pipe with a name, and its reading end: it is at its end when every process that holds it is gone."""
    name = str(tmp_path / "held")
    os.mkfifo(name)
    file = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield name, file
    finally:
        os.close(file)


def gone(file: int) -> bool:
    poll = select.poll()
    poll.register(file, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(AT_MOST * 1000)) and os.read(file, 1) == b""


def test_what_a_child_started_goes_with_it(tmp_path: Path) -> None:
    with held(tmp_path) as (name, file):
        with child("with a grandchild", name) as made:
            assert ask(made) is not None
        assert gone(file)


def test_a_child_goes_with_whoever_asked_for_it_however_that_ended(tmp_path: Path) -> None:
    """The asking process is killed, and can do nothing any more for what it started."""
    code = (
        "import os, signal; from time import monotonic; from pocketrec.validate.runtimes.child import Child\n"
        f"made = Child({MODULE!r}, ['with a grandchild', {str(tmp_path / 'held')!r}])\n"
        "made.ask({}, {}, until=monotonic() + 60); print(made._folder.name, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    with held(tmp_path) as (_, file):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert gone(file)
    folder = Path(done.stdout.strip())
    assert folder.name.startswith("pocketrec-child-")


def test_an_interrupt_ends_the_child_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(tmp_path) as (name, file):
        with pytest.raises(KeyboardInterrupt), child("echoes", name) as made:
            _interrupt(monkeypatch, made)
        assert gone(file)


def _interrupt(monkeypatch: pytest.MonkeyPatch, made: Child) -> None:
    assert ask(made) is not None
    monkeypatch.setattr("pocketrec.validate.runtimes.child.read_frame", _interrupted)
    ask(made)


def _interrupted(reader: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("code", "words"), [(-6, "SIGABRT"), (-11, "SIGSEGV"), (3, "exit code 3"), (-250, "signal 250")]
)
def test_ends_have_names(code: int, words: str) -> None:
    assert ended(code) == words


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("E5RT: Submit Async failed for [2:1]: Async task: main__Op3_Cast has timed out.", "e5rt_timeout"),
        ("timeout in e5rt", "e5rt_timeout"),
        ("E5RT encountered an STL exception", "failed"),
        ("the request timed out", "failed"),
    ],
)
def test_an_e5rt_timeout_is_told_by_its_words(message: str, fault: str) -> None:
    assert fault_of(message, "failed") == fault


def test_a_fault_says_by_its_exit_code_whether_the_artifact_may_be_to_blame() -> None:
    faults = ("hung", "crashed", "e5rt_timeout", "garbled", "refused", "failed")
    codes = [FrameworkFault("x", fault=each).exit_code for each in faults]  # type: ignore[arg-type]
    assert codes == [14, 14, 14, 14, 1, 1]
    assert one_line("a\n b  c" * 200).startswith("a b ca b c")
    assert len(one_line("x" * 1000)) == 300
