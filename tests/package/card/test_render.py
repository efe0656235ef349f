"""What stands in a recipe is shown as it stands there, and no template names what is not there."""

from __future__ import annotations

import pytest
import yaml
from jinja2 import UndefinedError

from pocketrec.package.card.render import as_yaml, render


@pytest.mark.parametrize(
    "text", ["a: b", "- x", "#", 'say "no"', "ja", "1.0", "é 心 🎬", "👩\u200d💻", "{x}", "\\n", "'", "null"]
)
def test_a_text_in_yaml_is_that_text(text: str) -> None:
    assert yaml.safe_load(f"key: {as_yaml(text)}\n") == {"key": text}


def test_what_yaml_forbids_is_left_out() -> None:
    assert yaml.safe_load(as_yaml("a\x07b\u2028c\nd\x1b[31m\x9f\uffff")) == "ab c d[31m"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("- x", "\\- x"),
        ("+1", "\\+1"),
        ("---", "\\---"),
        ("12. x", "12\\. x"),
        ("1) x", "1\\) x"),
        ("x - y", "x - y"),
    ],
)
def test_a_paragraph_is_no_list_and_no_rule(said: str, shown: str) -> None:
    changes = {"known": False, "said": said}
    text = render("entry.md", {"version": "1", "date": "", "changes": changes, "body": ""}, str)
    assert text == f"## [1]\n\n{shown}\n"


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'version' is undefined"):
        render("entry.md", {}, str)
