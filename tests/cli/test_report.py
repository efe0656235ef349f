"""`pocketrec report`: from a bundle's evidence alone, where it is asked to, and nowhere else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from pocketrec.cli.main import main

FIRST = Path(__file__).parent.parent / "fixtures" / "first" / "mean"
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    return lambda *arguments: CliRunner().invoke(main, ["report", *map(str, arguments)])


def test_it_prints_the_short_form_where_no_file_is_asked_for(run: Run) -> None:
    result = run(FIRST)
    assert result.exit_code == 0
    assert "## ✅ mean passed" in result.stdout


def test_every_form_is_written_and_may_be_written_again(run: Run, tmp_path: Path) -> None:
    html, markdown, junit = (tmp_path / name for name in ("r.html", "r.md", "r.xml"))
    for _ in range(2):
        result = run(FIRST, "--html", html, "--markdown", markdown, "--junit", junit)
        assert result.exit_code == 0, result.stderr
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "mean passed" in markdown.read_text(encoding="utf-8")
    assert ElementTree.parse(junit).getroot().get("failures") == "0"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["r.html", "r.md", "r.xml"]


@pytest.mark.parametrize("option", ["--html", "--markdown", "--junit"])
def test_a_file_of_somebody_else_is_left_alone(run: Run, tmp_path: Path, option: str) -> None:
    path = tmp_path / "mine"
    path.write_text("my notes", encoding="utf-8")
    other = tmp_path / "other.html"
    result = run(FIRST, option, path, "--html" if option != "--html" else "--junit", other)
    assert result.exit_code == 2
    assert "is no report of pocketrec; remove it, or name another file" in result.stderr
    assert path.read_text(encoding="utf-8") == "my notes"
    assert not other.exists(), "nothing is written where one name cannot be"


def test_an_empty_file_is_filled(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "summary"
    path.touch()
    assert run(FIRST, "--markdown", path).exit_code == 0
    assert path.read_text(encoding="utf-8")


def test_places_where_nothing_can_be_written_are_usage_errors(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path, "is a folder; name a file"),
        (tmp_path / "no" / "r.html", "there is no folder"),
        (tmp_path / "pipe", "is no regular file"),
        (FIRST / "evidence" / "report.html", "lies in it, which is read"),
        (FIRST / "new.html", "lies in it, which is read"),
    ):
        result = run(FIRST, "--html", path)
        assert result.exit_code == 2, result.output
        assert said in result.stderr
    same = tmp_path / "r"
    result = run(FIRST, "--html", same, "--junit", tmp_path / "." / "r")
    assert result.exit_code == 2
    assert "two reports have one name" in result.stderr


def test_json_holds_the_verdict_and_what_was_written(run: Run, tmp_path: Path) -> None:
    table = json.loads(run(FIRST, "--json", "--junit", tmp_path / "r.xml").stdout)
    assert table["passed"] is True
    assert (table["name"], table["version"]) == ("mean", "1.0")
    assert len(table["headlines"]) == 3
    assert table["not_run"][0]["runtime"] == "coreml-framework"
    assert table["written"] == [str(tmp_path / "r.xml")]


def test_evidence_that_was_altered_or_is_none_is_an_error(run: Run, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(FIRST, bundle)
    place = bundle / "evidence" / "evidence.json"
    place.write_text(place.read_text(encoding="utf-8").replace('"passed"', '"failed"'), encoding="utf-8")
    result = run(bundle, "--html", tmp_path / "r.html")
    assert result.exit_code == 1
    assert "evidence/evidence.json: altered" in result.stderr
    assert not (tmp_path / "r.html").exists()
    assert run(tmp_path / "nothing").exit_code == 2


def test_the_page_of_the_bundle_is_opened_or_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(FIRST, "--open")
    assert result.exit_code == 0
    assert f"open {(FIRST / 'evidence/report.html').resolve()}" in result.stderr
    opened: list[str] = []

    def show(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", show)
    assert run(FIRST, "--open").stderr == ""
    assert opened == [(FIRST / "evidence/report.html").resolve().as_uri()]


def test_it_needs_no_pytorch_and_no_engine(tmp_path: Path) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from pocketrec.cli.main import main\n"
        f"asked = ['report', {str(FIRST)!r}, '--html', {str(tmp_path / 'r.html')!r}]\n"
        "done = CliRunner().invoke(main, asked)\n"
        "assert done.exit_code == 0, done.output\n"
        "print(*[name for name in ('torch', 'coremltools', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
