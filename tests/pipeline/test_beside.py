"""Jobs side by side give what they give one after the other: values, order and errors."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pocketrec.errors import Refused
from pocketrec.pipeline.beside import side_by_side

HERE = os.getpid()
copies_only = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no copies on this system")


def giving(value: object) -> Callable[[], object]:
    return lambda: value


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_values_come_in_the_jobs_order(at_once: int) -> None:
    assert side_by_side([giving(each) for each in range(7)], at_once=at_once) == list(range(7))


def test_no_jobs_give_nothing() -> None:
    assert side_by_side([]) == []


@copies_only
def test_two_processes_work_and_files_of_both_stay(tmp_path: Path) -> None:
    """Each job waits for the other's file, which one process alone would wait for in vain."""
    os.mkfifo(tmp_path / "left")
    os.mkfifo(tmp_path / "right")

    def write_then_read(own: str, other: str) -> str:
        if own == "left":
            (tmp_path / own).write_text(own)
            return (tmp_path / other).read_text()
        text = (tmp_path / other).read_text()
        (tmp_path / own).write_text(own)
        return text

    jobs = [lambda: write_then_read("left", "right"), lambda: write_then_read("right", "left")]
    assert side_by_side(jobs, at_once=2) == ["right", "left"]


@copies_only
def test_pytorch_computes_in_a_copy_of_a_process_that_used_threads() -> None:
    matrix = torch.arange(250_000.0).reshape(500, 500) / 250_000
    expected = (matrix @ matrix).sum().item()
    given = side_by_side([lambda: (matrix @ matrix).sum().item()] * 4, at_once=3)
    assert given == pytest.approx([expected] * 4, rel=1e-5)


def test_the_first_error_in_order_is_raised_with_all_that_it_says() -> None:
    def refuse(op: str) -> Callable[[], object]:
        def job() -> object:
            raise Refused(op=op, where="model.py:3", reason="it cannot", remedy="do without")

        return job

    jobs = [giving(1), refuse("first"), refuse("second"), giving(2)]
    for at_once in (1, 2, 4):
        with pytest.raises(Refused, match=r"first.*it cannot") as caught:
            side_by_side(jobs, at_once=at_once)
        assert caught.value.where == "model.py:3"


def test_a_job_whose_copy_dies_is_done_here() -> None:
    def die_elsewhere() -> int:
        if os.getpid() != HERE:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    assert side_by_side([die_elsewhere] * 4, at_once=2) == [HERE] * 4


def test_what_cannot_be_sent_is_made_here() -> None:
    def make() -> Callable[[], int]:
        return lambda: 3

    made = side_by_side([make] * 3, at_once=3)
    assert [each() for each in made] == [3, 3, 3]


@copies_only
def test_what_the_caller_holds_is_left_only_once() -> None:
    """A copy ends where its jobs end: it does not run what its caller does afterwards."""
    left: list[int] = []
    read, write = os.pipe()
    try:
        side_by_side([giving(None)] * 3, at_once=3)
    finally:
        left.append(os.getpid())
        os.write(write, b"x")
    os.close(write)
    with os.fdopen(read, "rb") as file:
        assert file.read() == b"x"
    assert left == [HERE]
