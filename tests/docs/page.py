"""What a page of docs/ shows, and how it is tried: files are written, Python and commands run, in order.

A block below a line that ends in a name and a colon, as "In `data.py`:", is a file; a `diff` block there
changes it. In a `console` block, what stands below a command is what it prints, and a `text` block below
Python is what that prints; "…" stands for anything in a line, and a line of it for any lines.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
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
    """The files that a page shows whole, by the names above them."""
    return {each.file: each.text for each in blocks(page) if each.file and each.language != "diff"}


def transcript(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a console with what it prints; a backslash at its end goes on with the next line."""
    for part in re.split(r"^\$ ", block.text.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed


def pattern(printed: str) -> str:
    """What is printed, as a pattern: an ellipsis is what it stands for, and blanks may end a line."""
    lines = (each.rstrip() for each in printed.splitlines())
    return "".join("(?:.*\n)*?" if line == "…" else f"{_line(line)} *\n" for line in lines)


def _line(shown: str) -> str:
    return ".*".join(map(re.escape, shown.split("…")))


def try_page(page: str, folder: Path, *, commands: bool = True, fails: Collection[str] = frozenset()) -> int:
    """Tries all that a page shows in a folder, in order; returns how many blocks that were.

    Args:
        page: its text.
        folder: where it is tried; files of the page are written there.
        commands: whether consoles run; without, all ends at the first of them.
        fails: commands that are to end with 1, as a check of theirs fails.

    Raises:
        Untrue: with the line of the page, what it shows and what came.
    """
    every = blocks(page)
    known: dict[str, Any] = {}
    with contextlib.chdir(folder):
        for number, each in enumerate(every):
            if each.language == "console" and not commands:
                return number
            _try(each, every[number + 1 :], known, fails)
    return len(every)


def _try(block: Block, following: Sequence[Block], known: dict[str, Any], fails: Collection[str]) -> None:
    """Writes, runs or passes over a block."""
    if block.language == "diff":
        place = Path(block.file)
        place.write_text(changed(place.read_text(encoding="utf-8"), block), encoding="utf-8")
    elif block.file:
        place = Path(block.file)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(block.text, encoding="utf-8")
    elif block.language == "python":
        shown = following[0].text if following and following[0].language == "text" else None
        _hold(block, "the Python", shown, _run_python(block, known))
    elif block.language == "console":
        for command, printed in transcript(block):
            _hold(block, command, printed or None, _run_command(block, command, int(command in fails)))


def changed(text: str, block: Block) -> str:
    """The text with each run of `-` lines replaced by the `+` lines below it.

    Raises:
        Untrue: lines that are to go do not stand there, or more than once.
    """
    for part in block.text.split("\n\n"):
        lines = part.strip("\n").split("\n")
        old, new = (
            "".join(f"{line[1:].removeprefix(' ')}\n" for line in lines if line.startswith(sign))
            for sign in "-+"
        )
        if f"\n{text}".count(f"\n{old}") != 1:
            raise Untrue(f"line {block.line}: {block.file} has not once\n{old}")
        text = f"\n{text}".replace(f"\n{old}", f"\n{new}")[1:]
    return text


def _hold(block: Block, what: str, shown: str | None, came: str) -> None:
    if shown is not None and not re.fullmatch(pattern(shown), came):
        raise Untrue(f"line {block.line}: {what} prints\n{came}\nand not\n{shown}")


def _run_python(block: Block, known: dict[str, Any]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.text, f"line {block.line}", "exec"), known)
    return printed.getvalue()


def _run_command(block: Block, command: str, code: int) -> str:
    """What a command prints on stdout; Python and pocketrec are those under test."""
    if command.startswith("cd "):
        os.chdir(command[3:])
        return ""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment)
    if done.returncode != code:
        raise Untrue(f"line {block.line}: {command} ends with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
