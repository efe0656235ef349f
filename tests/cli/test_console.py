"""Progress on stderr: a line for each stage, and an end where somebody interrupts."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from pocketrec.cli.console import progress_on_stderr
from pocketrec.cli.signals import Terminated


def test_stages_are_lines_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_on_stderr() as progress:
        for stage in ("load", "load", "lower"):
            progress(stage, 0, 2)
    assert capsys.readouterr().err == "load ...\nlower ...\n"


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_an_interrupt_that_somebody_swallows_counts_at_the_next_step(
    number: signal.Signals, raised: type[KeyboardInterrupt]
) -> None:
    """As libraries do that take any error of an import for a missing package."""
    before = signal.getsignal(number)
    with progress_on_stderr() as progress:
        progress("load", 0, 1)
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        with pytest.raises(raised):
            progress("lower", 0, 1)
    assert signal.getsignal(number) == before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with progress_on_stderr() as progress:
            os.kill(os.getpid(), signal.SIGTERM)
            progress("load", 0, 1)
    finally:
        signal.signal(signal.SIGTERM, before)
