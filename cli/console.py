"""Where things are printed: results on stdout, progress on stderr, colour on terminals only."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pocketrec.cli.signals import endings

if TYPE_CHECKING:
    from rich.console import Console

Progress = Callable[[str, int, int], None]
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?( [a-zA-Z%]+)?\Z|-?\Z")
_WIDTH = 120  # columns where stdout is no terminal, so that logs do not depend on the machine


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
    """Prints a table on stdout, numbers to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column, name in enumerate(header):
        numeric = rows and all(_NUMBER.match(row[column]) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=column < 2)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if title:
        click.echo(title)
    console = stdout_console()
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())
    click.echo()


def show_bytes(size: int) -> str:
    """A size in B, kB or MB, in thousands."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1e3:.1f} kB" if size < 1e6 else f"{size / 1e6:.2f} MB"


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
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield advance


def _lines() -> Progress:
    seen: set[str] = set()

    def advance(stage: str, done: int, total: int) -> None:
        if stage not in seen:
            seen.add(stage)
            click.echo(f"{stage} ...", err=True)

    return advance
