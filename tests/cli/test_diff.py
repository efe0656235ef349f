"""`pocketrec diff`: two releases of the first release's bundle, altered as a retraining alters one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tests.cli.conftest import Run

from pocketrec.package.bundle import read_bundle, seal

RECIPE = Path(__file__).parents[1] / "fixtures" / "first" / "recipe.toml"
FIRST = Path(__file__).parents[1] / "fixtures" / "first" / "mean"
Alter = Callable[[Sequence[str]], Sequence[str]]


def move_rows(path: Path) -> None:
    """Gives every item the codes of the one before it."""
    model = onnx.load(path)
    (codes,) = [each for each in model.graph.initializer if each.name == "item.weight/codes0"]
    moved = np.roll(numpy_helper.to_array(codes), 1, axis=0)
    codes.CopyFrom(numpy_helper.from_array(moved, codes.name))
    onnx.save(model, path)


@pytest.fixture
def released(tmp_path: Path) -> Callable[..., Path]:
    """The first release with its words altered, under a version of its own."""

    def release(version: str, alter: Alter = lambda words: words, *, retrained: bool = False) -> Path:
        place = shutil.copytree(FIRST, tmp_path / version)
        if retrained:
            move_rows(place / "artifacts" / "onnx" / "main.onnx")
        words = place / "vocabularies" / "item.txt"
        text = "".join(f"{each}\n" for each in alter(words.read_text().splitlines()))
        words.write_text(text)
        contract = json.loads((place / "contract.json").read_text())
        contract["vocabularies"]["item"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        (place / "contract.json").write_text(json.dumps(contract))
        artifacts = read_bundle(FIRST).manifest.artifacts
        seal(place, name="mean", version=version, artifacts=artifacts)
        return place

    return release


def test_a_reordered_vocabulary_breaks_and_exits_with_1(
    pocketrec: Run, released: Callable[..., Path]
) -> None:
    def swapped(words: Sequence[str]) -> Sequence[str]:
        return [*words[:2], words[3], words[2], *words[4:]]

    done = pocketrec("diff", released("1.0.0"), released("1.1.0", swapped), "--no-latency")
    assert done.returncode == 1
    assert "breaking  vocabulary item  2 moved" in done.stdout
    assert "ids that an app has stored mean other items" in done.stdout
    assert done.stderr.endswith(
        "failed: a major version is due: 2.0.0, and it is 1.1.0; set version = '2.0.0' in the recipe\n"
    )
    assert pocketrec("diff", released("1.0.1"), released("2.0.0", swapped), "--no-latency").returncode == 0


def test_the_same_model_under_the_next_version_passes(pocketrec: Run, released: Callable[..., Path]) -> None:
    done = pocketrec("diff", released("1.0.0"), released("1.0.1"), "--json", "--no-latency")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert (found["passed"], found["level"], found["changes"]) == (True, "same", [])
    assert [each["old_bytes"] == each["new_bytes"] for each in found["sizes"]] == [True] * len(found["sizes"])


def test_rankings_are_compared_on_the_recipes_data(pocketrec: Run, released: Callable[..., Path]) -> None:
    old, new = released("1.0.0"), released("1.0.1")
    done = pocketrec("diff", old, new, "--recipe", RECIPE, "--json", "--no-latency")
    found = json.loads(done.stdout)["ranking"]
    assert (found["reason"], found["target"]) == ("", "onnx")
    (ndcg,) = [each for each in found["quality"]["changes"] if each["metric"].startswith("ndcg@")]
    assert ndcg["before"] == ndcg["after"]
    assert [(each["low"], each["high"]) for each in ndcg["intervals"]] == [(0.0, 0.0)]
    assert [each["churn"] for each in found["quality"]["lists"]] == [0.0]
    assert found["worst"] == []


def test_other_weights_move_lists_and_the_worst_are_shown(
    pocketrec: Run, released: Callable[..., Path]
) -> None:
    old, new = released("1.0.0"), released("1.0.1", retrained=True)
    found = json.loads(pocketrec("diff", old, new, "--recipe", RECIPE, "--json", "--no-latency").stdout)[
        "ranking"
    ]
    shares = [each["overlap"] for each in found["worst"]]
    assert shares == sorted(shares)
    for each in found["worst"]:
        kept = len(set(each["before"]) & set(each["after"]))
        assert each["overlap"] == kept / len(each["before"]) < 1
    shown = pocketrec("diff", old, new, "--recipe", RECIPE, "--no-latency").stdout
    assert f"user {found['worst'][0]['row']}   {shares[0]:.0%} kept, after" in shown


def test_lists_of_other_ids_are_never_compared(pocketrec: Run, released: Callable[..., Path]) -> None:
    def swapped(words: Sequence[str]) -> Sequence[str]:
        return [*words[:2], words[3], words[2], *words[4:]]

    done = pocketrec(
        "diff", released("1.0.0"), released("2.0.0", swapped), "--recipe", RECIPE, "--no-latency"
    )
    assert "ranking  not comparable: vocabulary item: 2 moved" in done.stdout
    assert "metric" not in done.stdout


def test_a_target_that_only_one_has_is_one_line(pocketrec: Run, released: Callable[..., Path]) -> None:
    old, new = released("1.0.0"), released("1.0.1")
    done = pocketrec("diff", old, new, "--recipe", RECIPE, "--target", "web")
    assert done.returncode == 2
    assert "'web' is no target of both; expected one of" in done.stderr
    alone = pocketrec("diff", old, new, "--target", "onnx")
    assert "pass --recipe, too" in alone.stderr


def test_a_damaged_bundle_is_compared_with_nothing(pocketrec: Run, released: Callable[..., Path]) -> None:
    old, new = released("1.0.0"), released("1.0.1")
    words = new / "vocabularies" / "item.txt"
    words.write_text(words.read_text() + "more\n")
    done = pocketrec("diff", old, new)
    assert done.returncode == 1
    assert "vocabularies/item.txt: altered" in done.stderr
    assert "version" not in done.stdout


def test_what_is_no_bundle_is_one_line(pocketrec: Run, released: Callable[..., Path], tmp_path: Path) -> None:
    done = pocketrec("diff", released("1.0.0"), tmp_path / "nowhere")
    assert done.returncode == 2
    assert "nowhere: no such folder; pass the path of a bundle" in done.stderr


def test_markdown_and_page_say_what_the_table_says(
    pocketrec: Run, released: Callable[..., Path], tmp_path: Path
) -> None:
    old, new = released("1.0.0"), released("1.0.1", retrained=True)
    markdown, page = tmp_path / "diff.md", tmp_path / "diff.html"
    done = pocketrec(
        "diff", old, new, "--recipe", RECIPE, "--markdown", markdown, "--html", page, "--json", "--no-latency"
    )
    found = json.loads(done.stdout)
    assert found["latency"] == []
    text, shown = markdown.read_text(), page.read_text()
    assert text.startswith("# mean 1.0.0 → mean 1.0.1\n\n**passed: a patch version is due: 1.0.1")
    worst = found["ranking"]["worst"][0]
    assert f"## User {worst['row']}\n" in text
    assert f"<h3>User {worst['row']}</h3>" in shown
    gone = next(each for each in worst["before"] if each not in worst["after"])
    assert f"- {gone}" in text
    assert f"<del>{gone}</del>" in shown
    assert "## Latency" not in text
    assert sum(found["ranking"]["kept"]) == 24


def test_both_are_called_in_turns_and_the_interpreter_is_not_timed(
    pocketrec: Run, released: Callable[..., Path]
) -> None:
    done = pocketrec("diff", released("1.0.0"), released("1.0.1"), "--json")
    timed = {each["target"]: each for each in json.loads(done.stdout)["latency"]}
    onnx_one = timed["onnx"]
    assert onnx_one["reason"] == ""
    assert onnx_one["low"] <= onnx_one["ratio"] <= onnx_one["high"]
    assert (timed["coreml"]["ratio"], timed["coreml"]["reason"]) == (
        None,
        "not measured: the interpreter's times are no device's",
    )


def test_a_page_is_never_written_over_what_is_read(
    pocketrec: Run, released: Callable[..., Path], tmp_path: Path
) -> None:
    old, new = released("1.0.0"), released("1.0.1")
    for place, told in (
        (old, "is a folder"),
        (old / "diff.html", "lies in it, which is read"),
        (tmp_path / "nowhere" / "diff.html", "there is no folder"),
    ):
        done = pocketrec("diff", old, new, "--no-latency", "--html", place)
        assert done.returncode == 2
        assert told in done.stderr
    assert read_bundle(old).manifest.version == "1.0.0"
    one = tmp_path / "one"
    done = pocketrec("diff", old, new, "--no-latency", "--html", one, "--markdown", one)
    assert (done.returncode, "have one name" in done.stderr, one.exists()) == (2, True, False)


@pytest.mark.parametrize("side", ["old", "new"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("evidence/evidence.json", "[]"),
        ("evidence/evidence.json", '{"versions": 3, "rewrites": {"a": [1]}, "data_sha256": []}'),
        ("evidence/evidence.json", "{"),
        ("recipe.json", '"words"'),
        ("recipe.json", '{"evaluate": {"k": {"a": [1]}, "data": 3}}'),
        ("recipe.json", '{"evaluate": [3, {"name": {"a": [1]}, "output": []}]}'),
        ("contract.json", "{}"),
        ("vocabularies/item.txt", "one\n"),
        ("golden/main.safetensors", "no tensors"),
        ("artifacts/onnx/main.onnx", "no model"),
    ],
)
def test_a_bundle_that_was_edited_and_sealed_again_is_one_line_at_most(
    pocketrec: Run, released: Callable[..., Path], side: str, name: str, text: str
) -> None:
    places = {"old": released("1.0.0"), "new": released("1.0.1")}
    place = places[side]
    artifacts, version = read_bundle(place).manifest.artifacts, place.name
    (place / name).write_text(text)
    seal(place, name="mean", version=version, artifacts=artifacts)
    done = pocketrec("diff", places["old"], places["new"], "--recipe", RECIPE)
    assert done.returncode in (0, 1, 2)
    errors = [line for line in done.stderr.splitlines() if not line[:8].strip().replace(".", "").isdigit()]
    assert len(errors) <= 1
    assert done.returncode == 0 or errors


def test_a_build_against_what_is_no_bundle_ends_before_it_begins(pocketrec: Run, tmp_path: Path) -> None:
    done = pocketrec("build", RECIPE, "--out", tmp_path / "out", "--baseline", tmp_path / "nowhere")
    assert done.returncode == 2
    assert done.stderr.endswith("nowhere: no such folder; pass the path of a bundle, which is a folder\n")
    assert list(tmp_path.iterdir()) == []
