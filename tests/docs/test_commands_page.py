"""Every command stands on docs/commands.md with all its options, and its examples are calls that it takes."""

from __future__ import annotations

import re

import click
import pytest
from tests.docs.calls import taken
from tests.docs.commands_page import commands_page, examples, leaves, section

from pocketrec.cli.main import main


def wrong_examples(path: str, command: click.Command) -> list[str]:
    """The examples of a command that the command which they show would not take; or that there is none."""
    shown = examples(command)
    return [each for each in shown if not taken(each)] if shown else [f"{path}: no example"]


def test_every_command_has_examples_and_takes_them() -> None:
    assert [each for path, command in leaves(main) for each in wrong_examples(path, command)] == []


@click.command()
@click.argument("place")
@click.option("--deep", metavar="N", help="How deep [in m], as in docs/sea.md.")
def dive(place: str, deep: str) -> None:
    """Dive at PLACE|REEF.

    With `a_b` and c_d.
    """


def test_no_example_and_wrong_examples_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrong_examples("pocketrec dive", dive) == ["pocketrec dive: no example"]
    wrong = [
        "pocketrec verify --deeper bundle",  # no such option
        "pocketrec verify",  # no bundle
        "pocketrec verify one two",  # one too many
        "pocketrec lint one --severity loud",  # no such choice
        "pocketrec dive one",  # no such command
    ]
    monkeypatch.setattr(dive, "epilog", "\n".join(["pocketrec verify bundle --json", *wrong]))
    assert wrong_examples("pocketrec dive", dive) == wrong


def test_a_section_has_usage_help_options_and_links() -> None:
    assert section("pocketrec dive", dive) == (
        "## pocketrec dive\n\n```text\npocketrec dive [OPTIONS] PLACE\n```\n\nDive at PLACE|REEF.\n\n"
        "With `a_b` and c\\_d.\n\n| option | what it does |\n|---|---|\n"
        "| `--deep N` | How deep \\[in m\\], as in [sea.md](sea.md). |\n"
    )


def test_every_option_stands_in_the_section_of_its_command() -> None:
    page = commands_page()
    for path, command in leaves(main):
        (found,) = re.findall(rf"^## {path}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
        for each in command.params:
            if isinstance(each, click.Option):
                assert each.opts[0] in found, (path, each.opts)
