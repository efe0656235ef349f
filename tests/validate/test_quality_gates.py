"""A gate on quality acts on the interval: what may be noise fails, and says how many users would tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pocketrec.recipe import Gates
from pocketrec.recipe.measures import ChangeLimits, StepLimits
from pocketrec.report import Interval, MetricChange, RankingParity, SliceChange
from pocketrec.validate.measure.bootstrap import CONFIDENCE, bootstrap
from pocketrec.validate.measure.holm import confidences
from pocketrec.validate.quality_gates import compression_verdicts, likely, quality_verdicts

GATES = Gates(min_top_k_overlap=None)


def changed(differences: np.ndarray, slices: int = 1, metric: str = "ndcg@10") -> MetricChange:
    found = bootstrap(differences, confidences=confidences(slices, CONFIDENCE), resamples=2000)
    return MetricChange(
        metric=metric,
        before=0.3,
        after=0.3 + found.mean,
        examples=found.examples,
        resampled="users",
        deviation=found.deviation,
        intervals=found.intervals,
        method=found.method,
    )


def ranking(*changes: MetricChange, slices: tuple[SliceChange, ...] = ()) -> RankingParity:
    return RankingParity(
        examples=changes[0].examples,
        reference={each.metric: each.before for each in changes},
        artifact={each.metric: each.after for each in changes},
        changes=changes,
        slices=slices,
    )


def noise(users: int, deviation: float, seed: int = 0) -> np.ndarray:
    """Differences whose mean is exactly none."""
    drawn: np.ndarray = np.random.default_rng(seed).normal(0, deviation, users)
    return np.asarray(drawn - drawn.mean())


def test_a_change_of_none_fails_where_the_interval_does_not_exclude_more_than_the_limit() -> None:
    ((gate, status, told),) = quality_verdicts(GATES, ranking(changed(noise(500, 0.1))))
    assert (gate, status) == ("max_ndcg_drop", "failed")
    assert "in [-0.0" in told
    assert "a larger change is not excluded, about " in told
    needed = int(told.partition("about ")[2].split()[0])
    assert told.endswith("users would tell")
    ((_, status, _),) = quality_verdicts(GATES, ranking(changed(noise(round(1.1 * needed), 0.1))))
    assert status == "passed"


def test_no_number_of_users_is_named_where_the_change_itself_is_beyond_the_limit() -> None:
    ((_, status, told),) = quality_verdicts(GATES, ranking(changed(noise(500, 0.001) - 0.01)))
    assert status == "failed"
    assert "change -0.01" in told
    assert "would tell" not in told


def test_both_directions_are_held() -> None:
    for shift in (-0.0019, 0.0019):
        ((_, status, told),) = quality_verdicts(GATES, ranking(changed(noise(5000, 0.02) + shift)))
        assert status == "failed", told
    ((_, status, _),) = quality_verdicts(GATES, ranking(changed(noise(5000, 0.002) - 0.0018)))
    assert status == "passed"


@pytest.mark.parametrize("users", [1, 9])
def test_an_evaluation_of_a_handful_fails_though_nothing_differs(users: int) -> None:
    ((_, status, told),) = quality_verdicts(GATES, ranking(changed(np.zeros(users))))
    assert status == "failed"
    assert f"no interval of {users}, expected 10 or more" in told


def test_every_length_of_list_is_gated() -> None:
    good, bad = changed(np.zeros(50), metric="ndcg@5"), changed(np.full(50, -0.01), metric="ndcg@20")
    found = list(quality_verdicts(GATES, ranking(good, bad)))
    assert [status for _, status, _ in found] == ["passed", "failed"]
    assert found[1][2].startswith("ndcg@20: ")


def sliced(label: str, differences: np.ndarray, slices: int, *, large: bool = True) -> SliceChange:
    return SliceChange(
        division="users",
        label=label,
        examples=len(differences),
        large=large,
        changes=(changed(differences, slices),),
    )


def verdicts(gates: Gates, *slices: SliceChange) -> dict[str, tuple[str, str]]:
    whole = changed(np.zeros(500))
    found = quality_verdicts(gates, ranking(whole, slices=slices))
    return {gate: (status, told) for gate, status, told in found if " of " in gate}


def test_a_slice_that_fell_fails_though_the_whole_did_not() -> None:
    gates = replace(GATES, slices={"users": ChangeLimits(max_ndcg_drop=0.01)})
    cold, warm = sliced("cold", noise(200, 0.01) - 0.05, 2), sliced("warm", noise(300, 0.01), 2)
    found = verdicts(gates, cold, warm)
    assert found["max_ndcg_drop of users: cold"][0] == "failed"
    assert found["max_ndcg_drop of users: warm"][0] == "passed"
    assert "over 200 examples, of 2 slices together" in found["max_ndcg_drop of users: cold"][1]


def test_slices_are_corrected_for_together() -> None:
    """One that passes alone fails among others of which one fails, as its interval then is a wider one."""
    edge = noise(400, 0.01)
    limit = 1.05 * bootstrap(edge, resamples=2000).intervals[0].high
    gates = replace(GATES, slices={"users": ChangeLimits(max_ndcg_drop=limit)})
    assert verdicts(gates, sliced("a", edge, 1))["max_ndcg_drop of users: a"][0] == "passed"
    bad = sliced("b", noise(400, 0.01) - 0.05, 2)
    found = verdicts(gates, sliced("a", edge, 2), bad)
    assert found["max_ndcg_drop of users: a"][0] == "failed"
    assert "of 2 slices together" in found["max_ndcg_drop of users: a"][1]


def test_a_gate_can_name_one_slice_and_the_stricter_limit_counts() -> None:
    slices = sliced("cold", noise(200, 0.001) - 0.02, 2), sliced("warm", noise(300, 0.001) - 0.02, 2)
    one = replace(GATES, slices={"users: cold": ChangeLimits(max_ndcg_drop=0.01)})
    assert {name: status for name, (status, _) in verdicts(one, *slices).items()} == {
        "max_ndcg_drop of users: cold": "failed"
    }
    wide, strict = ChangeLimits(max_ndcg_drop=0.05), ChangeLimits(max_ndcg_drop=0.01)
    both = replace(GATES, slices={"users": wide, "users: cold": strict})
    assert [status for status, _ in verdicts(both, *slices).values()] == ["failed", "passed"]


def test_a_small_slice_is_named_and_not_gated_and_only_small_ones_fail() -> None:
    gates = replace(GATES, slices={"users": ChangeLimits(max_ndcg_drop=0.01)})
    small = sliced("cold", np.full(20, -0.5), 1, large=False)
    found = verdicts(gates, small, sliced("warm", noise(300, 0.001), 1))
    assert found["max_ndcg_drop of users: cold"] == (
        "skipped",
        "ndcg@10: 20 examples are too few to be gated, shown only",
    )
    assert found["max_ndcg_drop of users: warm"][0] == "passed"
    alone = verdicts(gates, small)
    assert alone["max_ndcg_drop of users"] == ("failed", "no slice of it is large enough to be gated")


def test_a_slice_that_is_not_there_fails_and_names_those_that_are() -> None:
    gates = replace(GATES, slices={"users: colt": ChangeLimits(max_ndcg_drop=0.01)})
    found = verdicts(gates, sliced("cold", noise(200, 0.001), 1))
    assert found["max_ndcg_drop of users: colt"] == ("failed", "no such slice; there are: users: cold")


def test_without_a_comparison_slices_fail_too() -> None:
    gates = Gates(
        max_ndcg_drop=None,
        max_auc_drop=None,
        max_log_loss_rise=None,
        min_top_k_overlap=None,
        slices={"users": ChangeLimits(max_ndcg_drop=0.01)},
    )
    assert list(quality_verdicts(gates, None)) == [("quality", "failed", "quality was not compared")]


def test_a_change_without_an_interval_fails() -> None:
    bare = MetricChange(metric="ndcg@10", before=0.3, after=0.3, examples=50, intervals=())
    ((_, status, _),) = quality_verdicts(GATES, ranking(bare))
    assert status == "failed"
    wide = replace(bare, intervals=(Interval(low=-1, high=1, confidence=0.95),), deviation=0.0)
    ((_, status, _),) = quality_verdicts(GATES, ranking(wide))
    assert status == "failed"


def cost(change: MetricChange, gates: Gates, *slices: SliceChange) -> list[tuple[str, str]]:
    return [(gate, status) for gate, status, _ in compression_verdicts(gates, ranking(change, slices=slices))]


def test_what_compression_cost_is_held_by_its_interval_where_a_gain_is_none() -> None:
    gates = replace(GATES, compression=StepLimits(max_ndcg_drop=0.01))
    assert cost(changed(noise(400, 0.02) + 0.05), gates) == [("max_ndcg_drop", "passed")]
    assert cost(changed(noise(400, 0.02) - 0.05), gates) == [("max_ndcg_drop", "failed")]
    ((_, status, told),) = compression_verdicts(gates, ranking(changed(noise(400, 0.5))))
    assert status == "failed"
    assert "limit 0.01, over 400 examples; a larger change is not excluded, about " in told
    assert cost(changed(noise(400, 0.5)), GATES) == []


def test_a_gain_that_may_be_a_loss_says_how_many_users_would_tell() -> None:
    """A gain leaves more room, so that fewer users do."""
    gates = replace(GATES, compression=StepLimits(max_ndcg_drop=0.01))
    said = []
    for gain in (0.0, 0.02):
        ((_, status, told),) = compression_verdicts(gates, ranking(changed(noise(400, 0.5) + gain)))
        assert status == "failed"
        said.append(int(told.partition("about ")[2].split()[0]))
    assert said[1] < said[0] / 8


def test_a_slow_runtimes_sample_is_too_small_for_slices_and_says_so() -> None:
    gates = replace(GATES, slices={"users": ChangeLimits(max_ndcg_drop=0.01)})
    small = sliced("cold", np.zeros(20), 1, large=False)
    whole = replace(ranking(changed(np.zeros(64)), slices=(small,)), available=943)
    found = {gate: (status, told) for gate, status, told in quality_verdicts(gates, whole)}
    assert found["max_ndcg_drop of users"] == (
        "skipped",
        "no slice of it is large enough to be gated in the sample of 64 of 943 examples",
    )


def test_a_loss_that_rises_is_worse_and_one_that_falls_is_not() -> None:
    gates = replace(GATES, compression=StepLimits(max_log_loss_rise=0.01))
    rise, fall = (changed(noise(400, 0.02) + by, metric="log_loss") for by in (0.05, -0.05))
    assert cost(rise, gates) == [("max_log_loss_rise", "failed")]
    assert cost(fall, gates) == [("max_log_loss_rise", "passed")]


def test_a_calibration_error_that_rises_is_held_like_a_loss_in_both_directions_of_a_conversion() -> None:
    gates = replace(GATES, max_ece_rise=0.01, compression=StepLimits(max_ece_rise=0.01))
    rise, fall, same = (changed(noise(400, 0.02) + by, metric="ece") for by in (0.05, -0.05, 0.0))
    assert cost(rise, gates) == [("max_ece_rise", "failed")]
    assert cost(fall, gates) == [("max_ece_rise", "passed")]
    for each, expected in ((rise, "failed"), (fall, "failed"), (same, "passed")):
        found = {gate: status for gate, status, _ in quality_verdicts(gates, ranking(each))}
        assert found["max_ece_rise"] == expected


def test_slices_are_held_for_what_compression_cost_them_too() -> None:
    gates = replace(GATES, slices={"users": ChangeLimits(max_ndcg_drop=0.01)})
    cold, warm = sliced("cold", noise(200, 0.01) - 0.05, 2), sliced("warm", noise(300, 0.01) + 0.05, 2)
    assert cost(changed(noise(500, 0.01)), gates, cold, warm) == [
        ("max_ndcg_drop of users: cold", "failed"),
        ("max_ndcg_drop of users: warm", "passed"),
    ]


def test_what_a_budget_leaves_open_is_said_and_nothing_else() -> None:
    open_ = changed(noise(500, 0.1))
    assert likely(open_, 0.002).startswith("; by its interval down to -0.00")
    assert likely(open_, 0.002).endswith(" users would tell")
    assert likely(changed(noise(500, 0.001)), 0.002) == ""
    assert likely(changed(noise(500, 0.001) - 0.1), 0.002) == ""
    assert likely(replace(open_, intervals=()), 0.002) == ""
