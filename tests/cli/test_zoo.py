"""`pocketrec zoo` lists what comes along, and names what it does not know."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pocketrec.cli.main import main
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.pipeline.recipes import load_recipe


def test_every_listed_model_has_a_recipe_that_loads() -> None:
    listed = json.loads(CliRunner().invoke(main, ["zoo", "list", "--json"]).stdout)
    assert set(listed) == set(FAMILIES)
    for name, each in listed.items():
        path = CliRunner().invoke(main, ["zoo", "path", name]).stdout.strip()
        assert path == each["recipe"]
        assert load_recipe(path).name == name
    shown = CliRunner().invoke(main, ["zoo", "list"])
    assert "sasrec" in shown.stdout
    assert "next: pocketrec init --from NAME DIR" in shown.stderr
    untrained = [name for name, each in FAMILIES.items() if not each.weights.is_file()]
    assert f"no weights here: {', '.join(untrained)}; " in shown.stderr or not untrained


@pytest.mark.parametrize("command", ["path", "train"])
def test_an_unknown_model_names_the_known_ones(command: str) -> None:
    done = CliRunner().invoke(main, ["zoo", command, "nobody"])
    assert done.exit_code == 2
    assert done.stderr == f"error: zoo: no family 'nobody'; expected one of {', '.join(FAMILIES)}\n"
    near = CliRunner().invoke(main, ["zoo", command, "sasrek"])
    assert near.stderr.endswith("qr-dlrm; did you mean 'sasrec'?\n")
