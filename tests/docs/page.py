"""What a page of docs/ shows, and how it is tried: files are written, Python and commands run, in order.

A block below a line that ends in a name and a colon, as "In `data.py`:", is a file. In a `console` block,
what stands below a command is what it prints, and a `text` block below Python is what that prints; a line "…"
stands for any lines.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"(?:^[^\n`]*`([\w./-]+)`:\n\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block.

    Attributes:
        language: as it is marked; empty where it is not.
        text: what is in it.
        file: the name that stands above it; empty where it is no file.
        line: of the page.
    """

    language: str
    text: str
    file: str
    line: int


class Untrue(AssertionError):
    """A page shows what is not so."""


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(
            language=each[2],
            text=each[3],
            file=each[1] or "",
            line=page.count("\n", 0, each.start(2)) + 1,
        )
        for each in _FENCE.finditer(page)
    ]


def files(page: str) -> dict[str, str]:
    """The files that a page shows, by the names above them."""
    return {each.file: each.text for each in blocks(page) if each.file}


def transcript(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a console with what it prints; a backslash at its end goes on with the next line."""
    for part in re.split(r"^\$ ", block.text.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed


def pattern(printed: str) -> str:
    """What is printed, as a pattern: a line of one ellipsis is any lines, and ends of lines may be blank."""
    lines = printed.splitlines()
    return "".join("(?:.*\n)*?" if line == "…" else re.escape(line.rstrip()) + " *\n" for line in lines)


def try_page(page: str, folder: Path, *, commands: bool = True) -> int:
    """Tries all that a page shows in a folder, in order; returns how many blocks that were.

    Args:
        page: its text.
        folder: where it is tried; files of the page are written there.
        commands: whether consoles run; without, all ends at the first of them.

    Raises:
        Untrue: with the line of the page, what it shows and what came.
    """
    every = blocks(page)
    known: dict[str, Any] = {}
    with contextlib.chdir(folder):
        for number, each in enumerate(every):
            if each.language == "console" and not commands:
                return number
            _try(each, every[number + 1 :], known)
    return len(every)


def _try(block: Block, following: Sequence[Block], known: dict[str, Any]) -> None:
    """Writes, runs or passes over a block."""
    if block.file:
        place = Path(block.file)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(block.text, encoding="utf-8")
    elif block.language == "python":
        shown = following[0].text if following and following[0].language == "text" else None
        _hold(block, "the Python", shown, _run_python(block, known))
    elif block.language == "console":
        for command, printed in transcript(block):
            _hold(block, command, printed or None, _run_command(block, command))


def _hold(block: Block, what: str, shown: str | None, came: str) -> None:
    if shown is not None and not re.fullmatch(pattern(shown), came):
        raise Untrue(f"line {block.line}: {what} prints\n{came}\nand not\n{shown}")


def _run_python(block: Block, known: dict[str, Any]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.text, f"line {block.line}", "exec"), known)
    return printed.getvalue()


def _run_command(block: Block, command: str) -> str:
    """What a command prints on stdout; those of Python and of pocketrec are the ones under test."""
    words = shlex.split(command)
    if words[0] == "cd":
        os.chdir(words[1])
        return ""
    tool = {"python": [sys.executable], "pocketrec": [sys.executable, "-m", "pocketrec"]}.get(words[0])
    call = [*tool, *words[1:]] if tool else words
    done = subprocess.run(call, capture_output=True, text=True)
    if done.returncode:
        raise Untrue(f"line {block.line}: {command} ends with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
