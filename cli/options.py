"""What is said of a recipe's keys, said of the options that stand for them in a command."""

from __future__ import annotations

from collections.abc import Mapping


def in_options(text: str, options: Mapping[str, str]) -> str:
    """The text with each key, such as `model.weights`, as the option that says the same."""
    for key, option in options.items():
        text = text.replace(key, option)
    return text
