"""`delta` and `apply`: what they print, and one line with the right exit code where it cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.package.delta.bundles import bundle, everything

from pocketrec.cli.main import main


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in words])


@pytest.fixture
def releases(tmp_path: Path) -> tuple[Path, Path, Path]:
    """The older and the newer bundle, and the delta between them."""
    old, new = bundle(tmp_path / "old", "1.0.0"), bundle(tmp_path / "new", "1.1.0")
    done = run("delta", old.path, new.path, "--out", tmp_path / "d.delta")
    assert done.exit_code == 0, done.output
    assert "artifacts/onnx/main.onnx" in done.stdout
    assert "against the older" in done.stdout
    return old.path, new.path, tmp_path / "d.delta"


def test_the_newer_release_is_applied_and_named(releases: tuple[Path, Path, Path], tmp_path: Path) -> None:
    old, new, delta = releases
    done = run("apply", old, delta, "--out", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["name"], said["version"], said["bundle"]) == ("small", "1.1.0", str(tmp_path / "out"))
    assert everything(tmp_path / "out") == everything(new)
    assert run("apply", old, delta, "--out", old).exit_code == 0
    assert everything(old) == everything(new)


def test_json_says_what_each_file_takes(releases: tuple[Path, Path, Path]) -> None:
    old, new, delta = releases
    said = json.loads(run("delta", old, new, "--out", delta, "--json").stdout)
    assert said["size_bytes"] == delta.stat().st_size
    assert said["share"] == said["size_bytes"] / said["release_bytes"]
    assert said["target"]["version"] == "1.1.0"
    assert {each["path"] for each in said["files"]} > {"manifest.json", "recipe.json"}


def test_what_cannot_be_is_one_line(releases: tuple[Path, Path, Path], tmp_path: Path) -> None:
    old, new, delta = releases
    cases = [
        (("apply", new, delta, "--out", tmp_path / "out"), 2, "pass that release"),
        (("apply", old, new / "recipe.json", "--out", tmp_path / "out"), 1, "not a pocketrec delta"),
        (("apply", old, tmp_path / "none", "--out", tmp_path / "out"), 2, "no such file"),
        (("apply", old, delta, "--out", tmp_path / "none" / ".."), 2, "names no folder"),
        (("apply", tmp_path / "none", delta, "--out", tmp_path / "out"), 2, "no such folder"),
        (("delta", old, tmp_path / "none", "--out", delta), 2, "no such folder"),
        (("delta", old, new, "--out", old / "d.delta"), 2, "which is read"),
    ]
    for words, code, said in cases:
        done = run(*words)
        assert (done.exit_code, done.stderr.count("error: ")) == (code, 1), done.output
        assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_damaged_bundle_makes_no_delta(releases: tuple[Path, Path, Path]) -> None:
    old, new, delta = releases
    (new / "recipe.json").write_text("{}")
    done = run("delta", old, new, "--out", delta)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "recipe.json: altered" in done.stderr
