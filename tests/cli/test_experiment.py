"""`pocketrec experiment`: what is printed, what JSON holds, and which exit code a check has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.cli.conftest import Run

LOGGED, JUDGED = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
CLICKS = np.array([0.1, 0.2, 0.4])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """2,000 rounds of a policy to whose clicks the judged one would add a half."""
    rng = np.random.default_rng(0)
    actions = rng.choice(3, 2000, p=LOGGED)
    rewards = (rng.random(2000) < CLICKS[actions]).astype(float)
    table = {"reward": rewards, "propensity": LOGGED[actions], "target": JUDGED[actions]}
    pq.write_table(pa.table(table), tmp_path / "log.parquet")
    return tmp_path / "log.parquet"


def test_estimates_are_printed_with_what_they_rest_on(pocketrec: Run, log: Path) -> None:
    done = pocketrec("experiment", "estimate", log)
    assert done.returncode == 0
    assert "2000 rounds; the log's own policy earned 0." in done.stdout
    assert "snips" in done.stdout
    assert "dr: not run, no columns 'predicted' and 'expected'" in done.stdout
    assert "ips, snips: effective rounds 9" in done.stdout
    assert "clipped" not in done.stdout
    clipped = pocketrec("experiment", "estimate", log, "--clip", "2").stdout
    assert "ips: effective rounds" in clipped
    assert ", clipped in 20" in clipped or ", clipped in 21" in clipped


def test_a_lift_that_may_be_less_fails(pocketrec: Run, log: Path) -> None:
    assert pocketrec("experiment", "estimate", log, "--min-lift", "0").returncode == 0
    done = pocketrec("experiment", "estimate", log, "--min-lift", "0.2", "--estimator", "snips", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert [each["estimator"] for each in found["estimates"]] == ["ips", "snips"]
    (failure,) = found["failures"]
    assert failure.startswith("snips: the lift is 0.1")
    assert "failed: ips: the lift" in pocketrec("experiment", "estimate", log, "--min-lift", "0.2").stdout


def test_a_log_without_support_gives_no_number_and_fails(pocketrec: Run, log: Path) -> None:
    done = pocketrec("experiment", "estimate", log, "--min-rounds", "1500")
    assert done.returncode == 1
    assert "ips: no estimate, few_effective_rounds: 2000 rounds weigh as much as 9" in done.stdout
    found = json.loads(pocketrec("experiment", "estimate", log, "--min-rounds", "1500", "--json").stdout)
    assert {each["reason"] for each in found["estimates"]} == {"few_effective_rounds"}
    assert not any("value" in each or "low" in each for each in found["estimates"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--confidence", "95"), "confidence is 95.0; expected a share, such as 0.95"),
        (("--clip", "0"), "clip is 0.0; expected a weight above 0"),
        (
            ("--min-lift", "0", "--estimator", "dr"),
            "--estimator 'dr': expected one of ips, snips, which the log allows; dr: not run, no columns",
        ),
    ],
)
def test_what_cannot_be_estimated_is_one_line(
    pocketrec: Run, log: Path, words: tuple[str, ...], message: str
) -> None:
    done = pocketrec("experiment", "estimate", log, *words)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_a_ratio_mismatch_exits_with_1_and_names_the_variant(pocketrec: Run) -> None:
    words = ("experiment", "ratio", "--observed", "a=1000", "--observed", "b=1000", "--observed", "c=800")
    done = pocketrec(*words)
    assert done.returncode == 1
    assert "mismatch, most of all in c: chi-squared 28.57 at 2 degrees of freedom, p = 6.2" in done.stdout
    two = pocketrec("experiment", "ratio", "--observed", "a=1000", "--observed", "b=800")
    assert "\nmismatch: chi-squared" in two.stdout, "of two, both miss by as much"
    found = json.loads(pocketrec(*words, "--json").stdout)
    assert (found["passed"], found["farthest"], found["observed"]["c"]) == (False, "c", 800)


def test_a_ratio_as_assigned_passes(pocketrec: Run) -> None:
    words = ("--observed", "a=9010", "--observed", "b=990", "--variant", "a=9", "--variant", "b=1")
    done = pocketrec("experiment", "ratio", *words)
    assert done.returncode == 0
    assert "as assigned: chi-squared 0.1111 at 1 degree of freedom, p" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--observed", "a"), "--observed 'a': expected NAME=UNITS, such as control=50123"),
        (("--observed", "a=-1"), "--observed 'a=-1': expected NAME=UNITS"),
        (("--observed", "a=1", "--observed", "a=2"), "--observed 'a' is stated twice"),
        (("--observed", "a=100", "--variant", "b=1"), "1 variants; expected two or more"),
    ],
)
def test_a_ratio_of_nothing_is_one_line(pocketrec: Run, words: tuple[str, ...], message: str) -> None:
    done = pocketrec("experiment", "ratio", *words)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_power_says_how_long_to_run(pocketrec: Run) -> None:
    words = ("experiment", "power", "--deviation", "1", "--effect", "0.5", "--daily-units", "10")
    done = pocketrec(*words)
    assert done.returncode == 0
    assert "an effect of +0.5 needs 126 units: 63 of the control, 63 of each treatment" in done.stdout
    assert "run for 2 weeks: the units have come after 13 days" in done.stdout
    found = json.loads(pocketrec(*words, "--json").stdout)
    assert (found["total"], found["days"], found["weeks"]) == (126, 13, 2)
    assert [each["weeks"] for each in found["by_week"]] == [1, 2, 4]
    assert found["by_week"][1]["detectable"] < 0.5 < found["by_week"][0]["detectable"]


def test_power_takes_a_relative_effect_and_needs_no_days(pocketrec: Run) -> None:
    relative = pocketrec("experiment", "power", "--baseline", "0.05", "--relative-effect", "0.04")
    assert (
        relative.stdout == pocketrec("experiment", "power", "--baseline", "0.05", "--effect", "0.002").stdout
    )
    assert "pass --daily-units to know how long that takes" in relative.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--effect", "1"), "pass --baseline for a share, or --deviation for a mean; one of the two"),
        (("--baseline", "0.1", "--deviation", "1", "--effect", "1"), "one of the two"),
        (
            ("--deviation", "1", "--relative-effect", "1"),
            "pass --effect, or --relative-effect with --baseline",
        ),
        (("--baseline", "0.5", "--effect", "0.7"), "an effect of 0.7 makes 0.5 to 1.2"),
    ],
)
def test_a_plan_for_nothing_is_one_line(pocketrec: Run, words: tuple[str, ...], message: str) -> None:
    done = pocketrec("experiment", "power", *words)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "power --baseline 0.05 --effect 1e-320",
        "power --baseline 1e-320 --relative-effect 1e-10",
        "power --baseline 0.05 --effect inf",
        "power --baseline 0.05 --effect 0.01 --daily-units nan",
        "power --baseline 0.05 --effect 0.01 --daily-units 1e-300",
        "power --baseline 0.05 --effect 0.01 --alpha 1e-320",
        "power --baseline 0.05 --effect 0.01 --power 1",
        f"power --baseline 0.05 --effect 0.01 --treatments 1{'0' * 400}",
        "power --deviation 1e308 --effect 1e-308",
        "power --deviation 1 --effect 1 --ratio inf",
        "ratio --observed a=9 --observed b=9 --threshold nan",
        "ratio --observed a=9 --observed b=9 --variant a=1e308 --variant b=1e308",
        "ratio --observed a=9999999999999999 --observed b=9",
        "interleave first second --seed -1",
        "interleave first second --k 99999999999",
        "interleave first second --relevant nan",
        "estimate log.parquet --min-rounds nan",
        "estimate log.parquet --min-rewards 0",
        "estimate log.parquet --min-lift nan",
        "estimate log.parquet --confidence 0.99999999999999999",
    ],
)
def test_a_number_that_means_nothing_is_one_line(pocketrec: Run, log: Path, words: str) -> None:
    given = words.replace("log.parquet", str(log)).split()
    done = pocketrec("experiment", *given)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_the_largest_numbers_of_a_plan_are_still_a_plan(pocketrec: Run) -> None:
    done = pocketrec(
        "experiment", "power", "--deviation", "1e-300", "--effect", "1", "--daily-units", "1e300"
    )
    assert done.returncode == 0
    assert "needs 4 units" in done.stdout
