"""`pocketrec assign`: a line a unit, the same from arguments, from a file and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from pocketrec.validate.experiments.assign import Split

SPLIT = ("--salt", "demo", "--variant", "control=1", "--variant", "new=1")


def test_units_get_the_variants_that_python_gives_them(pocketrec: Run) -> None:
    split = Split(salt="demo", variants={"control": 1, "new": 1})
    done = pocketrec("assign", *SPLIT, "user-0", "user-1", 'a "quoted", unit')
    assert done.returncode == 0
    quoted = split('a "quoted", unit')
    assert done.stdout == f'unit,variant\nuser-0,control\nuser-1,new\n"a ""quoted"", unit",{quoted}\n'
    assert "share 0.5" in done.stderr


def test_a_file_of_units_becomes_a_file_of_variants(pocketrec: Run, tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("user-0\r\nuser-1\nuser-2")
    out = tmp_path / "out.csv"
    done = pocketrec("assign", *SPLIT, "--units", tmp_path / "users.txt", "--out", out, "--json")
    assert out.read_text() == "unit,variant\nuser-0,control\nuser-1,new\nuser-2,control\n"
    found = json.loads(done.stdout)
    assert found["variants"]["control"] == {"share": 0.5, "units": 2, "tree_sha256": None}
    assert (found["salt"], found["out"]) == ("demo", str(out))


def test_json_lists_the_units(pocketrec: Run) -> None:
    found = json.loads(pocketrec("assign", *SPLIT, "user-0", "user-1", "--json").stdout)
    assert found["units"] == [
        {"unit": "user-0", "variant": "control"},
        {"unit": "user-1", "variant": "new"},
    ]


def test_salt_and_variants_may_stand_in_a_file(pocketrec: Run, tmp_path: Path) -> None:
    place = tmp_path / "e.toml"
    place.write_text('schema = 1\nsalt = "demo"\n[variants.control]\n[variants.new]\nweight = 1\n')
    done = pocketrec("assign", "--experiment", place, "user-0", "user-1")
    assert done.stdout == "unit,variant\nuser-0,control\nuser-1,new\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (SPLIT, "pass units as arguments, or a file of them as --units; one of the two"),
        (("user-0",), "pass --experiment, or --salt with a --variant NAME=WEIGHT for each variant"),
        (("--salt", "s", "--variant", "a", "u"), "--variant 'a': expected NAME=WEIGHT, such as control=1"),
        (("--salt", "s", "--variant", "a=nan", "u"), "--variant 'a=nan': expected NAME=WEIGHT"),
        (
            ("--salt", "s", "--variant", "a=1", "--variant", "a=2", "u"),
            "--variant 'a' is stated twice; expected each variant once",
        ),
        (("--variant", "a=1", "--variant", "b=1", "u"), "salt is empty; expected a word of its own"),
        ((*SPLIT, "\udcff"), "unit 0 is '\\udcff', which is no UTF-8; expected text"),
        (("--salt", "\udcff", *SPLIT[2:], "u"), "salt is '\\udcff', which is no UTF-8; expected text"),
        ((*SPLIT, ""), "unit 0 is empty; expected an id"),
        ((*SPLIT, "--units", "nowhere.txt"), "nowhere.txt: no such file; pass a text file, one unit a line"),
    ],
)
def test_a_call_that_divides_nothing_is_one_line(
    pocketrec: Run, words: tuple[str, ...], message: str
) -> None:
    done = pocketrec("assign", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no lines; expected a unit's id on each"),
        (b"a\n\nb\n", "line 2 is empty; expected a unit's id"),
        (b"a\n\xff\n", "line 2 is no UTF-8; expected a unit's id"),
        (b"a\n" + b"x" * 70_000, "line 2 is longer than 65536 bytes"),
    ],
)
def test_a_file_that_holds_no_units_is_one_line_and_writes_nothing(
    pocketrec: Run, tmp_path: Path, data: bytes, message: str
) -> None:
    (tmp_path / "users.txt").write_bytes(data)
    out = tmp_path / "out.csv"
    done = pocketrec("assign", *SPLIT, "--units", tmp_path / "users.txt", "--out", out)
    assert done.returncode == 2
    assert message in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["users.txt"]


def test_nothing_but_a_file_is_replaced(pocketrec: Run, tmp_path: Path) -> None:
    (tmp_path / "kept" / "in it").mkdir(parents=True)
    done = pocketrec("assign", *SPLIT, "user-1", "--out", tmp_path / "kept")
    assert (done.returncode, "is a folder; name a file" in done.stderr) == (2, True), done.stderr
    assert (tmp_path / "kept" / "in it").is_dir()
    (tmp_path / "units").write_text("user-1\n", encoding="utf-8")
    done = pocketrec("assign", *SPLIT, "--units", tmp_path / "units", "--out", tmp_path / "units")
    assert (done.returncode, "which is read" in done.stderr) == (2, True), done.stderr


def test_a_link_stays_and_its_file_is_written(pocketrec: Run, tmp_path: Path) -> None:
    (tmp_path / "newest.csv").symlink_to("today.csv")
    assert pocketrec("assign", *SPLIT, "user-1", "--out", tmp_path / "newest.csv").returncode == 0
    assert (tmp_path / "newest.csv").is_symlink()
    assert (tmp_path / "today.csv").read_text(encoding="utf-8").startswith("unit,variant\nuser-1,")
