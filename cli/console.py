"""Where things are printed: results on stdout, progress on stderr, colour on terminals only."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import click

from pocketrec.cli.signals import endings
from pocketrec.progress import in_lines

if TYPE_CHECKING:
    from rich.console import Console

    from pocketrec.progress import Progress

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?( [a-zA-Z%]+)?\Z|-?\Z")
_WIDTH = 120  # columns where stdout is no terminal, so that logs do not depend on the machine
_WHOLE = 2 / 3  # of the width that the first two columns may take and stay on one line
_HARMLESS = "\u00ad\u200c\u200d"  # a soft hyphen, and what keeps letters and emoji apart or together


def examples(*lines: str) -> str:
    """The end of a command's help; the backspace keeps click from joining the lines."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def stdout_console() -> Console:
    """A console on stdout that never wraps to a machine's chance width."""
    from rich.console import Console

    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH, highlight=False)


def print_json(value: Any) -> None:
    """Prints one JSON document on stdout."""
    click.echo(json.dumps(value, indent=1, sort_keys=True, allow_nan=False))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table on stdout, numbers to the right; cells are shown whole, and as `plain` shows them."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    console = stdout_console()
    shown = [list(map(plain_lines, row)) for row in rows]
    widest = [max(map(len, cells)) for cells in zip(header, *shown, strict=True)]
    whole = sum(widest[:2]) <= console.width * _WHOLE  # else what does not wrap would be cut, unsaid
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column, name in enumerate(header):
        numeric = shown and all(_NUMBER.match(row[column]) for row in shown)
        justify: Literal["right", "left"] = "right" if numeric else "left"
        table.add_column(plain(name), justify=justify, overflow="fold", no_wrap=whole and column < 2)
    for row in shown:
        table.add_row(*(Text(cell) for cell in row))
    if title:
        click.echo(plain(title))
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().split("\n")[:-1]:
        click.echo(line.rstrip())
    click.echo()


def plain(text: str) -> str:
    """A line in which what a terminal would obey stands in letters, as files from outside may hold it."""
    return "".join(each if _is_plain(each) else ascii(each)[1:-1] for each in text)


def plain_lines(text: str) -> str:
    """Lines, each as `plain` shows it."""
    return "\n".join(map(plain, text.split("\n")))


def _is_plain(character: str) -> bool:
    return character.isprintable() or character in _HARMLESS or unicodedata.category(character) == "Zs"


def show_bytes(size: int) -> str:
    """A size in B, kB or MB, in thousands."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1e3:.1f} kB" if size < 1e6 else f"{size / 1e6:.2f} MB"


def count_text(count: int, one: str, many: str = "") -> str:
    """A number of things in words: `one` of it, or `many`, by default with an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


@contextmanager
def progress_on_stderr() -> Iterator[Progress]:
    """A function (stage, done, total) that draws bars on a terminal, else a line for each stage.

    An interrupt that came while a library was being imported, and that its `except:` took for a missing
    package, is raised again at the next step.
    """
    with endings() as check, _drawn() as draw:

        def advance(stage: str, done: int, total: int) -> None:
            check()
            draw(stage, done, total)

        yield advance


@contextmanager
def _drawn() -> Iterator[Progress]:
    if not sys.stderr.isatty():
        with in_lines(partial(click.echo, err=True)) as advance:
            yield advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        stages = _Stages(bars)
        yield stages.advance
        stages.finish()


class _Stages:
    """A bar per stage: a stage is done, and its clock stands, when the next one begins."""

    def __init__(self, bars: Any) -> None:
        self._bars, self._tasks = bars, dict[str, Any]()
        self._running = ""

    def advance(self, stage: str, done: int, total: int) -> None:
        """Draws how far the stage is."""
        if stage != self._running:
            self.finish()
            self._running = stage
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total)
        self._bars.start_task(self._tasks[stage])
        self._bars.update(self._tasks[stage], completed=done, total=total)

    def finish(self) -> None:
        """Fills the running stage's bar and stops its clock."""
        task = self._tasks.get(self._running)
        if task is not None:
            self._bars.update(task, completed=self._bars.tasks[task].total)
            self._bars.stop_task(task)
