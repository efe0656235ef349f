"""`pocketrec card`: from what a bundle holds, with nothing made up, and in its own files only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.package.tapes import CONTRACTS

from pocketrec.cli.main import main
from pocketrec.package.bundle import read_bundle, seal
from pocketrec.package.host.roles import calls_of

FIRST = Path(__file__).parents[1] / "fixtures" / "first" / "mean"
HOSTILE = "- a <b onclick=x> | `c` [d](javascript:e) # f\n---\nlicense: mit"
Run = Callable[..., Result]
Released = Callable[..., Path]


@pytest.fixture
def run() -> Run:
    return lambda *arguments: CliRunner().invoke(main, ["card", *map(str, arguments)])


@pytest.fixture
def released(tmp_path: Path) -> Released:
    """The first release under another version, with other words in its recipe."""

    def release(version: str, stated: Mapping[str, Any] | None = None, *, versus: Any = None) -> Path:
        place = shutil.copytree(FIRST, tmp_path / version)
        recipe = json.loads((place / "recipe.json").read_text())
        (place / "recipe.json").write_text(json.dumps({**recipe, **(stated or {})}))
        if versus is not None:
            evidence = json.loads((place / "evidence/evidence.json").read_text())
            (place / "evidence/evidence.json").write_text(json.dumps({**evidence, "versus": versus}))
        seal(place, name="mean", version=version, artifacts=read_bundle(FIRST).manifest.artifacts)
        return place

    return release


def metadata(card: str) -> dict[str, Any]:
    """The front matter of a card."""
    begin, head, _ = card.split("---\n", 2)
    assert begin == ""
    found = yaml.safe_load(head)
    assert isinstance(found, dict)
    return found


def test_the_metadata_is_yaml_with_the_evidences_own_figures(run: Run) -> None:
    found = metadata(run(FIRST).stdout)
    assert (found["library_name"], found["license"]) == ("pocketrec", "unknown")
    assert found["tags"] == ["recommendation", "onnx", "coreml", "recommend"]
    (model,) = found["model-index"]
    (result,) = model["results"]
    assert (model["name"], result["dataset"]["name"], result["task"]["type"]) == (
        "mean",
        "model.py:data",
        "ranking",
    )
    evidence = json.loads((FIRST / "evidence/evidence.json").read_text())
    (onnx,) = [each for each in evidence["results"] if each["target"] == "onnx"]
    values = {each["name"]: each["value"] for each in result["metrics"]}
    assert values["ndcg@10, onnx on onnxruntime"] == onnx["ranking"]["artifact"]["ndcg@10"]


def test_what_the_recipe_does_not_say_is_called_unknown(run: Run, released: Released) -> None:
    card = run(FIRST).stdout
    for said in (
        "Unknown: the recipe does not describe the model.",
        "| author | unknown: the recipe names none |",
        "| license | unknown: the recipe names none |",
        "- Training: unknown, as the recipe does not say what the weights were trained on.",
        "so how the model serves one group or another is unknown.",
    ):
        assert said in card
    assert json.loads(run(FIRST, "--json").stdout)["unknown"] == [
        *("description", "author", "license", "training_data", "intended_users")
    ]
    stated = {"description": "Means of items.", "author": "The shop", "license": "Apache-2.0"}
    place = released("1.1.0", stated)
    card = run(place).stdout
    assert metadata(card)["license"] == "apache-2.0"
    assert "\nMeans of items.\n" in card
    assert "| author | The shop |" in card
    assert json.loads(run(place, "--json").stdout)["unknown"] == ["training_data", "intended_users"]


def test_no_text_of_a_recipe_is_markup_or_metadata(run: Run, released: Released) -> None:
    card = run(released("1.1.0", {"description": HOSTILE, "author": HOSTILE, "license": HOSTILE})).stdout
    found = metadata(card)
    assert (found["license"], found["license_name"]) == ("other", " ".join(HOSTILE.split()))
    body = card.split("---\n", 2)[2]
    shown = r"a \<b onclick=x\> \| \`c\` \[d\](javascript:e) \# f --- license: mit"
    assert f"\n\\- {shown}\n" in body
    assert f"| author | - {shown} |" in body
    assert "<b" not in body.replace(r"\<b", "")


def test_the_same_bundles_give_the_same_card(run: Run, released: Released) -> None:
    pair = (released("1.1.0"), "--previous", FIRST)
    assert run(*pair).stdout == run(*pair).stdout


def test_changes_are_those_that_diff_finds(run: Run, released: Released) -> None:
    new = released("1.1.0")
    card = run(new, "--previous", FIRST).stdout
    assert (
        "## Since mean 1.0\n\nNothing changed for apps; a patch version is due: 1.0.1, and it is 1.1.0.\n"
        in card
    )
    assert "not compared here: pocketrec diff with --recipe ranks both" in card
    found = json.loads(run(new, "--previous", FIRST, "--json").stdout)
    assert (found["since"], found["level"], found["due"]) == ("1.0", "same", "1.0.1")
    assert "## Since" not in run(new).stdout


def test_what_breaks_an_app_is_said_first(run: Run, released: Released) -> None:
    new = released("1.1.0")
    contract = json.loads((new / "contract.json").read_text())
    contract["functions"]["main"]["inputs"][0]["name"] = "past"
    (new / "contract.json").write_text(json.dumps(contract))
    seal(new, name="mean", version="1.1.0", artifacts=read_bundle(FIRST).manifest.artifacts)
    entry = json.loads(run(new, "--previous", FIRST, "--json").stdout)["entry"]
    assert "What changed for apps is below; a major version is due: 2.0.0, and it is 1.1.0" in entry
    assert entry.index("### Breaking") < entry.index("- main, input") < entry.index("### Size")


def test_what_the_build_found_against_its_baseline_is_kept(run: Run, released: Released) -> None:
    """Rankings that only a build could compare are in its evidence, for the very release that it names."""
    old = {
        "path": "x",
        "name": "mean",
        "version": "0.9.0",
        "tree_sha256": read_bundle(FIRST).manifest.tree_sha256,
    }
    bump = {"old": "0.9.0", "new": "1.1.0", "due": "0.9.1", "kind": "patch", "enough": True}
    ranking = {"reason": "kept by the build"}
    versus = {
        "old": old,
        "new": old,
        "level": "same",
        "changes": [],
        "bump": bump,
        "sizes": [],
        "ranking": ranking,
    }
    new = released("1.1.0", versus=versus)
    for arguments in ((new,), (new, "--previous", FIRST)):
        card = run(*arguments).stdout
        assert "## Since mean 0.9.0" in card
        assert "kept by the build" in card
    assert "not compared here" in run(new, "--previous", released("1.0.5")).stdout


def test_card_and_entry_are_written_and_may_be_written_again(
    run: Run, released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    card, changes = tmp_path / "README.md", tmp_path / "CHANGELOG.md"
    changes.write_text("# Changelog\n\n## [1.0]\n\nThe first.\n")
    words = (released("1.1.0"), "--previous", FIRST, "--out", card, "--changelog", changes)
    for _ in range(2):
        done = run(*words)
        assert done.exit_code == 0, done.output
        assert done.stdout.splitlines()[:2] == [f"wrote    {card}", f"wrote    {changes}"]
        text = changes.read_text()
        assert text.startswith("# Changelog\n\n## [1.1.0] - 2026-01-01\n\nNothing changed for apps")
        assert text.endswith("\n## [1.0]\n\nThe first.\n")
        assert metadata(card.read_text())["library_name"] == "pocketrec"


def test_files_of_others_and_of_bundles_stay(run: Run, tmp_path: Path) -> None:
    mine, changes = tmp_path / "README.md", tmp_path / "CHANGELOG.md"
    mine.write_text("# Mine\n\nMade with pocketrec.\n")
    for words, said in (
        (("--out", mine, "--changelog", changes), "is no card of pocketrec"),
        (("--out", FIRST / "README.md"), "or lies in it, which is read"),
        (("--changelog", FIRST / "CHANGELOG.md"), "or lies in it, which is read"),
        (("--out", changes, "--changelog", changes), "are one file"),
        (("--changelog", tmp_path), "is a folder"),
    ):
        done = run(FIRST, *words)
        assert (done.exit_code, said in done.output) == (2, True), done.output
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        "README.md": "# Mine\n\nMade with pocketrec.\n"
    }
    changes.write_text("## [1.0]\n\nOther words.\n")
    done = run(FIRST, "--changelog", changes)
    assert (done.exit_code, "that says something else" in done.output) == (2, True)


def test_where_one_of_two_files_cannot_be_written_the_other_stays(run: Run, tmp_path: Path) -> None:
    changes = tmp_path / "CHANGELOG.md"
    changes.write_text("# Changelog\n")
    done = run(FIRST, "--out", tmp_path / ("n" * 250), "--changelog", changes)
    assert (done.exit_code, "File name too long" in done.output) == (3, True), done.output
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"CHANGELOG.md": "# Changelog\n"}


def test_a_damaged_file_is_named(run: Run, released: Released) -> None:
    new = released("1.1.0")
    (new / "recipe.json").write_text("{}")
    done = run(new)
    assert (done.exit_code, "recipe.json" in done.output) == (1, True)


def test_every_call_of_every_role_is_described(run: Run, released: Released) -> None:
    """Roles, states, candidates, text and features, as the contracts of the API's tapes have them."""
    place = released("1.1.0")
    for contract in CONTRACTS.values():
        (place / "contract.json").write_text(json.dumps(contract.to_dict()))
        seal(place, name="mean", version="1.1.0", artifacts={})
        done = run(place)
        assert done.exit_code == 0, done.output
        for call in calls_of(contract):
            assert f"- **{call}**(" in done.stdout


