"""Without a terminal, work that is long still says how far it is, and no oftener than somebody reads it."""

from __future__ import annotations

from pocketrec.progress import in_lines


def test_stages_are_lines_with_their_time() -> None:
    """When each began since the start, and how long the one before it took."""
    times, written = iter([100.0, 100.5, 103.0, 103.25]), list[str]()
    with in_lines(written.append, lambda: next(times)) as progress:
        for stage in ("load", "load", "lower"):
            progress(stage, 0, 2)
    assert written == [
        "    0.5 s  load ...",
        "    3.0 s  lower ...  (load took 2.5 s)",
        "    3.2 s  done  (lower took 0.2 s)",
    ]


def test_a_long_stage_says_once_a_minute_how_far_it_is() -> None:
    times, written = iter([0.0, 1.0, 30.0, 61.0, 90.0, 122.0, 130.0]), list[str]()
    with in_lines(written.append, lambda: next(times)) as progress:
        for done in range(6):
            progress("quality", done, 5, f", best {done / 10}")
    assert written == [
        "    1.0 s  quality ...",
        "   61.0 s  quality: 2 of 5, best 0.2",
        "  122.0 s  quality: 4 of 5, best 0.4",
        "  130.0 s  done  (quality took 129.0 s)",
    ]


def test_work_that_tells_nothing_writes_nothing() -> None:
    written: list[str] = []
    with in_lines(written.append):
        pass
    assert written == []
