"""docs/commands.md: every command with its usage, options and examples, from click's own structures."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from pocketrec.cli.main import main

_BEGINNING = """\
# Commands

<!-- Made from the commands themselves by `make references`. -->

What `pocketrec COMMAND --help` says, on one page.
"""


def commands_page() -> str:
    """The page."""
    every = list(leaves(main))
    index = [f"| [`{path}`](#{path.replace(' ', '-')}) | {_short(each)} |" for path, each in every]
    return "\n".join(
        [
            _BEGINNING,
            "| command | what it does |\n|---|---|",
            *index,
            "",
            *(section(path, command) for path, command in [("pocketrec", main), *every]),
        ]
    )


def leaves(group: click.Group, path: str = "pocketrec") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with the words that call it, in the order of `--help`."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def section(path: str, command: click.Command) -> str:
    """What the page says of one command."""
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts = [f"## {path}", f"```text\n{usage}\n```", _told(command.help), _options(command, context)]
    shown = examples(command)
    if shown:
        parts.append("```sh\n" + "\n".join(shown) + "\n```")
    return "\n\n".join(each for each in parts if each) + "\n"


def examples(command: click.Command) -> list[str]:
    """The lines of a command's epilog that can be run."""
    lines = (command.epilog or "").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("pocketrec ")]


def _options(command: click.Command, context: click.Context) -> str:
    records = [each.get_help_record(context) for each in command.params if isinstance(each, click.Option)]
    lines = [f"| `{_bar(names)}` | {_cell(said)} |" for names, said in filter(None, records)]
    return "\n".join(["| option | what it does |\n|---|---|", *lines]) if lines else ""


def _told(text: str | None) -> str:
    """A help text in Markdown: click's marks taken out, pages linked."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(_linked(" ".join(each.replace("\b", "").split())) for each in paragraphs)


def _short(command: click.Command) -> str:
    return _bar(_told(command.help).partition("\n\n")[0])


def _cell(text: str) -> str:
    return _bar(_linked(" ".join(text.split())))


def _bar(text: str) -> str:
    return text.replace("|", "\\|")


def _linked(text: str) -> str:
    """The text with links to the pages that it names, and nothing in it that Markdown takes for a mark."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([<>*_\[\]])", r"\\\1", each) for each in parts[::2]]
    return re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", "`".join(parts))