def test_every_head_is_said_with_its_data(run: Run, released: Released) -> None:
    tables = [
        {"data": "d.py:clicks", "kind": "classification", "output": "click"},
        {"data": "d.py:buys", "kind": "classification", "output": "purchase", "name": "buy"},
    ]
    done = run(released("1.1.0", {"evaluate": tables}))
    assert done.exit_code == 0, done.output
    said = "d.py:clicks, as a classification of click, and d.py:buys, as a classification of buy; "
    assert said in done.stdout


@pytest.mark.parametrize(
    "stated",
    [
        {"model": [1], "evaluate": 5, "description": 7, "author": None, "license": {"a": 1}},
        {"model": {"factory": 3, "weights": []}, "evaluate": {"data": {}, "kind": 1}},
        {"description": "\x1b[2J\x07", "author": "\x9b31m", "license": "\x1b]0;x\x07"},
    ],
)
def test_a_recipe_of_other_kinds_of_values_states_nothing(
    run: Run, released: Released, stated: Mapping[str, Any]
) -> None:
    """A bundle may come from anybody: no traceback, and nothing that a terminal would obey."""
    done = run(released("1.1.0", stated))
    assert done.exit_code == 0, done.output
    assert all(each.isprintable() or each == "\n" for each in done.stdout)
    metadata(done.stdout)
