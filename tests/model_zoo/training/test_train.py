"""Weights that are written are of a training that ended well; what cannot be is said before it begins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pocketrec.errors import CheckFailed, UsageError
from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.training.loop import Schedule, fit, hit_rate_and_ndcg
from pocketrec.model_zoo.training.run import Run
from pocketrec.model_zoo.training.train import train, train_module


def untrained(run: Run) -> nn.Module:
    del run
    return nn.Linear(3, 2)


def never(run: Run) -> nn.Module:
    raise AssertionError("was trained")


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_generators_do_not_take_is_refused(seed: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"seed is {seed}; expected 0 to 9223372036854775807"):
        train_module(never, tmp_path / "a.st", name="tiny", seed=seed, progress=False)
    with pytest.raises(UsageError, match=f"seed is {seed}"):
        train("sasrec", seed=seed, out=tmp_path / "a.st", progress=False)
    train_module(untrained, tmp_path / "a.st", name="tiny", seed=2**63 - 1, progress=False)


def test_weights_that_could_not_be_written_are_not_trained(tmp_path: Path) -> None:
    folder, fifo = tmp_path / "folder.st", tmp_path / "fifo.st"
    folder.mkdir()
    os.mkfifo(fifo)
    (tmp_path / ".taken.st.training").write_text("mine")
    for name, said in (
        ("folder.st", r"folder\.st: is a folder; name a file"),
        ("fifo.st", r"fifo\.st: is no regular file"),
        ("nowhere/a.st", r"nowhere/a\.st: there is no folder"),
        ("taken.st", r"\.taken\.st\.training: is no folder, and an unfinished training is kept there"),
    ):
        with pytest.raises(UsageError, match=said):
            train_module(never, tmp_path / name, name="tiny", progress=False)


def test_weights_take_the_place_of_what_a_link_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "a.st"
    link.symlink_to(tmp_path / "real" / "b.st")
    assert train_module(untrained, link, name="tiny", progress=False) == link
    assert link.is_symlink()
    assert load_file(tmp_path / "real" / "b.st")["bias"].shape == (2,)


@pytest.mark.parametrize("value", [float("nan"), 7e4, -7e4])
def test_numbers_that_float16_does_not_hold_are_not_written(value: float, tmp_path: Path) -> None:
    def fit_huge(run: Run) -> nn.Module:
        module = untrained(run)
        with torch.no_grad():
            module.get_parameter("bias")[1] = value
        return module

    with pytest.raises(CheckFailed, match=rf"a\.st: bias holds {value:g}, which float16 does not hold"):
        train_module(fit_huge, tmp_path / "a.st", name="tiny", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_mask_of_infinity_is_written(tmp_path: Path) -> None:
    def fit_masked(run: Run) -> nn.Module:
        module = untrained(run)
        module.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        return module

    path = train_module(fit_masked, tmp_path / "a.st", name="tiny", progress=False)
    assert load_file(path)["mask"].tolist() == [0.0, -float("inf")]


def test_an_interrupt_says_where_the_training_so_far_is(tmp_path: Path) -> None:
    def interrupted(run: Run) -> nn.Module:
        run.keep("fit", {"epoch": 1})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        train_module(interrupted, tmp_path / "a.st", name="tiny", progress=False)
    kept = tmp_path / ".a.st.training"
    assert caught.value.__notes__ == [
        f"the training so far is kept in {kept}; the same command goes on from there"
    ]
    assert kept.is_dir()


def test_scores_that_are_no_numbers_rank_nothing_high() -> None:
    """A diverged model would else have found every item at once, and be the best of all epochs."""
    data = RankingData(inputs={"user": np.arange(3, dtype=np.int32)}, positives=np.array([1, 2, 3]))
    scores = np.tile(np.arange(20, dtype=np.float32), (3, 1))
    scores[0] = np.nan  # all
    scores[1, 2] = np.nan  # the positive alone
    scores[2] = [np.nan] * 3 + [9] + [0] * 16  # others
    assert hit_rate_and_ndcg(scores, data) == pytest.approx((1 / 3, 1 / np.log2(1 + 3) / 3))


def fit_once(loss: float, metric: float, **stated: float) -> nn.Module:
    usual: dict[str, Any] = {"epochs": 1, "patience": 2, "learning_rate": 0.5}
    net = nn.Linear(1, 1, bias=False)

    def losses() -> Iterator[Tensor]:
        yield net(torch.ones(1, 1)).sum() * loss

    fit(
        net,
        losses=losses,
        measure=lambda: metric,
        schedule=Schedule(**{**usual, **stated}),
        run=Run(rng=np.random.default_rng(0)),
    )
    return net


@pytest.mark.parametrize(
    ("loss", "metric", "said"),
    [
        (float("nan"), 0.5, "the loss is nan, so the training diverged"),
        (float("inf"), 0.5, "the loss is inf|the loss is -inf"),
        (1.0, float("nan"), "the validation metric is nan, so the training diverged"),
    ],
)
def test_a_training_that_diverges_ends_instead_of_giving_what_it_began_with(
    loss: float, metric: float, said: str
) -> None:
    with pytest.raises(CheckFailed, match=said):
        fit_once(loss, metric)


def test_the_last_epoch_is_looked_at_whatever_lies_between_two_looks() -> None:
    """Else a training shorter than that would give the weights that it began with."""
    torch.manual_seed(0)
    before = nn.Linear(1, 1, bias=False).weight.item()
    torch.manual_seed(0)
    assert fit_once(1.0, 0.5, every=2).get_parameter("weight").item() != before


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"epochs": 0}, "schedule: epochs is 0, every 1 and patience 2; expected epochs from 1"),
        ({"epochs": 9, "every": 3}, "every 3 and patience 2; .* a patience of at least every"),
        ({"every": 0}, "every 0 and patience 2"),
        ({"learning_rate": float("nan")}, "learning_rate is nan and weight_decay 0; expected finite"),
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"weight_decay": -0.1}, "weight_decay -0.1; expected finite numbers"),
    ],
)
def test_a_schedule_by_which_nothing_is_trained_is_refused(stated: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        fit_once(1.0, 0.5, **stated)
