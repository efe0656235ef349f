"""Whether a line of a document is a call that a command of pocketrec takes, by click's own parser."""

from __future__ import annotations

import re
import shlex

import click
from tests.docs.page import blocks

from pocketrec.cli.main import main

_SHELL = re.compile(r" (?:>>?|<|\||\|\||&&|2>&1|#) ?")  # where another word of the shell begins


def taken(line: str) -> bool:
    """Whether the words are those of a command; no path is opened, and nothing is asked for."""
    words = shlex.split(_SHELL.split(f"{without_marks(line)} ")[0])
    found: click.Command = main
    while isinstance(found, click.Group):
        words = words[1:]
        if not words or words[0] not in found.commands:
            return words == ["--help"]
        found = found.commands[words[0]]
    return _parsed(found, words[1:])


def _parsed(command: click.Command, words: list[str]) -> bool:
    context = click.Context(command)
    try:
        given, rest, _ = command.make_parser(context).parse_args(list(words))
        for each in command.params:
            value = given.get(str(each.name))
            if each.required and not isinstance(value, str | tuple | list):
                return False
            if isinstance(each.type, click.Choice) and isinstance(value, str):
                each.type.convert(value, each, context)
    except click.UsageError:
        return False
    return not rest


def calls(page: str) -> list[str]:
    """The calls of pocketrec that a document shows: in consoles, shells, and code indented by four."""
    shown = [each.text for each in blocks(page) if each.language in ("console", "sh")]
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    shown += re.findall(r"(?<=\n\n)((?: {4}[^\n]*\n)+)", f"\n\n{prose}\n")
    lines = "\n".join(shown).replace("\\\n", " ")
    return re.findall(r"^(?:\$ | {4})?(pocketrec [^\n]*)$", lines, re.MULTILINE)


def without_marks(call: str) -> str:
    """A call in which what may be left out stands without its brackets."""
    return re.sub(r" \[(-[^]]*)\]", r" \1", call)
