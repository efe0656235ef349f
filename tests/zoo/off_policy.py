"""What bandits would have earned, by the uniform log of Open Bandit: the table of docs/bandits.md.

    python -m tests.zoo.off_policy [--docs docs/bandits.md]

Bernoulli Thompson sampling of the store is judged first, as in the quick start of the Open Bandit Pipeline,
whose printed estimates say whether all of this is right. The reward model is that quick start's, too: a
logistic regression for each position, fitted to two thirds of the rounds and asked for the others.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from tests.model_zoo.conftest import build

from pocketrec.model_zoo.data import bernoulli_ts, open_bandit
from pocketrec.validate.experiments.estimates import Asked, Estimate, NoEstimate, estimate
from pocketrec.validate.experiments.propensity import Log, dr, ips
from pocketrec.validate.experiments.support import Limits, Support, measure_support

Doubles = npt.NDArray[np.float64]
# Any number is shown here, however little supports it; whether it would be given is said beside it.
SHOWN = Asked(limits=Limits(effective_rounds=2, effective_rewards=1, weight_errors=1e6))
MARKS = "<!-- table -->", "<!-- end of table -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A policy by three estimators.

    Attributes:
        policy: its name.
        ipw: by inverse propensities.
        dm: by the reward model alone.
        dr: by both.
        support: what of the log counts.
        given: what `pocketrec experiment estimate` would say of it: an estimate, or the reason for none.
    """

    policy: str
    ipw: Estimate
    dm: Estimate
    dr: Estimate
    support: Support
    given: Estimate | NoEstimate


def expected_rewards(found: open_bandit.Log, *, folds: int = 3, seed: int = 12345) -> Doubles:
    """The chance of a click for every item at each round's own position, `[rounds, items]`.

    Features are obp's: people's values but each feature's first, items' three ids, and their number.
    """
    number, ids = open_bandit.items()
    items = np.concatenate([ids - 1, number[:, None]], axis=1).astype(np.float64)
    people = np.concatenate([_indicators(column) for column in found.person.T], axis=1)
    rewards = np.zeros((len(found.item), len(items)))
    for early, late in KFold(folds, shuffle=True, random_state=seed).split(people):
        for position in range(open_bandit.POSITIONS):
            fitted, asked = (rows[found.position[rows] == position] for rows in (early, late))
            model = LogisticRegression(max_iter=1000, random_state=seed)
            features = np.concatenate([people[fitted], items[found.item[fitted]]], axis=1)
            model.fit(features, found.click[fitted])
            of_people, of_items = np.split(model.coef_[0], [people.shape[1]])
            logits = model.intercept_ + (people[asked] @ of_people)[:, None] + items @ of_items
            rewards[asked] = 1 / (1 + np.exp(-logits))
    return rewards


def _indicators(column: open_bandit.Ints) -> Doubles:
    """A column for each value but the first, 1 where a row has it."""
    found: Doubles = (column[:, None] == np.unique(column)[1:]).astype(np.float64)
    return found


def policies(found: open_bandit.Log) -> dict[str, Doubles]:
    """The chance of every item in every round, `[rounds, items]`, by each policy's name.

    The store's own decides a page at a time; the others take each place of a page as a decision of its own.
    """
    clicks, passes = bernoulli_ts.clicks_and_passes()
    rounds, items = found.affinity.shape
    people = {name: torch.from_numpy(each) for name, each in open_bandit.people(found).items()}
    with torch.no_grad():
        upper = build("linucb", weights=True)(**people)[0]
        chance = build("thompson", weights=True)(**people, noise=torch.zeros(rounds, items))[1]
        values = build("q-network", weights=True).values(**people)  # type: ignore[operator]
    return {
        "uniform, which made the log": np.full((rounds, items), 1 / items),
        "BernoulliTS, the store's": bernoulli_ts.page_chances()[:, found.position].T,
        "the item that the store counted most clicks for": _best(
            np.tile(clicks / (clicks + passes), (rounds, 1))
        ),
        "`linucb`": _best(upper.numpy()),
        "`thompson`": chance.double().numpy() / chance.double().sum(dim=1, keepdim=True).numpy(),
        "`q-network`": _best(values.numpy()),
    }


def _best(scores: npt.NDArray[np.floating]) -> Doubles:
    """Chances of a policy that takes the best item."""
    chances: Doubles = np.eye(scores.shape[1])[scores.argmax(axis=1)]
    return chances


def judge(policy: str, found: open_bandit.Log, chances: Doubles, rewards: Doubles) -> Judged:
    """The policy by three estimators, on the log of another."""
    rounds = np.arange(len(found.item))
    log = Log(
        rewards=found.click.astype(np.float64),
        propensities=found.propensity,
        targets=np.minimum(chances[rounds, found.item], 1.0),
        predicted=rewards[rounds, found.item],
        expected=(chances * rewards).sum(axis=1),
    )
    assert log.predicted is not None
    assert log.expected is not None
    weights, covered = log.weights(), measure_support(log.weights(), log.rewards)
    values = {
        "ipw": ips(log.rewards, weights),
        "dm": log.expected,
        "dr": dr(log.rewards, weights, log.predicted, log.expected),
    }
    shown = {name: estimate(name, each, log.rewards, covered, asked=SHOWN) for name, each in values.items()}
    given = estimate("dr", values["dr"], log.rewards, covered)
    return Judged(policy=policy, support=covered, given=given, **shown)  # type: ignore[arg-type]


def judged() -> tuple[Judged, ...]:
    """Every policy on the uniform log of the campaign `all`."""
    found = open_bandit.log("random")
    rewards = expected_rewards(found)
    return tuple(judge(name, found, chances, rewards) for name, chances in policies(found).items())


def table(rows: tuple[Judged, ...]) -> str:
    """The rows in Markdown, values in clicks per thousand impressions."""
    head = "| policy | IPW | DM | DR | effective rounds | effective clicks | given by the command |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *map(_row, rows)])


def _row(one: Judged) -> str:
    told = "yes" if isinstance(one.given, Estimate) else f"no, `{one.given.reason}`"
    figures = " | ".join(_figure(each) for each in (one.ipw, one.dm, one.dr))
    counts = f"{one.support.effective_rounds:,.0f} | {one.support.effective_rewards:.1f}"
    return f"| {one.policy} | {figures} | {counts} | {told} |"


def _figure(one: Estimate | NoEstimate) -> str:
    if isinstance(one, NoEstimate):
        return f"— (`{one.reason}`)"
    return f"{1000 * one.value:.2f} ({1000 * one.low:.2f} to {1000 * one.high:.2f})"


def written(page: str, rows: tuple[Judged, ...]) -> str:
    """The page with the table between its marks."""
    before, rest = page.split(MARKS[0])
    return f"{before}{MARKS[0]}\n\n{table(rows)}\n\n{MARKS[1]}{rest.split(MARKS[1])[1]}"


def main() -> None:
    """Prints the table, or writes it into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=Path, help="the page to write the table into")
    page: Path | None = parser.parse_args().docs
    rows = judged()
    print(table(rows))
    if page is not None:
        page.write_text(written(page.read_text(), rows))


if __name__ == "__main__":
    main()
