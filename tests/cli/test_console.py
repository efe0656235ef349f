"""Progress on stderr: a bar for each stage, and an end where somebody interrupts."""

from __future__ import annotations

import contextlib
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from pocketrec.cli.console import _Stages, plain, print_table, progress_on_stderr
from pocketrec.cli.signals import Terminated


class Bars:
    """Notes what is asked of it, as rich's bars would draw it."""

    def __init__(self) -> None:
        self.tasks: dict[str, Any] = {}
        self.running: dict[str, bool] = {}

    def add_task(self, stage: str, *, total: int) -> str:
        self.tasks[stage] = SimpleNamespace(total=total, completed=0)
        return stage

    def start_task(self, stage: str) -> None:
        self.running[stage] = True

    def stop_task(self, stage: str) -> None:
        self.running[stage] = False

    def update(self, stage: str, **values: int) -> None:
        vars(self.tasks[stage]).update(values)


def test_a_stage_is_full_and_its_clock_stands_when_the_next_one_begins() -> None:
    bars = Bars()
    stages = _Stages(bars)
    stages.advance("load", 0, 1)
    stages.advance("convert", 1, 4)
    assert (bars.tasks["load"].completed, bars.running["load"]) == (1, False)
    assert (bars.tasks["convert"].completed, bars.running["convert"]) == (1, True)
    stages.advance("load", 0, 1)  # once more
    assert (bars.tasks["load"].completed, bars.running["load"]) == (0, True)
    stages.finish()
    assert (bars.tasks["load"].completed, bars.running["load"]) == (1, False)


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_an_interrupt_that_somebody_swallows_counts_at_the_next_step(
    number: signal.Signals, raised: type[KeyboardInterrupt]
) -> None:
    """As libraries do that take any error of an import for a missing package."""
    before = signal.signal(number, signal.default_int_handler)  # a job in the background ignores SIGINT
    try:
        with progress_on_stderr() as progress:
            progress("load", 0, 1)
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(number)  # in this thread; `kill` may take any, and then comes later
            with pytest.raises(raised):
                progress("lower", 0, 1)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with progress_on_stderr() as progress:
            signal.raise_signal(signal.SIGTERM)
            progress("load", 0, 1)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_a_terminal_would_obey_stands_in_letters() -> None:
    said = plain("gate \x1b[2J\x00\x9b of caf\u00e9 \u202e!")
    assert said == "gate \\x1b[2J\\x00\\x9b of caf\u00e9 \\u202e!"


def test_spaces_and_joined_letters_stay_as_they_are() -> None:
    said = "a\u00a0b \U0001f469\u200d\U0001f4bb \u0645\u06cc\u200c\u062e e\u0301"
    assert plain(said) == said


def test_what_a_file_says_is_not_obeyed_in_a_table_nor_breaks_its_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    titles = ["\x1b[2Jclear", "two\x85lines\u2028more", "back\bspace\rand", "\u202eesrever", "one\ntwo"]
    print_table("", ["token", "title"], [[str(place), each] for place, each in enumerate(titles)])
    lines = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()) for line in lines[2:]] == [
        "0 \\x1b[2Jclear",
        "1 two\\x85lines\\u2028more",
        "2 back\\x08space\\rand",
        "3 \\u202eesrever",
        "4 one",
        "two",
        "",
    ]


@pytest.mark.parametrize("token", ["Q" * 60, "Q" * 300, "\u65e5" * 200])
def test_a_long_word_hides_neither_its_end_nor_the_other_columns(
    token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table("", ["", "token", "title", "score"], [["1", token, "a title of films " * 20, "0.5000"]])
    said = capsys.readouterr().out
    assert said.count(token[0]) == len(token)
    assert said.count("films") == 20
    assert "0.5000" in said
