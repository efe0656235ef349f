"""A few saboteurs of each kind are caught by name, and the runner says so of those who are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.saboteurs import bundles, run
from tests.saboteurs.everyone import EVERYONE
from tests.saboteurs.kit import Outcome, Saboteur, judge

from pocketrec.pipeline.verify import verify


@pytest.mark.parametrize("saboteur", [each for each in EVERYONE if each.fast], ids=lambda each: each.name)
def test_a_saboteur_is_caught_by_name_and_its_honest_twin_passes(saboteur: Saboteur, tmp_path: Path) -> None:
    verdict = judge(saboteur, tmp_path)
    assert verdict.honest.passed, verdict.honest.said
    assert verdict.caught, verdict.message


def test_each_has_a_name_of_its_own() -> None:
    assert len({each.name for each in EVERYONE}) == len(EVERYONE) >= 40


def made(*said: tuple[str, str], twin: tuple[tuple[str, str], ...] = ()) -> Saboteur:
    return Saboteur(
        name="one",
        caught_by="same_numbers",
        message="off by",
        cheat=lambda folder: Outcome(said=said),
        honest=lambda folder: Outcome(said=twin),
    )


def test_without_a_key_verify_says_that_nobody_has_signed(tmp_path: Path) -> None:
    """Who rewrites everything consistently makes another bundle, of which digests say that it is whole."""
    found = bundles.altered(bundles.another_model_and_evidence, sealed=True)(tmp_path)
    assert found.passed
    assert found.path is not None
    signature = verify(found.path).signature
    assert signature.status == "unsigned"
    assert "nobody has signed this bundle" in signature.message


LOST = "NOT CAUGHT: expected same_numbers with 'off by'; "


@pytest.mark.parametrize(
    ("saboteur", "code", "line"),
    [
        (made(("same_numbers", "off by 2")), 0, "caught by same_numbers: off by 2"),
        (made(), 1, f"{LOST}everything passed"),
        (
            made(("stress", "off by 2")),
            1,
            f"{LOST}stress: off by 2",
        ),
        (
            made(("same_numbers", "NaN")),
            1,
            f"{LOST}same_numbers: NaN",
        ),
        (
            made(("same_numbers", "off by 2"), twin=(("ran", "no"),)),
            1,
            "HONEST TWIN DID NOT PASS: ran: no",
        ),
    ],
)
def test_the_runner_names_who_was_not_caught_and_exits_with_1(
    saboteur: Saboteur,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(run, "EVERYONE", (saboteur,))
    assert run.main([]) == code
    shown = capsys.readouterr().out
    assert line in shown
    caught, passed = int("caught by" in shown), int("TWIN" not in shown)
    assert shown.splitlines()[-1] == f"1 saboteurs: {caught} caught; 1 honest twins: {passed} passed"


def test_the_runner_gives_json_and_passes_nobody_where_nobody_ran(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "EVERYONE", (made(("same_numbers", "off by 2")),))
    assert run.main(["--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["saboteurs"]
    assert (row["name"], row["caught"], row["caught_by"], row["honest_passed"]) == (
        "one",
        True,
        "same_numbers",
        True,
    )
    assert run.main(["nobody of this name"]) == 1
